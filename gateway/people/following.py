"""Follows people as the directory changes: the port PeopleChanged, and comparing notes with it.

Owns that each change is noted before the picture holds it, a batch in one write, and that a
comparison finds what nobody has told: somebody who went, moved or was disabled while the picture
was lost, while there was none, or in a file. A comparison asks the directory by id about everybody
who has mailboxes, one after the other. The directory's trouble ends it and changes nothing
(SECURITY L15). More than a few who would be gone at once are held back until an administrator
accepts it; nobody's mailbox is ever touched.

Runs in the process that runs the queue, and where an administrator asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.people import PersonChange
from gateway.core.ports.people_notes import PeopleNotes, PersonNote, Resident, Writing
from gateway.core.shared_mailboxes import is_of_a_group
from gateway.directory.picture.safety import FEW, Leaving, objection
from gateway.people.rules import Event, Planned, folded, plan

T = TypeVar("T")

PIECE = 500
PAGE = 200
SLICE = 50
MOST_LOGGED = 20
MOST_TOLD = 100
MOST_DOUBTED = 100_000
ENDED_AT_ONCE = 1000


class FindsPeople(Protocol):
    """What is needed of a directory; see ``core.ports.directory``."""

    async def find_by_id(self, account_id: AccountId) -> Account | None: ...

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None: ...


@dataclass(slots=True)
class Compared:
    """A comparison.

    Args:
        with_mailboxes: people in the directory who have some.
        events: what was found and is noted now; the first MOST_TOLD.
        count: how many there were.
        held: why nobody of ``gone`` is noted as such; empty: they are.
        gone: people found gone now.
        unfinished: why not everybody was looked at; empty: everybody was.
    """

    looked_at: int = 0
    with_mailboxes: int = 0
    events: list[Event] = field(default_factory=list)
    count: int = 0
    gone: int = 0
    held: str = ""
    unfinished: str = ""


class PeopleFollower:
    """Implements ``core.ports.people.PeopleChanged``.

    Args:
        keep_s: how long addresses that people lose are theirs still; 0: they are not.
        mass_change_percent: see ``directory.picture.safety``.
        pause: lets others run.
        on_listed: a directory has been listed as a whole; soon is a good time to compare.
    """

    log = Logger()

    def __init__(
        self,
        notes: PeopleNotes,
        directory: FindsPeople,
        *,
        keep_s: int,
        mass_change_percent: int,
        wall_clock: WallClock,
        pause: Callable[[], Coroutine[Any, Any, None]],
        on_listed: Callable[[], None],
    ) -> None:
        self._notes = notes
        self._directory = directory
        self._keep_s = keep_s
        self._percent = mass_change_percent
        self._wall_clock = wall_clock
        self._pause = pause
        self._on_listed = on_listed
        self._writing = DeferredLock()
        self._comparing = DeferredLock()
        self._told: set[AccountId] = set()
        self._doubted: dict[str, AccountId] = {}

    # -- PeopleChanged

    async def changed(self, changes: Sequence[PersonChange]) -> None:
        if self._comparing.locked:
            self._told.update(each.account_id for each in changes)
        for start in range(0, len(changes), PIECE):
            await self._note(changes[start : start + PIECE])

    async def listed(self, source: str) -> None:
        # The picture says that it is complete only after this.
        self._on_listed()

    # -- comparing

    async def compare(
        self, *, dry_run: bool = False, accept: bool = False, told: Compared | None = None
    ) -> Compared:
        """Look at everybody who has mailboxes or is noted.

        Args:
            dry_run: write nothing.
            accept: that many are gone at once is right.
            told: is filled meanwhile.

        Raises:
            StoreUnavailable: some of it may be noted.
        """
        compared = Compared() if told is None else told
        await _alone(self._comparing, lambda: self._compare(dry_run, accept, compared))
        return compared

    async def _compare(self, dry_run: bool, accept: bool, compared: Compared) -> None:
        self._told.clear()
        gone: list[PersonChange] = []
        after, here = "", 0
        while not compared.unfinished:
            page = await self._notes.residents(after, PAGE)
            people = [each for each in page if not is_of_a_group(each.account_id)]
            found = await self._looked_up(people, compared)
            here += sum(each.note is None or not each.note.gone_since for each in people)
            gone += [each for each in found if each.after is None]
            await self._take([each for each in found if each.after is not None], compared, dry_run)
            if len(page) < PAGE:
                break
            after = page[-1].account_id
        await self._settle_gone(gone, here, compared, dry_run, accept)
        if not dry_run:
            await self._settle_doubts()
            await self._end_old()

    async def _looked_up(self, page: Sequence[Resident], compared: Compared) -> list[PersonChange]:
        found: list[PersonChange] = []
        for position, each in enumerate(page):
            if position % SLICE == SLICE - 1:
                await self._pause()
            try:
                account = await self._directory.find_by_id(each.account_id)
            except DirectoryUnavailable as error:
                compared.unfinished = str(error)
                return found
            compared.looked_at += 1
            if account is not None:
                compared.with_mailboxes += each.octets is not None
                found.append(PersonChange("", None, account))
            elif each.note is None or not each.note.gone_since:
                found.append(PersonChange("", _as_noted(each), None))
        return found

    async def _settle_gone(
        self,
        gone: Sequence[PersonChange],
        here: int,
        compared: Compared,
        dry_run: bool,
        accept: bool,
    ) -> None:
        compared.gone = len(gone)
        examples = [each.before.login or each.account_id for each in gone[:5] if each.before]
        leaving = Leaving(len(gone), 0, 0, here, 0, examples=examples)
        if not accept and len(gone) > FEW:
            compared.held = objection(leaving, self._percent)
        if compared.held:
            self.log.error(
                "people who have mailboxes are not found any more, which is not believed until an"
                " administrator accepts it (`gateway user reconcile --accept`): {why}",
                why=escaped(compared.held),
            )
            return
        for start in range(0, len(gone), PIECE):
            await self._take(gone[start : start + PIECE], compared, dry_run)

    async def _take(
        self, changes: Sequence[PersonChange], compared: Compared, dry_run: bool
    ) -> None:
        # Who was told of meanwhile is known better than what was looked up before.
        planned = await self._note(
            [each for each in changes if each.account_id not in self._told], dry_run=dry_run
        )
        compared.count += len(planned.events)
        compared.events += planned.events[: MOST_TOLD - len(compared.events)]

    # -- noting

    async def _note(self, changes: Sequence[PersonChange], *, dry_run: bool = False) -> Planned:
        return await _alone(self._writing, lambda: self._write(changes, dry_run))

    async def _write(self, changes: Sequence[PersonChange], dry_run: bool) -> Planned:
        ids = {each.account_id for each in changes}
        addresses = {
            address
            for change in changes
            for account in (change.before, change.after)
            if account is not None
            for address in folded(account.addresses)
        }
        known = await self._notes.known(ids, addresses)
        noted = {each for note in known.notes.values() for each in note.addresses} - addresses
        if noted:
            more = await self._notes.known((), noted)
            known = replace(known, former={**known.former, **more.former})
        planned = plan(changes, known, int(self._wall_clock()), keep=self._keep_s > 0)
        if dry_run or not planned.writing:
            return planned
        await self._notes.write(planned.writing)
        for each in planned.writing.begin:
            if len(self._doubted) < MOST_DOUBTED:
                self._doubted[each.address] = each.account_id
        if self._doubted:
            self._on_listed()
        for event in planned.events[:MOST_LOGGED]:
            self.log.info("directory: {event}", event=escaped(event))
        more_events = len(planned.events) - MOST_LOGGED
        if more_events > 0:
            self.log.info("directory: and {count} more changes of people", count=more_events)
        return planned

    async def _settle_doubts(self) -> None:
        """Somebody may have had an address already when its former owner was told of."""
        doubted, self._doubted = self._doubted, {}
        for position, (text, account_id) in enumerate(doubted.items()):
            if position % SLICE == SLICE - 1:
                await self._pause()
            local, _, domain = text.rpartition("@")
            try:
                owner = await self._directory.find_recipient((Address(local, domain),))
            except DirectoryUnavailable:
                continue  # it is asked before former addresses count
            if owner is not None:
                await _alone(self._writing, partial(self._end, text, account_id))

    async def _end(self, address: str, account_id: AccountId) -> None:
        there = (await self._notes.known((), (address,))).former.get(address)
        if there is not None and there.account_id == account_id:
            await self._notes.write(Writing(end=[address]))
            self.log.info("{address} has another owner already", address=escaped(address))

    async def _end_old(self) -> None:
        if self._keep_s <= 0:
            return
        since = int(self._wall_clock()) - self._keep_s
        while await self._notes.end_before(since, ENDED_AT_ONCE) >= ENDED_AT_ONCE:
            await self._pause()


def _as_noted(resident: Resident) -> Account:
    note = resident.note or PersonNote(resident.account_id)
    return Account(
        note.account_id,
        note.login,
        note.primary_address,
        note.addresses,
        enabled=not note.disabled_since,
    )


async def _alone(lock: DeferredLock, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """One after the other."""
    await lock.acquire()
    try:
        return await work()
    finally:
        lock.release()
