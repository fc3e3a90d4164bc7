"""Who may open which shared mailbox: the settings' word, and the directory's who is in a group.

Owns the answer for one person at one moment; sessions ask again. People and groups are compared by
their immutable ids, so that a new owner of an old address, or another directory's group of the same
address, gets nothing. Somebody disabled, or gone from the directory, has no rights. Never opens a
mailbox.

What the directory says of groups and names is kept for KEPT_S, so that a client that looks into all
its mailboxes costs no more than one that looks into one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake, ExpansionFailed
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.ports.directory import Directory
from gateway.core.shared_mailboxes import (
    MEMBERS,
    NOTHING,
    Rights,
    Share,
    SharedMailbox,
    Shares,
    account_of,
)
from gateway.directory.picture.caches import Asked

KEPT_S = 10.0

Prepare = Callable[[Account], Awaitable[None]]


class Sharing:
    """Implements ``core.ports.sharing.SharesMailboxes``.

    Args:
        prepare: told of each account that is about to be opened, as at a login.
        monotonic: seconds that never jump.
    """

    log = Logger()

    def __init__(
        self,
        directory: Directory,
        shares: Shares,
        prepare: Prepare,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._by_name = {share.name: share for share in shares.values()}
        self._prepare = prepare
        self._found: Asked[str, _Named] = Asked(monotonic, found_s=KEPT_S, nobody_s=KEPT_S)

    async def find(self, account_id: AccountId, name: str) -> SharedMailbox | None:
        share = self._by_name.get(name)
        person = await self._person(account_id) if share is not None else None
        if share is None or person is None:
            return None
        return await self._opened(share, person)

    async def shared_with(self, account_id: AccountId) -> Sequence[SharedMailbox]:
        person = await self._person(account_id)
        if person is None:
            return ()
        shared = []
        for name in sorted(self._by_name):
            try:
                opened = await self._opened(self._by_name[name], person)
            except (DirectoryMistake, ExpansionFailed) as error:
                # Its administrator's affair; the others must not be away for that.
                self.log.warn("shared mailbox {name}: {error}", name=name, error=escaped(error))
                continue
            if opened is not None:
                shared.append(opened)
        return shared

    async def rights_of(self, account: Account, group: Group, share: Share) -> Rights:
        """What this person may do in the group's mailbox. Raises: GatewayError."""
        person = _Person(account, self._directory)
        return await self._rights(share, _Named.of(group), person)

    # -- one mailbox, one person

    async def _person(self, account_id: AccountId) -> _Person | None:
        account = await self._directory.find_by_id(account_id)
        if account is None or not account.enabled:
            return None
        return _Person(account, self._directory)

    async def _opened(self, share: Share, person: _Person) -> SharedMailbox | None:
        named = await self._named(share.address)
        if named is None or named.group is None:
            return None
        group = named.group
        account = account_of(group)
        if account is None:
            raise DirectoryMistake(reason="no immutable id", group=group.name)
        rights = await self._rights(share, named, person)
        if not rights:
            return None
        await self._prepare(account)
        return SharedMailbox(account, share.name, rights)

    async def _rights(self, share: Share, group: _Named, person: _Person) -> Rights:
        rights = NOTHING
        for who, granted in share.rights.items():
            takes_away = not granted and who != MEMBERS
            if granted <= rights and not takes_away:
                continue
            named: _Named | None = group
            if who != MEMBERS:
                local, _, domain = who.rpartition("@")
                named = await self._named(Address(local, domain))
            if named is not None and await person.is_meant_by(named):
                if takes_away:
                    return NOTHING
                rights |= granted
        return rights

    async def _named(self, address: Address) -> _Named | None:
        async def asked() -> _Named | None:
            found = await self._directory.find_recipient((address,))
            return _Named.of(found) if found is not None else None

        return await self._found.ask(address.key, asked)


@dataclass(frozen=True, slots=True)
class _Named:
    """Whom an address means: a person, or a group and its people."""

    people: frozenset[AccountId]
    group: Group | None = None

    @classmethod
    def of(cls, found: Account | Group) -> _Named:
        if isinstance(found, Account):
            return cls(frozenset((found.account_id,)))
        return cls(frozenset(each.account_id for each in found.people.values()), found)


class _Person:
    """Somebody, and the groups they are in, which are asked for once."""

    def __init__(self, account: Account, directory: Directory) -> None:
        self._account = account
        self._directory = directory
        self._groups: frozenset[str] | None = None

    async def is_meant_by(self, named: _Named) -> bool:
        if self._account.account_id in named.people:
            return True
        if named.group is None:
            return False
        # Of those in it some get no mail by it: who has no address, or is left out by a setting.
        if self._groups is None:
            groups = await self._directory.groups_of(self._account)
            self._groups = frozenset(each.group_id for each in groups)
        return named.group.group_id in self._groups
