"""People from an LDIF file: the directory of small sites, the demo and tests.

Owns the current snapshot of the file and when it is looked at again: at most once in
CHECK_INTERVAL_S, when somebody asks. A version that was written to within SETTLE_S may be the first
half of a copy, and whoever is missing there would be told to be unknown: it has to wait. A changed
file that cannot be used is logged loudly once and the people of the version before it stay.
Attributes and filters are those of an LDAP server, so a site can move to one without a change in
behaviour.

Never blocks the reactor after the constructor: files are read and passwords hashed in an own small
pool (more than ``waiting`` requests at once are refused as unavailable).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import (
    DirectoryMistake,
    DirectoryUnavailable,
    SettingsError,
    WrongCredentials,
)
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped, shown
from gateway.core.login_reasons import LoginReason
from gateway.core.login_secret import LoginSecret, SecretKind
from gateway.core.ports.clock import CallFromThread, WallClock
from gateway.core.ports.may_ask import MayAsk
from gateway.directory.entries import Entry, has_address
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import Ambiguous, is_group, owner_among
from gateway.directory.ldif.groups import FileGroups
from gateway.directory.ldif.people import People, Person, Signature, load_people, signature_of
from gateway.directory.logins import check_offer, login_is_possible, wanted_person
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from gateway.directory.threads import WorkerThreads

MAX_ANSWERS = 10_000
"""Addresses whose answer is kept; strangers can ask for any number of others."""

CHECK_INTERVAL_S = 1.0

SETTLE_S = 1.0
"""Without a write for so long, a file is taken to be whole."""


@dataclass(frozen=True, slots=True)
class Content:
    """One version of the file."""

    people: People
    groups: FileGroups


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the file brought: nothing new, a new version, or its mistakes.

    ``signature`` is None when there is no file.
    """

    signature: Signature | None
    content: Content | None = None
    error: SettingsError | None = None


