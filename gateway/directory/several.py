"""Several directories as one: by domain where the settings say so, else in their order.

Owns who of them is asked. An address of a domain that directories name is looked for in those
alone; everything else in those that name none, the first one in the settings first, and whoever has
it there has it. One that cannot be asked ends the search: what it would have said comes first, and
nobody may get another's mail because a server is down. Never compares what two of them say; that
an address is in two is found in their pictures and told there.

Ids that are unique in the world (UUIDs, objectGUIDs) stay as they are. Others, as a file may have
them, get the directory's name behind them, but those of ``[directory]`` itself, so that a second
directory never takes over mailboxes of the first.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.core.group import Group, Named
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.login_reasons import LoginReason
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.core.ports.directory import Directory
from gateway.core.ports.may_ask import NOTHING_TOLD, MayAsk, PasswordState
from gateway.core.ports.people import PeopleChanged, PersonChange
from gateway.wire.address import AddressSyntax, parse_mailbox

MAIN = ""
"""The name of the one that stands in ``[directory]``."""

# UUIDs with and without hyphens, and nsUniqueId of 389 Directory Server.
_UNIQUE = re.compile(
    r"[0-9a-f]{8}(?:-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|(?:-[0-9a-f]{8}){3})\Z", re.IGNORECASE
)
_MARK = "@"  # in no id (``directory.entries``)


@dataclass(frozen=True, slots=True)
class Served:
    """One of the directories.

    Args:
        name: of its section in the settings; MAIN for ``[directory]``.
        domains: whose addresses are looked for here; none: those that no directory names.
    """

    name: str
    directory: Directory
    domains: frozenset[str] = frozenset()


def as_one(served: Sequence[Served]) -> Directory:
    """What is asked: the only one itself, where there are no others and it takes all domains."""
    first = served[0]
    return first.directory if len(served) == 1 and not first.domains else SeveralDirectories(served)


class SeveralDirectories:
    """Implements ``core.ports.directory.Directory`` over others, in their order."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = tuple(served)
        self._named = {domain for each in served for domain in each.domains}

    # -- people and groups

    async def find_by_address(self, address: Address) -> Account | None:
        for each in self._for_domain(address.domain):
            found = await each.directory.find_by_address(address)
            if found is not None:
                return _marked(found, each.name)
        return None

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        # Address by address: the first that anybody has counts, whoever that is.
        for address in addresses:
            for each in self._for_domain(address.domain):
                found = await each.directory.find_recipient((address,))
                if isinstance(found, Account):
                    return _marked(found, each.name)
                if found is not None:
                    return _marked_group(found, each.name)
        return None

    async def find(self, login_or_address: str) -> Account | None:
        return await self._first(login_or_address, lambda one: one.find(login_or_address))

    async def find_by_certificate(self, name: str) -> Account | None:
        return await self._first(name, lambda one: one.find_by_certificate(name))

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        for each, own in self._may_have(account_id):
            found = await each.directory.find_by_id(own)
            if found is not None:
                return _marked(found, each.name)
        return None

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        served = [each for each in self._served if not directory or directory == _called(each)]
        if not served:
            names = ", ".join(map(_called, self._served))
            raise DirectoryUnavailable(reason=f"no directory {shown(directory)}; there is {names}")
        own, _, name = after.partition(_MARK)
        behind = False
        found: list[tuple[str, int, Account]] = []
        for index, each in enumerate(served):
            page = list(await each.directory.people(own, limit))
            if behind and own and not _UNIQUE.match(own):
                # A later directory's namesake of the last one told stands right behind it.
                namesake = await each.directory.find_by_id(AccountId(own))
                page += [namesake] if namesake is not None else []
            behind = behind or each.name == name
            found += ((one.account_id, index, _marked(one, each.name)) for one in page)
        found.sort(key=lambda one: one[:2])
        return [account for _, _, account in found[:limit]]

    async def find_group(self, address: Address) -> Group | None:
        for each in self._for_domain(address.domain):
            found = await each.directory.find_group(address)
            if found is not None:
                return _marked_group(found, each.name)
        return None

    async def groups_of(self, account: Account) -> Sequence[Group]:
        # In their own directory alone: the same id may be somebody else's in another.
        for each, own in self._may_have(account.account_id):
            groups = await each.directory.groups_of(replace(account, account_id=own))
            if groups:
                return [_marked_group(group, each.name) for group in groups]
        return []

    # -- logins

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        refusal = WrongCredentials(LoginReason.UNKNOWN)
        for each in self._for_login(login):
            try:
                asking = _MarkedAsking(may_ask, each.name) if may_ask is not None else None
                account = await each.directory.authenticate(login, password, asking)
            except WrongCredentials as error:
                # Only who is nobody there may be somebody in the next: one password, one owner.
                if error.reason is not LoginReason.UNKNOWN:
                    if error.account_id is not None:
                        error.account_id = marked_id(error.account_id, each.name)
                    raise
                refusal = error
            else:
                return _marked(account, each.name)
        raise refusal

    def secret_kinds(self) -> frozenset[SecretKind]:
        return frozenset().union(*(each.directory.secret_kinds() for each in self._served))

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        first, *others = (each.directory.common_secret_kinds() for each in self._served)
        return first.intersection(*others)

    async def secret(self, login: str) -> LoginSecret | None:
        for each in self._for_login(login):
            secret = await each.directory.secret(login)
            if secret is not None:
                return replace(secret, account=_marked(secret.account, each.name))
            if await each.directory.find(login) is not None:
                return None  # somebody whose secret is not kept; not somebody else's turn
        return None

    # -- the whole

    async def probe(self) -> str:
        said, troubles = [], []
        for each in self._served:
            try:
                said.append(f"{_called(each)}: {await each.directory.probe()}")
            except DirectoryUnavailable as error:
                troubles.append(f"{_called(each)}: {error}")
        if troubles:
            raise DirectoryUnavailable(reason="; ".join(troubles + said))
        return "; ".join(said)

    def health(self) -> Sequence[DirectoryHealth]:
        return [
            replace(health, name=health.name or each.name)
            for each in self._served
            for health in each.directory.health()
        ]

    async def close(self) -> None:
        for each in self._served:
            await each.directory.close()

    # -- who is asked

    def _may_have(self, account_id: AccountId) -> Iterator[tuple[Served, AccountId]]:
        """Where somebody with this id may be, and their id there."""
        own, mark, name = account_id.partition(_MARK)
        for each in self._served:
            if each.name == name if mark else each.name == MAIN or _UNIQUE.match(account_id):
                yield each, AccountId(own)

    def _for_domain(self, domain: str) -> list[Served]:
        if domain in self._named:
            return [each for each in self._served if domain in each.domains]
        return [each for each in self._served if not each.domains]

    def _for_login(self, login: str) -> Sequence[Served]:
        """An address of a domain that is named belongs there; a bare name may be anybody's."""
        try:
            domain = parse_mailbox(login).domain.lower()
        except AddressSyntax:
            return self._served
        return self._for_domain(domain) if domain in self._named else self._served

    async def _first(
        self, name: str, ask: Callable[[Directory], Awaitable[Account | None]]
    ) -> Account | None:
        for each in self._for_login(name):
            found = await ask(each.directory)
            if found is not None:
                return _marked(found, each.name)
        return None


