"""One refresh at one server: a listing or only what has changed, and then who is gone.

Owns the order that makes it safe: where the server stands is asked before it is listed, so that
what changes meanwhile comes with the next refresh; entries are put as they come; whoever leaves is
counted before anybody does (``safety``) and asked about by id (``settle``); the cursor is written
last of all. So whatever fails, or ends this process, leaves a picture that is right about
everybody who was seen and has lost nobody, and the next refresh does it again (SECURITY L15, L19).

Limits: a look for those who are gone every GONE_CHECK_S at most, LEFT_WINDOW_S of memory for losses
in small steps, a server that is behind is waited for BEHIND_S.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from twisted.logger import Logger

from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.people import PeopleChanged
from gateway.core.ports.picture import EntryKind, PicturedEntry, SourceState, WritesPicture
from gateway.directory.ldap.asking import LdapFailed, Listening
from gateway.directory.picture.cursor import Cursor
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.progress import Progress
from gateway.directory.picture.questions import in_pages, with_all_values
from gateway.directory.picture.safety import EXAMPLES, Leaving, objection
from gateway.directory.picture.settle import missing, settle
from gateway.directory.picture.source import BATCH, MAIN, Source
from gateway.directory.picture.strategies.choice import ByListing, way_at
from gateway.directory.picture.strategies.csn import Behind
from gateway.directory.picture.strategies.stamps import ServerTime
from gateway.directory.picture.strategies.way import PositionLost, Way
from gateway.wire.ldap.messages import SearchEntry

GONE_CHECK_S = 300
STOPPED_LISTING_S = 600
"""While refreshing has stopped, so that a directory that is mended goes on by itself."""
LISTING_ONLY_S = 240
"""Where nothing but a listing tells of changes."""
LEFT_WINDOW_S = 3600
BEHIND_S = 600


@dataclass(slots=True)
class Memory:
    """What one refresh leaves to the next in the same process."""

    clock: ServerTime
    behind_since: float | None = None
    progress: Progress = field(default_factory=Progress)


class Round:
    """Made for one refresh."""

    log = Logger()

    def __init__(
        self,
        source: Source,
        picture: WritesPicture,
        tells: PeopleChanged,
        listening: Listening,
        memory: Memory,
        *,
        timers: Timers,
        wall_clock: WallClock,
    ) -> None:
        self._source = source
        self._picture = picture
        self._tells = tells
        self._listening = listening
        self._memory = memory
        self._timers = timers
        self._now = int(wall_clock())

    async def run(self, *, accepted: bool = False) -> None:
        """Args: accepted: an administrator has agreed to what a stop holds back.

        Raises:
            LdapFailed: no usable answer; nobody was removed for it.
            GatewayError: the picture, or whoever is told, cannot take it now.
        """
        source, progress = self._source, self._memory.progress
        state = self._picture.state(source.name)
        cursor = Cursor.parse(state.cursor)
        way = await way_at(
            self._listening,
            source,
            self._memory.clock,
            self._timers,
            known=cursor.way if cursor is not None else "",
        )
        progress.way, progress.server = way.traits.name, self._listening.server.name
        why = self._why_to_list(state, cursor, way, accepted)
        if cursor is not None and not why:
            try:
                await self._learn(state, cursor, way)
                self._memory.behind_since = None
                return
            except PositionLost as lost:
                why = str(lost)
            except Behind:
                why = self._behind_for_long()
                if not why:
                    raise
        if self._may_rest(state, cursor, way, accepted):
            return
        await self._list(state, cursor, way, why, accepted)
        self._memory.behind_since = None

    def _may_rest(
        self, state: SourceState, cursor: Cursor | None, way: Way, accepted: bool
    ) -> bool:
        """Where each refresh is a listing, they are not as frequent."""
        if way.traits.name != ByListing.traits.name or accepted:
            return False
        if cursor is None or cursor.way != way.traits.name or self._changed(cursor):
            return False
        return 0 <= self._now - state.listed_at < LISTING_ONLY_S

    def _changed(self, cursor: Cursor) -> bool:
        return cursor.fingerprint != self._source.fingerprint

    def _why_to_list(
        self, state: SourceState, cursor: Cursor | None, way: Way, accepted: bool
    ) -> str:
        """Empty: what has changed is enough."""
        if cursor is None or not state.listed_at:
            return "there is no complete picture"
        if self._changed(cursor):
            return "the settings of the directory, or what is kept of entries, have changed"
        if cursor.way != way.traits.name:
            return f"changes come by {way.traits.name} now, not by {cursor.way}"
        if accepted:
            return "an administrator accepts what has been held back"
        since = self._now - state.listed_at
        if since < 0 or since >= self._source.listing_s:
            return "the last complete listing is too long ago"
        if state.stopped and since >= STOPPED_LISTING_S:
            return "somebody is held back"
        return ""

    def _behind_for_long(self) -> str:
        now = self._timers.seconds()
        if self._memory.behind_since is None:
            self._memory.behind_since = now
        waited = now - self._memory.behind_since
        return "the server has been behind for long: restored?" if waited >= BEHIND_S else ""

    # -- listing

    async def _list(
        self, state: SourceState, cursor: Cursor | None, way: Way, why: str, accepted: bool
    ) -> None:
        source, progress = self._source, self._memory.progress
        self.log.info(
            "directory {name}: listing everybody at {server}, as {why}",
            name=source.name or MAIN,
            server=escaped(progress.server),
            why=why,
        )
        progress.listing_begins(self._timers.seconds())
        try:
            number = await self._picture.new_listing(source.name)
            differ = Differ(source, self._picture, self._tells, self._timers, listing=number)
            await way.begin()

            async def taken(found: Sequence[SearchEntry]) -> None:
                await differ.take(await self._with_all_values(way.see(found)))
                progress.listed(differ.taken, self._timers.seconds())

            await in_pages(self._listening, source.listing(*way.traits.attributes), taken)
            if not differ.taken and not state.people:
                raise LdapFailed(
                    f"nobody is found below {escaped(source.base)}: look at base_dn, person_filter"
                    " and what the service account may read"
                )
            progress.unusable, progress.unusable_examples = differ.unusable, differ.examples
            strict = cursor is not None and (self._changed(cursor) or cursor.strict)
            people, groups = await self._picture.count_unseen(source.name, number)
            first = await self._picture.unseen(source.name, number, EXAMPLES)
            leaving = self._leaving(state, cursor, differ, people, groups, first)
            agreed = cursor.held if accepted and cursor is not None else None
            stopped = objection(
                leaving, source.mass_change_percent, other_settings=strict, accepted=agreed
            )
            if not stopped:
                await self._settle_unseen(differ, number)
                await settle(self._listening, source, differ, list(differ.withheld))
                await self._tells.listed(source.name)
            position = way.position()
            new = Cursor(
                way.traits.name if position is not None else ByListing.traits.name,
                source.fingerprint,
                position or {},
                held=leaving.total if stopped else 0,
                strict=bool(stopped) and strict,
                checked_at=self._now,
            )
            if not stopped:
                new = self._with_left(new, cursor, leaving)
            await self._note(state, new, stopped, listed=True)
        finally:
            progress.listing_ends(self._timers.seconds())
        self.log.info(
            "directory {name}: {count} entries listed in {seconds:.1f} s, {unusable} of them not"
            " usable",
            name=source.name or MAIN,
            count=differ.taken,
            seconds=progress.listing_took_s,
            unusable=differ.unusable,
        )

    async def _settle_unseen(self, differ: Differ, number: int) -> None:
        name = self._source.name
        before: list[str] = []
        while batch := await self._picture.unseen(name, number, BATCH):
            ids = sorted(each.entry_id for each in batch)
            if ids == before:
                raise LdapFailed("whoever a listing has not seen cannot be settled")
            before = ids
            await settle(self._listening, self._source, differ, ids)

    async def _with_all_values(self, found: Sequence[SearchEntry]) -> list[SearchEntry]:
        members = self._source.schema.members
        return [await with_all_values(self._listening, each, members) for each in found]

    # -- changes

    async def _learn(self, state: SourceState, cursor: Cursor, way: Way) -> None:
        source = self._source
        differ = Differ(source, self._picture, self._tells, self._timers)
        learnt = await way.changes(cursor.position, differ)
        gone = await differ.known(list(dict.fromkeys(learnt.gone)))
        there: Collection[str] | None = learnt.there
        unchecked = cursor.unchecked or not learnt.quiet
        checked_at = cursor.checked_at
        if not way.traits.sees_gone and unchecked and self._is_due(checked_at):
            there = await self._list_ids(differ)
            unchecked, checked_at = False, self._now
        if there is not None:
            known = {each.entry_id for each in gone}
            left = await missing(self._picture, source, there, self._timers)
            gone += [each for each in left if each.entry_id not in known]
        people = sum(each.kind is EntryKind.PERSON for each in gone)
        groups = sum(each.kind is EntryKind.GROUP for each in gone)
        leaving = self._leaving(state, cursor, differ, people, groups, gone)
        stopped = state.stopped or objection(leaving, source.mass_change_percent)
        new = replace(cursor, position=learnt.position, checked_at=checked_at, unchecked=unchecked)
        if stopped:
            # Nobody leaves; who should, the next listing finds anew.
            new = replace(new, held=max(cursor.held, leaving.total))
        else:
            await settle(self._listening, source, differ, [each.entry_id for each in gone])
            await settle(self._listening, source, differ, list(differ.withheld))
            new = self._with_left(new, cursor, leaving)
        progress = self._memory.progress
        progress.changed += differ.changed
        if differ.unusable:
            progress.unusable_examples = differ.examples
            progress.unusable = max(progress.unusable, differ.unusable)
        await self._note(state, new, stopped, listed=False)

    def _is_due(self, checked_at: int) -> bool:
        return not 0 <= self._now - checked_at < GONE_CHECK_S

    def _is_recent(self, cursor: Cursor | None) -> bool:
        return cursor is not None and 0 <= self._now - cursor.left_since < LEFT_WINDOW_S

    def _with_left(self, new: Cursor, cursor: Cursor | None, leaving: Leaving) -> Cursor:
        if cursor is not None and self._is_recent(cursor):
            return replace(new, left=cursor.left + leaving.total, left_since=cursor.left_since)
        return replace(new, left=leaving.total, left_since=self._now) if leaving.total else new

    async def _list_ids(self, differ: Differ) -> set[str]:
        """Of everybody; whoever is not in the picture comes into it."""
        there: set[str] = set()
        strangers: list[str] = []

        async def taken(found: Sequence[SearchEntry]) -> None:
            ids = list(map(self._source.id_of, found))
            there.update(ids)
            known = {each.entry_id for each in await differ.known(ids)}
            strangers.extend(each for each in ids if each not in known)

        await in_pages(self._listening, self._source.ids(), taken)
        await settle(self._listening, self._source, differ, strangers)
        return there

    # -- both

    def _leaving(
        self,
        state: SourceState,
        cursor: Cursor | None,
        differ: Differ,
        people: int,
        groups: int,
        first: Sequence[PicturedEntry],
    ) -> Leaving:
        lately = cursor.left if cursor is not None and self._is_recent(cursor) else 0
        names = [differ.name_of(each) for each in first[:EXAMPLES]]
        names += list(differ.withheld.values())[:EXAMPLES]
        return Leaving(
            people, groups, len(differ.withheld), state.people, state.groups, lately, names
        )

    async def _note(
        self, state: SourceState, cursor: Cursor, stopped: str, *, listed: bool
    ) -> None:
        if stopped and stopped != state.stopped:
            self.log.warn(
                "directory {name}: nobody is removed, as {why}. If that is right:"
                " gateway user reconcile --accept",
                name=self._source.name or MAIN,
                why=stopped,
            )
        if state.stopped and not stopped:
            self.log.info(
                "directory {name}: nobody is held back any more",
                name=self._source.name or MAIN,
            )
        await self._picture.note(
            self._source.name,
            SourceState(
                cursor=str(cursor),
                listed_at=self._now if listed else state.listed_at,
                refreshed_at=self._now,
                stopped=stopped,
            ),
        )