class LdifDirectory:
    """A directory in one file. The constructor reads it and is blocking.

    Args:
        path: the LDIF file.
        call_from_thread: hands results to the reactor thread.
        schema: attributes and filters.
        monotonic: seconds that never jump.
        wall_clock: compared with the file's modification time.
        threads: how many passwords are hashed at once.
        waiting: how many requests may wait for that.

    Raises:
        SettingsError: the file cannot be used.
    """

    log = Logger()

    def __init__(
        self,
        path: Path,
        *,
        call_from_thread: CallFromThread,
        schema: Schema = OPENLDAP,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: WallClock = time.time,
        threads: int = 2,
        waiting: int = 256,
    ) -> None:
        self._path = path
        self._schema = schema
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._take_content(self._load())
        self._next_check = monotonic() + CHECK_INTERVAL_S
        self._checking = False
        self._broken: Look | None = None
        self._last_seen: Signature | None = None
        self._closed = False
        self._threads = WorkerThreads(
            "ldif", threads=threads, waiting=waiting, call_from_thread=call_from_thread
        )

    async def find_by_address(self, address: Address) -> Account | None:
        people = await self._current()
        # Every message asks this, mostly for the same people; a version of the file never changes.
        if address in self._answers:
            return self._answers[address]
        person = self._only(people.find(self._schema.by_address(address)))
        account = person.account if person is not None else None
        if account is not None and not has_address(account.addresses, address):
            account = None
        if len(self._answers) >= MAX_ANSWERS:
            self._answers.clear()
        self._answers[address] = account
        return account

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        # Every message asks this; the coroutine would be most of its cost.
        if self._closed or self._monotonic() >= self._next_check:
            await self._current()
        key = tuple(addresses)
        recipients, groups = self._recipients, self._groups
        if key in recipients:
            return recipients[key]
        found = groups.with_address(key, self._schema.recipients(key))
        entry = self._owner(found, key)
        answer: Account | Group | None = None
        if entry is not None:
            if is_group(entry, self._schema):
                answer = await self._resolved(groups, entry)
            else:
                answer = groups.account(entry)
        if len(recipients) >= MAX_ANSWERS:
            recipients.clear()
        recipients[key] = answer
        return answer

    async def find_group(self, address: Address) -> Group | None:
        await self._current()
        if self._schema.group is None:
            return None
        groups = self._groups
        found = groups.with_address((address,), self._schema.groups((address,)))
        entry = self._owner(found, (address,))
        return await self._resolved(groups, entry) if entry is not None else None

    async def groups_of(self, account: Account) -> Sequence[Group]:
        await self._current()
        return await groups_around(account, self._schema, self._groups)

    def _owner(self, found: Sequence[Entry], addresses: Sequence[Address]) -> Entry | None:
        try:
            return owner_among(found, addresses, self._schema)
        except Ambiguous as error:
            self._ambiguous(len(found), error.names)

    async def _resolved(self, groups: FileGroups, entry: Entry) -> Group:
        group = groups.resolved(entry)
        if group is None:  # in a thread, as everybody in it has to be looked up
            group = await self._threads.submit(partial(groups.resolve, entry))
        return group

    async def find(self, login_or_address: str) -> Account | None:
        wanted = wanted_person(login_or_address, self._schema)
        if wanted is None:
            return None
        people = await self._current()
        person = self._only(people.find(wanted))
        return person.account if person is not None else None

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        people = await self._current()
        return people.with_id(account_id)

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        if directory:
            raise DirectoryUnavailable(reason=f"no directory is called {shown(directory)}")
        people = await self._current()
        return people.page(after, limit)

    async def find_by_certificate(self, name: str) -> Account | None:
        if not self._schema.certificate_attribute:
            return await self.find(name)
        if not login_is_possible(name):
            return None
        people = await self._current()
        person = self._only(people.find(self._schema.by_certificate(name)))
        return person.account if person is not None else None

    def secret_kinds(self) -> frozenset[SecretKind]:
        return self._people.secret_kinds

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        return self._people.common_secret_kinds

    async def secret(self, login: str) -> LoginSecret | None:
        if not login_is_possible(login):
            return None
        people = await self._current()
        try:
            person = self._only(people.find(self._schema.by_login(login)))
        except DirectoryUnavailable:
            return None  # ambiguous: logged, and nobody's secret (SECURITY L5)
        return person.secret() if person is not None else None

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        check_offer(login, password)
        people = await self._current()
        reason = LoginReason.UNKNOWN
        try:
            person = self._only(people.find(self._schema.by_login(login)))
        except DirectoryUnavailable:
            # Logged, and wrong like everything else (SECURITY L5).
            person, reason = None, LoginReason.AMBIGUOUS
        stored = person.passwords if person is not None else ()
        right = await self._threads.submit(partial(people.verifier.verify, stored, password))
        if person is None:
            raise WrongCredentials(reason)
        account = person.account
        if not right:
            raise WrongCredentials(LoginReason.WRONG_PASSWORD, account_id=account.account_id)
        if not account.enabled:
            raise WrongCredentials(LoginReason.DISABLED, proven=True, account_id=account.account_id)
        if account.locked:
            raise WrongCredentials(LoginReason.LOCKED, proven=True, account_id=account.account_id)
        return account

    async def probe(self) -> str:
        self._next_check = self._monotonic()
        people = await self._current()
        if self._broken is not None and self._broken.error is not None:
            first = self._broken.error.problems[0]
            raise DirectoryUnavailable(reason=f"{first}; people of its last good version are used")
        return f"{self._path}: {len(people)} people"

    def health(self) -> Sequence[DirectoryHealth]:
        broken = self._broken.error if self._broken is not None else None
        if broken is None:
            return (DirectoryHealth(),)
        trouble = f"{broken.problems[0]}; people of its last good version are used"
        return (DirectoryHealth(degraded=True, trouble=shown(trouble, 300)),)

    async def close(self) -> None:
        self._closed = True
        await self._threads.close()

    def _warn_of_shared_addresses(self) -> None:
        if shared := self._people.shared_addresses():
            self.log.warn(
                "{path}: several people have one address, and its mail waits until only one has"
                " it: {addresses}",
                path=self._path,
                addresses=escaped(", ".join(shared[:10])),
            )

    def _only(self, found: list[Person]) -> Person | None:
        if len(found) > 1:
            names = ", ".join(shown(person.entry.dn) for person in found[:3])
            self._ambiguous(len(found), names)
        return found[0] if found else None

    def _ambiguous(self, count: int, names: str) -> NoReturn:
        self.log.error(
            "{path}: {count} entries match one login or address and nobody gets it: {names}",
            path=self._path,
            count=count,
            names=names,
        )
        raise DirectoryMistake(reason="ambiguous", entries=names)

    def _load(self) -> Content:
        """Raises: SettingsError."""
        people, others = load_people(self._path, self._schema)
        return Content(people, FileGroups(people, others, self._schema))

    def _take_content(self, content: Content) -> None:
        self._people = content.people
        self._groups = content.groups
        self._answers: dict[Address, Account | None] = {}
        self._recipients: dict[tuple[Address, ...], Account | Group | None] = {}
        self._warn_of_shared_addresses()

    async def _current(self) -> People:
        """The people now; looks at the file when it is time to."""
        if self._closed:
            raise DirectoryUnavailable(reason="closed")
        now = self._monotonic()
        if now < self._next_check or self._checking:
            return self._people
        self._next_check = now + CHECK_INTERVAL_S
        self._checking = True
        try:
            broken = self._broken.signature if self._broken is not None else None
            look = partial(self._look, {self._people.signature, broken} - {None})
            self._take(await self._threads.submit(look))
        except DirectoryUnavailable:
            if self._closed:
                raise
            # All threads are busy hashing: the next request looks again.
        finally:
            self._checking = False
        return self._people

    def _look(self, known: set[Signature | None]) -> Look:
        """In a thread: read the file if it is neither the version in use nor the broken one."""
        signature = None
        settled = True
        try:
            status = self._path.stat()
        except OSError:
            pass
        else:
            signature = signature_of(status)
            # Unchanged since the look before also counts: the file's clock may be ahead of ours.
            age_s = self._wall_clock() - status.st_mtime
            settled = age_s >= SETTLE_S or signature == self._last_seen
        if signature in known or not settled:
            return Look(signature)
        try:
            return Look(signature, self._load())
        except SettingsError as error:
            return Look(signature, error=error)

    def _take(self, look: Look) -> None:
        self._last_seen = look.signature
        if look.content is not None:
            self._take_content(look.content)
            self._broken = None
            self.log.info(
                "{path}: read again, {count} people", path=self._path, count=len(self._people)
            )
        elif look.error is not None:
            if self._broken is None or self._broken.signature != look.signature:
                self.log.error(
                    "{path} cannot be used, the people of its last good version stay: {error}",
                    path=self._path,
                    error=look.error,
                )
            self._broken = look
        elif look.signature == self._people.signature:
            self._broken = None  # the good version is back