class MarkedChanges:
    """Tells whoever follows people of them by the ids they have among several directories."""

    def __init__(self, follower: PeopleChanged) -> None:
        self._follower = follower

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        await self._follower.changed(
            [
                replace(
                    each,
                    before=_marked(each.before, each.source) if each.before is not None else None,
                    after=_marked(each.after, each.source) if each.after is not None else None,
                )
                for each in changes
            ]
        )

    async def listed(self, source: str) -> None:
        await self._follower.listed(source)


class _MarkedAsking:
    """The port MayAsk, asked by the ids that people have among several directories."""

    def __init__(self, may_ask: MayAsk, name: str) -> None:
        self._may_ask = may_ask
        self._name = name

    async def allowed(self, account_id: AccountId, state: PasswordState = NOTHING_TOLD) -> None:
        await self._may_ask.allowed(marked_id(account_id, self._name), state)


def _called(served: Served) -> str:
    return served.name or "directory"


def _marked(account: Account, name: str) -> Account:
    account_id = marked_id(account.account_id, name)
    return account if account_id is account.account_id else replace(account, account_id=account_id)


def marked_id(account_id: AccountId, name: str) -> AccountId:
    """What an id of the directory with this name is called among several."""
    if name == MAIN or _UNIQUE.match(account_id):
        return account_id
    return AccountId(f"{account_id}{_MARK}{name}")


def _marked_group(group: Group, name: str) -> Group:
    people = {address: _marked(account, name) for address, account in group.people.items()}
    # The name of one without an id is its DN, which is as unique as directories are.
    group_id = marked_id(AccountId(group.group_id), name)
    posting = group.posting
    if posting.says_anything:
        allowed = None if posting.allowed is None else _marked_named(posting.allowed, name)
        refused = _marked_named(posting.refused, name)
        posting = replace(posting, allowed=allowed, refused=refused)
    return replace(
        group,
        group_id=group_id,
        people=people,
        owners=_marked_named(group.owners, name),
        posting=posting,
        delegates=_marked_named(group.delegates, name),
    )


def _marked_named(named: Named, name: str) -> Named:
    return replace(named, people=frozenset(marked_id(each, name) for each in named.people))
