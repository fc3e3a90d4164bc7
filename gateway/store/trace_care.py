"""What keeps the trace small and quick to search: joining, packing and removing rows of ``traces``.

A commit leaves a small row. Here many of them become one large one, compressed and with the hashes
of all it can be found by. What is older than it is kept for goes, and so does the oldest of what is
too much in all.

Owns when that is done. It is planned (read, hashed, compressed) in a reader thread, so deliveries
wait for nothing but the short transaction that puts a finished row in the place of those it was
made from; and while mail comes in fast, not even for that, unless very many rows have gathered. In
one process only: the one that cares for the store.

Invariant: fresh rows (without hashes) stand behind all packed ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.ports.clock import CallFromThread, WallClock
from gateway.store.blobs import StoredOctets
from gateway.store.readers import Pool
from gateway.store.trace_form import PackedRow, pack
from gateway.store.transaction import Transaction

LOOK_S = 5.0
CALM_BATCHES = 100
"""Commits between two looks: more than these are mail that comes in fast."""
JOIN_ROWS = 1_000
JOIN_OCTETS = 512 * 1024
"""A row of so many records is read in a few milliseconds, and there are few rows to look at."""
FULL_ROWS = 20_000
"""Fresh rows that are joined however fast mail comes in: searches look into all of them."""
JOINS_PER_LOOK = 20
REMOVE_ROWS = 16
"""Removed in one transaction; each gives back a hundred pages or so."""
TIDY_S = 3600.0

_LAST_PACKED = "SELECT coalesce(max(trace_row), 0) FROM traces WHERE length(keys) > 0"
_LAST_ROW = "SELECT coalesce(max(trace_row), 0) FROM traces"
_FRESH = (
    "SELECT trace_row, first_at, last_at, records FROM traces WHERE trace_row > ?"
    " ORDER BY trace_row LIMIT ?"
)
_SIZES = "SELECT trace_row, last_at, length(keys) + length(records) FROM traces ORDER BY trace_row"


@dataclass(frozen=True, slots=True)
class Joined:
    """One row in the place of others, all those from ``first`` to ``last``."""

    first: int
    last: int
    rows: int
    first_at: int
    last_at: int
    packed: PackedRow

    def put_in_place(self, tx: Transaction) -> None:
        """Raises: StoreUnavailable (they are others than those that were read)."""
        removed = tx.execute(
            "DELETE FROM traces WHERE trace_row BETWEEN ? AND ?", (self.first, self.last)
        )
        if removed != self.rows:
            raise StoreUnavailable(trace_rows=removed, expected=self.rows)
        tx.execute(
            "INSERT INTO traces (trace_row, first_at, last_at, keys, records)"
            " VALUES (?, ?, ?, ?, ?)",
            (self.last, self.first_at, self.last_at, self.packed.keys, self.packed.records),
        )


class TraceCare:
    """The care of one store's trace.

    Args:
        write: queues a write; the reactor's thread.
        keep_s: how long records are kept; 0: none are.
        max_octets: how much all of them may take.
    """

    log = Logger()

    def __init__(
        self,
        readers: Pool[StoredOctets],
        write: Callable[[Callable[[Transaction], None]], Deferred[None]],
        *,
        keep_s: int,
        max_octets: int,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        monotonic: Callable[[], float],
    ) -> None:
        self._readers = readers
        self._write = write
        self._keep_s = keep_s
        self._max_octets = max_octets
        self._call_from_thread = call_from_thread
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._batches = 0
        self._next_look_at = monotonic() + LOOK_S
        self._next_tidy_at = 0.0
        self._running = False

    # -- the committer's thread

    def committed(self) -> None:
        """A batch has been committed, by this process."""
        self._batches += 1

    def wait_s(self) -> float:
        """How long until ``look`` has something to do."""
        return max(0.0, self._next_look_at - self._monotonic())

    def look(self) -> None:
        """Begin what is due; returns at once."""
        now = self._monotonic()
        if now < self._next_look_at:
            return
        is_calm = self._batches <= CALM_BATCHES
        self._batches = 0
        self._next_look_at = now + LOOK_S
        if not self._running:
            self._running = True
            self._call_from_thread(lambda: self._begin(is_calm))

    # -- the reactor's thread

    def _begin(self, is_calm: bool) -> None:
        running: Deferred[None] = Deferred.fromCoroutine(self.run(is_calm))
        running.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        """A fault, or damage, which a repair removes: it would come again at the next look."""
        self.log.failure("the trace is not cared for until an hour from now", failure)
        self._next_look_at = self._monotonic() + TIDY_S

    async def run(self, is_calm: bool = True) -> None:
        """What is due. Never raises for trouble of the store: it comes again."""
        try:
            if self._monotonic() >= self._next_tidy_at:  # first: it needs less room than it gives
                self._next_tidy_at = self._monotonic() + TIDY_S
                await self._tidy()
            for _ in range(JOINS_PER_LOOK):
                if not await self._join(1 if is_calm else FULL_ROWS):
                    break
        except GatewayError as error:
            self.log.info("the trace has to wait for its care: {error}", error=str(error))
        finally:
            self._running = False

    async def _join(self, least: int) -> bool:
        """Join rows once; False when there are too few that are fresh."""
        joined = await self._readers.run(lambda stored: plan_join(stored.connection, least))
        if joined is None:
            return False
        await self._write(joined.put_in_place)
        return True

    async def _tidy(self) -> None:
        before = int(self._wall_clock()) - self._keep_s
        doomed = await self._readers.run(
            lambda stored: plan_removal(stored.connection, before, self._max_octets)
        )
        for start in range(0, len(doomed), REMOVE_ROWS):
            await self._write(partial(remove, rows=doomed[start : start + REMOVE_ROWS]))


def plan_join(connection: sqlite3.Connection, least: int = 1) -> Joined | None:
    """The next row to be made; None while too few rows are fresh."""
    (packed,) = connection.execute(_LAST_PACKED).fetchone()
    (last,) = connection.execute(_LAST_ROW).fetchone()
    if last - packed < least:
        return None
    rows: list[tuple[int, int, int, bytes]] = []
    octets = 0
    for row in connection.execute(_FRESH, (packed, JOIN_ROWS)):
        rows.append(row)
        octets += len(row[3])
        if octets >= JOIN_OCTETS:
            break
    if len(rows) < JOIN_ROWS and octets < JOIN_OCTETS:
        return None
    return Joined(
        first=rows[0][0],
        last=rows[-1][0],
        rows=len(rows),
        first_at=min(row[1] for row in rows),
        last_at=max(row[2] for row in rows),
        packed=pack([row[3] for row in rows]),
    )


def plan_removal(connection: sqlite3.Connection, before: int, max_octets: int) -> list[int]:
    """Rows whose time is over, and the oldest of those that are too many."""
    kept: list[tuple[int, int]] = []
    doomed: list[int] = []
    total = 0
    for row, last_at, octets in connection.execute(_SIZES).fetchall():
        if last_at < before:
            doomed.append(row)
        else:
            kept.append((row, octets))
            total += octets
    for row, octets in kept:
        if total <= max_octets:
            break
        doomed.append(row)
        total -= octets
    return doomed


def remove(tx: Transaction, rows: list[int]) -> None:
    marks = ", ".join("?" * len(rows))
    tx.execute(f"DELETE FROM traces WHERE trace_row IN ({marks})", rows)  # noqa: S608 - own names only
