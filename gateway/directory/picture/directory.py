"""A directory that is asked for in its picture first: people and groups are found without a trip.

Owns the order of who is asked. As long as the picture is fresh, whoever is in it is known from it;
whoever is not may be new, so the servers are asked, once in a while. When it is stale the servers
come first. When they are down, known people are known however old what is known of them is, and of
others nobody can say (451 4.4.3, never 550); a group is expanded then as far as a complete picture
shows, or not at all. A mistake in the directory that the servers tell of is
final: nothing that is remembered stands in for it (SECURITY L5).

Passwords, certificates and secrets are the servers' alone, so that whoever bears an old name by now
never gets the mailbox that went with it. Never writes into the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import (
    DirectoryMistake,
    DirectoryUnavailable,
    ExpansionFailed,
    StoreUnavailable,
)
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.directory import Directory
from gateway.core.ports.may_ask import MayAsk
from gateway.core.ports.picture import EntryKind, PicturedEntry
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import Ambiguous
from gateway.directory.groups.resolving import group_from
from gateway.directory.ldap.seldom import Seldom
from gateway.directory.logins import login_is_possible
from gateway.directory.picture.briefs import entry_in
from gateway.directory.picture.caches import Asked, Resolved
from gateway.directory.picture.entries import Absent, NotHere, PictureEntries
from gateway.directory.picture.keys import address_key
from gateway.directory.picture.lookup import Lookup, Pictured, Standing

T = TypeVar("T")

GROUPS_OF_S = 60.0
BY_ID_S = 20.0
"""Sessions of whoever was disabled end within a minute also while the picture is stale."""
NOBODY_BY_ID_S = 5.0
"""Sessions end, and mailboxes may be deleted, by such an answer: a second look has to ask again."""


class PicturedDirectory:
    """Implements ``core.ports.directory.Directory``.

    Args:
        servers: what is asked where the picture does not do.
        timers: let others run between pieces of long work.
    """

    log = Logger()

    def __init__(
        self,
        servers: Directory,
        pictured: Pictured,
        *,
        timers: Timers,
        wall_clock: WallClock = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = servers
        self._pictured = pictured
        self._timers = timers
        self._monotonic = monotonic
        self._lookup = Lookup(pictured, Seldom(timers), wall_clock=wall_clock, monotonic=monotonic)
        self._recipients: Asked[tuple[str, ...], Account | Group] = Asked(monotonic)
        self._owners: Asked[str, Account] = Asked(monotonic)
        self._named: Asked[str, Account] = Asked(monotonic)
        self._by_id: Asked[AccountId, Account] = Asked(
            monotonic, found_s=BY_ID_S, nobody_s=NOBODY_BY_ID_S
        )
        self._groups: Asked[str, Group] = Asked(monotonic)
        self._around: Asked[AccountId, tuple[Group, ...]] = Asked(
            monotonic, found_s=GROUPS_OF_S, most_found=1000
        )
        self._resolving: Asked[tuple[str, int, Absent], Group] = Asked(
            monotonic, found_s=0, most_found=1
        )
        self._resolved = {Absent.NOT_HERE: Resolved(), Absent.NOBODY_BELOW_BASE: Resolved()}
        self._closed = False

    # -- who gets mail

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        # Every recipient comes this way: for whoever is in the picture nothing here ever waits.
        if self._lookup.standing is Standing.FRESH and not self._closed:
            found = self._lookup.recipient(addresses)
            if type(found) is Account and self._lookup.says_still(found):
                return found
            if isinstance(found, PicturedEntry):
                group = self._known(found) or await self._resolve(found)
                if group is not None:
                    return group
        key = tuple(map(address_key, addresses))
        return await self._ask(
            self._recipients,
            key,
            lambda: self._servers.find_recipient(addresses),
            lambda: self._recipient_in_picture(addresses),
        )

    async def find_group(self, address: Address) -> Group | None:
        if self._pictured.schema.group is None:
            return None
        if self._fresh:
            group = await self._group_in_picture(address)
            if group is not None:
                return group
        return await self._ask(
            self._groups,
            address_key(address),
            lambda: self._servers.find_group(address),
            lambda: self._group_in_picture(address, self._in_outage),
        )

    async def groups_of(self, account: Account) -> Sequence[Group]:
        if self._fresh and not self._lookup.has_dynamic_groups:
            groups = await self._groups_around(account)
            if groups is not None:
                return groups

        async def asked() -> tuple[Group, ...]:
            return tuple(await self._servers.groups_of(account))

        return (
            await self._ask(
                self._around, account.account_id, asked, lambda: self._groups_around(account)
            )
            or ()
        )

    # -- people

    async def find_by_address(self, address: Address) -> Account | None:
        return await self._find(
            self._owners,
            address_key(address),
            lambda: self._lookup.person(address),
            lambda: self._servers.find_by_address(address),
        )

    async def find(self, login_or_address: str) -> Account | None:
        if not login_is_possible(login_or_address):
            return None
        return await self._find(
            self._named,
            login_or_address,
            lambda: self._lookup.called(login_or_address),
            lambda: self._servers.find(login_or_address),
        )

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        return await self._find(
            self._by_id,
            account_id,
            lambda: self._lookup.by_id(account_id),
            lambda: self._servers.find_by_id(account_id),
            self._fresh and self._lookup.age_s <= self._pictured.recent_s,
        )

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        name = self._pictured.source
        if self._closed or self._lookup.standing is Standing.ABSENT or directory not in ("", name):
            return await self._servers.people(after, limit, directory=directory)
        return self._lookup.page(after, limit)

    def whence(self, addresses: Sequence[Address]) -> str:
        """What an answer about these comes from just now, for administrators."""
        standing = self._lookup.standing
        age = f"refreshed {self._lookup.age_s:.0f} s ago"
        if standing is Standing.ABSENT:
            return "the directory's servers, as there is no complete picture of it"
        if standing is Standing.STALE:
            return f"the directory's servers, as the picture of it, {age}, is stale"
        try:
            found = self._lookup.recipient(addresses)
        except DirectoryMistake:
            found = None
        if found is None:
            return f"the directory's servers, as nobody in the picture of it, {age}, has this"
        return f"the picture of the directory, {age}"

    # -- the servers' alone

    async def find_by_certificate(self, name: str) -> Account | None:
        return await self._servers.find_by_certificate(name)

    def secret_kinds(self) -> frozenset[SecretKind]:
        return self._servers.secret_kinds()

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        return self._servers.common_secret_kinds()

    async def secret(self, login: str) -> LoginSecret | None:
        return await self._servers.secret(login)

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        return await self._servers.authenticate(login, password, may_ask)

    async def probe(self) -> str:
        return await self._servers.probe()

    def health(self) -> Sequence[DirectoryHealth]:
        return self._servers.health()

    async def close(self) -> None:
        self._closed = True
        await self._servers.close()

    # -- in what order

    @property
    def _fresh(self) -> bool:
        return self._lookup.standing is Standing.FRESH and not self._closed

    async def _find(
        self,
        asked: Asked[Any, Account],
        key: object,
        look: Callable[[], Account | None],
        question: Callable[[], Coroutine[Any, Any, Account | None]],
        fresh: bool | None = None,
    ) -> Account | None:
        if self._fresh if fresh is None else fresh:
            account = look()
            if account is not None and self._lookup.says_still(account):
                return account

        async def looked() -> Account | None:
            return look()

        return await self._ask(asked, key, question, looked)

    async def _ask(
        self,
        asked: Asked[Any, T],
        key: object,
        question: Callable[[], Coroutine[Any, Any, T | None]],
        look: Callable[[], Coroutine[Any, Any, T | None]],
    ) -> T | None:
        """The servers, or what is remembered when they are down: of what they have said and what
        the picture holds whichever is newer."""
        if self._closed:
            raise DirectoryUnavailable(reason="closed")
        try:
            return await asked.ask(key, question)
        except DirectoryMistake:
            raise
        except DirectoryUnavailable as error:
            outage = error
        remembered = asked.remembered(key)
        if remembered is not None and remembered[0] <= self._lookup.age_s:
            return remembered[1]
        known = await look() if self._lookup.standing is not Standing.ABSENT else None
        if known is None and remembered is not None:
            known = remembered[1]
        if known is None:
            raise outage
        return known

    # -- groups

    async def _recipient_in_picture(self, addresses: Sequence[Address]) -> Account | Group | None:
        found = self._lookup.recipient(addresses)
        if not isinstance(found, PicturedEntry):
            return found
        absent = self._in_outage
        return self._known(found, absent) or await self._resolve(found, absent)

    async def _group_in_picture(
        self, address: Address, absent: Absent = Absent.NOT_HERE
    ) -> Group | None:
        found = self._lookup.by_address(address, EntryKind.GROUP)
        if found is None:
            return None
        return self._known(found, absent) or await self._resolve(found, absent)

    @property
    def _in_outage(self) -> Absent:
        """What it means that a member is not in the picture, while nobody can be asked: a dead one
        must not hold up the mail of all others."""
        known = self._lookup.shows_everybody
        return Absent.NOBODY_BELOW_BASE if known else Absent.NOT_HERE

    def _known(self, kept: PicturedEntry, absent: Absent = Absent.NOT_HERE) -> Group | None:
        return self._resolved[absent].get(kept.entry_id, self._lookup.version)

    async def _resolve(self, kept: PicturedEntry, absent: Absent = Absent.NOT_HERE) -> Group | None:
        """The group with everybody in it; None: the picture does not say."""
        version = self._lookup.version
        return await self._resolving.ask(
            (kept.entry_id, version, absent), lambda: self._expand(kept, version, absent)
        )

    async def _expand(self, kept: PicturedEntry, version: int, absent: Absent) -> Group | None:
        pictured = self._pictured
        try:
            whole = pictured.picture.entry(kept.source, kept.entry_id)
            entry = None if whole is None else entry_in(whole.whole)
            if entry is None:
                return None
            entries = self._entries(absent)
            group = await group_from(entry, pictured.schema, entries, pause=self._pause)
        except (NotHere, StoreUnavailable):
            return None
        except Ambiguous as error:
            raise DirectoryMistake(reason="ambiguous", entries=error.names) from None
        except ExpansionFailed as error:
            self.log.error("a group of the directory: {error}", error=shown(str(error), 500))
            raise
        self._resolved[absent].put(kept.entry_id, version, group)
        return group

    async def _groups_around(self, account: Account) -> tuple[Group, ...] | None:
        entries = self._entries(Absent.NOBODY)
        try:
            return tuple(await groups_around(account, self._pictured.schema, entries))
        except (NotHere, StoreUnavailable):
            return None

    def _entries(self, absent: Absent) -> PictureEntries:
        pictured = self._pictured
        return PictureEntries(
            pictured.picture,
            pictured.source,
            pictured.schema,
            self._account_now,
            self._pause,
            base=pictured.base,
            absent=absent,
        )

    def _account_now(self, kept: PicturedEntry) -> Account | None:
        account = self._lookup.account_of(kept)
        return account if account is not None and self._lookup.says_still(account) else None

    async def _pause(self) -> None:
        breath: Deferred[None] = Deferred()
        self._timers.callLater(0, breath.callback, None)
        await breath
