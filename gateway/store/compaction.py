"""Compaction: what lives in mostly dead segments moves to the newest one; so deleting frees disk.

Owns the choice of the segment, the pace, and one step: the last living records of the segment are
read against their checksums and appended to the newest segment (one write, one fdatasync), one
transaction points the index to the copies, and only then is the old file cut behind its last living
record, or removed. Until that transaction is durable nothing but the copies has changed, and they
are dead octets without it; so a step may fail or be the last anywhere, and the next one finds in
the index all it needs. Going from the end gives space back with each step, which needs room for one
step only.

Runs in the committer's thread, between batches, in one process only. Others write meanwhile: their
growing segments are left alone, what they delete between the look and the move is left out, and
once in LOOK_S all segments are looked at if others have committed. Memory: one step's octets. Never
drops a record it cannot read: its segment stays as it is until the next start. Readers that looked
up the old place look again (``blobs``).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from twisted.logger import Logger

from gateway.core.errors import StoreDamaged, StoreFull, StoreUnavailable
from gateway.store import engine
from gateway.store.blobs import Location, SegmentFiles
from gateway.store.files import Files
from gateway.store.layout import Layout
from gateway.store.operations import Operation
from gateway.store.pins import Pins
from gateway.store.reserve import OPENING_OCTETS, Reserve
from gateway.store.segments import HEADER, Placed, SegmentWriter, is_growing
from gateway.store.transaction import Transaction

STEP_RECORDS = 512  # as many as a batch of deliveries
LOOKS_PER_STEP = 256
LOOK_S = 60.0
PINNED_S = 1.0  # until it is asked again whether a backup has ended
WORK_SHARE = 5  # a step is followed by a pause of four times its length, on a slow disk as well

_LAST = (
    "SELECT blob_id, size_octets, segment_id, segment_offset, file_name, head, checksums FROM blobs"
    " WHERE segment_id = ? ORDER BY segment_offset DESC LIMIT ?"
)
# Only what still lies where it was read, and somebody still points to.
_MOVE = (
    "UPDATE blobs SET segment_id = ?, segment_offset = ?"
    " WHERE blob_id = ? AND segment_id = ? AND segment_offset = ? AND refs > 0"
)
_IS_THERE = "SELECT 1 FROM blobs WHERE blob_id = ? AND segment_id = ? AND segment_offset = ?"


@dataclass(frozen=True, slots=True)
class Pace:
    """When a segment is compacted, and how fast.

    Args:
        dead_share: the part of a segment that must be dead. At one half, no octet is copied without
            another being freed, and the segments take at most twice what lives in them (besides the
            newest). Less would copy more for less; more would leave more dead octets lying.
        step_octets: copied at once. A delivery behind a step waits for it, so this is a fraction of
            what a batch may take; one record may be larger, and is then a step of its own.
        pause_s: at least so long after a step, when nothing else waits for the committer.
        busy_pause_s: so much longer while batch follows batch.
        retry_s: after a failed step. Its copies may have stayed behind as dead octets, so a disk
            that goes on failing is not asked often.
    """

    dead_share: float = 0.5
    step_octets: int = 1024 * 1024
    pause_s: float = 0.05
    busy_pause_s: float = 1.0
    retry_s: float = 60.0


class _Record(NamedTuple):
    blob_id: int
    at: Location


@dataclass(slots=True)
class _Work:
    """The segment in hand, for the log."""

    segment_id: int
    octets: int
    moved: int = 0


class Compactor:
    """Compacts segments step by step. Made before the committer's thread starts, then used by it
    alone; ``connection`` is the one that writes."""

    log = Logger()

    def __init__(
        self,
        connection: sqlite3.Connection,
        segments: SegmentWriter,
        files: Files,
        layout: Layout,
        reserve: Reserve,
        monotonic: Callable[[], float],
        pace: Pace,
    ) -> None:
        self._connection = connection
        self._segments = segments
        self._files = files
        self._layout = layout
        self._reserve = reserve
        self._monotonic = monotonic
        self._pace = pace
        self._reading = SegmentFiles(layout)
        self._pins = Pins(layout)
        self._work: _Work | None = None
        self._left_alone: set[int] = set()
        self._has_failed = False
        self._next_at = 0.0
        # After a start any segment may be mostly dead; later only those that something left.
        self._to_look_at = self._all_segments()
        self._foreign_commits = -1
        self._next_look_at = monotonic() + LOOK_S

    def look_at(self, segment_ids: Iterable[int]) -> None:
        """Something in these segments has died."""
        self._to_look_at.update(segment_ids)

    def look_at_foreign(self) -> None:
        """Now and then: other processes delete too, and do not say from which segments."""
        if self._monotonic() < self._next_look_at:
            return
        self._next_look_at = self._monotonic() + LOOK_S
        try:
            commits = engine.foreign_commits(self._connection)
            if commits != self._foreign_commits:
                self._to_look_at |= self._all_segments()
                self._foreign_commits = commits
        except sqlite3.Error:
            return  # the next look is soon

    def wait_s(self) -> float | None:
        """How long until a step may run if nothing else waits; None when there is nothing to do."""
        if not self._has_work():
            return None
        return max(0.0, self._next_at - self._monotonic())

    def is_overdue(self) -> bool:
        """Whether a step shall run although more batches may be waiting."""
        return self._has_work() and self._monotonic() >= self._next_at + self._pace.busy_pause_s

    def step(self, serve: Callable[[Operation[None]], None]) -> None:
        """Do a little. Never raises; ``serve`` runs an operation as a batch of its own."""
        began = self._monotonic()
        if not self._pins.allow_removal():
            self._next_at = began + PINNED_S  # a step now would only take more room
            return
        pause_s = self._pace.pause_s
        work = self._work
        try:
            work = self._work = work or self._choose()
            if work is not None and not self._advance(work, serve):
                self._finish(work)
        except StoreDamaged as damage:
            assert work is not None
            self._leave_alone(work, damage)
        except (StoreUnavailable, sqlite3.Error) as error:
            if not self._has_failed:
                self.log.warn("compaction has to wait: {error}", error=error)
            self._has_failed = True
            pause_s = self._pace.retry_s
        except Exception:
            # It can wait for the next start; whoever writes cannot.
            self.log.failure("compaction has stopped")
            self._work = None
            self._to_look_at.clear()
        ended = self._monotonic()
        self._next_at = ended + max(pause_s, (WORK_SHARE - 1) * (ended - began))

    def close(self) -> None:
        self._reading.close()
        self._pins.close()

    def _all_segments(self) -> set[int]:
        rows = self._connection.execute("SELECT segment_id FROM segments")
        return {segment_id for (segment_id,) in rows}

    def _has_work(self) -> bool:
        # The newest segment has its turn when it grows no more.
        growing = self._segments.current_id in self._to_look_at
        return self._work is not None or len(self._to_look_at) > growing

    def _choose(self) -> _Work | None:
        growing = self._segments.current_id
        looks = [one for one in self._to_look_at if one != growing][:LOOKS_PER_STEP]
        for segment_id in looks:
            size = self._size(segment_id)
            chosen = (
                segment_id not in self._left_alone
                and self._is_mostly_dead(segment_id, size)
                and not is_growing(self._layout, segment_id)
            )
            self._to_look_at.discard(segment_id)
            if chosen:
                return _Work(segment_id, size)
        return None

    def _size(self, segment_id: int) -> int:
        """0 when there is no such file, which whoever reads from it is told."""
        try:
            return self._layout.segment(segment_id).stat().st_size
        except OSError:
            return 0

    def _is_mostly_dead(self, segment_id: int, size: int) -> bool:
        row = self._connection.execute(
            "SELECT live_blobs, live_octets FROM segments WHERE segment_id = ?", (segment_id,)
        ).fetchone()
        if row is None:
            return False  # gone altogether
        blobs, octets = row
        dead = size - octets - blobs * HEADER.size
        return blobs == 0 or (size > 0 and dead >= max(1, self._pace.dead_share * size))

    def _advance(self, work: _Work, serve: Callable[[Operation[None]], None]) -> bool:
        """Free what can be freed by one step; False when the segment is done with.

        Raises:
            StoreDamaged: a record cannot be read.
            StoreUnavailable: the step failed, and nothing has changed.
        """
        size = self._cut(work.segment_id)
        if not self._is_mostly_dead(work.segment_id, size):
            return False
        records = self._last_records(work.segment_id)
        records, octets = self._read(records)
        if not self._reserve.make_room(2 * sum(map(len, octets)) + OPENING_OCTETS):
            raise StoreFull(compaction="no room for one step")
        placed = self._segments.append(octets) if octets else []
        operation = Operation(
            partial(_move, segment_id=work.segment_id, records=records, placed=placed),
            uses_reserve=True,
        )
        serve(operation)
        if operation.error is not None:
            if isinstance(operation.error, StoreUnavailable):
                raise operation.error
            raise StoreUnavailable(reason=type(operation.error).__name__) from operation.error
        self._has_failed = False
        work.moved += sum(HEADER.size + len(one) for one in octets)
        self._cut(work.segment_id)
        return True

    def _cut(self, segment_id: int) -> int:
        """Give back what lies behind the last living record; returns the file's size then."""
        size = self._size(segment_id)
        last = self._connection.execute(_LAST, (segment_id, 1)).fetchone()
        if last is None:
            return size
        at = Location(*last[1:])
        end = at.segment_offset + HEADER.size + at.size_octets
        if end < size and self._pins.allow_removal():
            # A failure costs nothing: the file goes as a whole when all has moved.
            with contextlib.suppress(OSError):
                self._files.truncate(self._layout.segment(segment_id), end)
                return end
        return size

    def _last_records(self, segment_id: int) -> list[_Record]:
        """The living records from the end that make one step, in the order of the file."""
        rows = self._connection.execute(_LAST, (segment_id, STEP_RECORDS)).fetchall()
        records: list[_Record] = []
        octets = 0
        for row in rows:
            record = _Record(row[0], Location(*row[1:]))
            octets += record.at.size_octets
            if records and octets > self._pace.step_octets:
                break
            records.append(record)
        return records[::-1]

    def _read(self, records: Sequence[_Record]) -> tuple[list[_Record], list[bytes]]:
        """Those that are still there, with their octets. Raises: StoreDamaged."""
        there: list[_Record] = []
        octets: list[bytes] = []
        for record in records:
            blob_id, at = record
            try:
                octets.append(self._reading.read(at, 0, at.size_octets))
            except StoreDamaged:
                # Another process may have deleted it, and its segment with it.
                place = (blob_id, at.segment_id, at.segment_offset)
                if self._connection.execute(_IS_THERE, place).fetchone() is not None:
                    raise
            else:
                there.append(record)
        return there, octets

    def _finish(self, work: _Work) -> None:
        self._work = None
        self._reading.close()
        left = self._size(work.segment_id)
        self.log.info(
            "segment {id} compacted: {freed} octets freed, {moved} octets moved, {left} left",
            id=work.segment_id, freed=work.octets - left - work.moved, moved=work.moved, left=left,
        )  # fmt: skip

    def _leave_alone(self, work: _Work, damage: StoreDamaged) -> None:
        self._work = None
        self._reading.close()
        self._left_alone.add(work.segment_id)
        self.log.error("segment {id} stays until the next start, as not all can be read: {damage}",
                       id=work.segment_id, damage=damage)  # fmt: skip


def _move(
    tx: Transaction, *, segment_id: int, records: Sequence[_Record], placed: Sequence[Placed]
) -> None:
    """Point the index to the copies of what another process has not deleted meanwhile."""
    kept: list[tuple[int, int]] = []
    for (blob_id, at), place in zip(records, placed, strict=True):
        if tx.execute(
            _MOVE, (place.segment_id, place.offset, blob_id, segment_id, at.segment_offset)
        ):
            kept.append((place.segment_id, at.size_octets))
    tx.count_in_segments(kept)
    tx.execute(
        "UPDATE segments SET live_blobs = live_blobs - ?, live_octets = live_octets - ?"
        " WHERE segment_id = ?",
        (len(kept), sum(size for _, size in kept), segment_id),
    )
    if tx.execute("DELETE FROM segments WHERE segment_id = ? AND live_blobs = 0", (segment_id,)):
        tx.dead_segments.append(segment_id)
