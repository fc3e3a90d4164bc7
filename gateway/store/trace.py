"""The port TraceStore: what happened, kept in the table ``traces`` beside the mail.

Owns what goes into a commit: the records of the messages in it, and the notes that wait; one row
for all of them, in the transaction of the mail itself. Rows are joined, packed and removed by
``trace_care``; their form is in ``trace_form``.

Searches run in reader threads, the latest rows first, and end as soon as they have enough. A row
that cannot be read is left out and logged; ``gateway verify`` says which.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from twisted.logger import Logger

from gateway.core.new_ids import time_of
from gateway.core.trace import TraceRecord
from gateway.store.blobs import StoredOctets
from gateway.store.readers import Pool
from gateway.store.trace_form import Ids, Term, encode
from gateway.store.trace_notes import Note, Notes
from gateway.store.transaction import Transaction

TRACE_COLUMNS = "traces (first_at, last_at, keys, records)"
PIECE = 500
OUT_OF_ORDER_S = 3600
"""Rows are written in the order of time, but for clocks that are set and notes that waited."""
LOST = "lost"
"""The kind of the record about notes that were not kept."""

# With their records, and in one snapshot: they may be joined while somebody searches.
_FRESH = (
    "SELECT trace_row, first_at, last_at, keys, records FROM traces WHERE trace_row >"
    " (SELECT coalesce(max(trace_row), 0) FROM traces WHERE length(keys) > 0)"
    " ORDER BY trace_row DESC"
)
_PACKED = (
    "SELECT trace_row, first_at, last_at, keys FROM traces WHERE trace_row < ?"
    " AND last_at >= ? AND first_at <= ? ORDER BY trace_row DESC LIMIT ?"
)
_RECORDS = "SELECT records FROM traces WHERE trace_row = ?"
_LAST = 2**62

MOST_IDS = 200
"""Messages whose whole way is told; of older ones, what the term itself has found."""
Finder = Term | Ids

_log = Logger()


def note_of(record: TraceRecord) -> Note:
    return Note(record.at, encode(record))


class Traces:
    """The records of one store, as one process has them.

    Args:
        keep: False: nothing is noted.
        wake: tells the committer that the first note waits.
    """

    def __init__(
        self,
        notes: Notes,
        readers: Pool[StoredOctets],
        *,
        keep: bool,
        wake: Callable[[], None],
    ) -> None:
        self._notes = notes
        self._readers = readers
        self._keep = keep
        self._wake = wake

    def note(self, record: TraceRecord) -> None:
        note = self.with_message(record)
        if note is not None and self._notes.add(note):
            self._wake()

    def with_message(self, record: TraceRecord | None) -> Note | None:
        """What goes into the transaction of its message, which no record may keep from coming."""
        if record is None or not self._keep:
            return None
        try:
            return note_of(record)
        except (TypeError, ValueError):
            _log.failure("a trace record of {id} cannot be kept", id=record.trace_id)
            return None

    async def find(
        self, term: str, *, since: int | None = None, until: int | None = None, limit: int = 1000
    ) -> Sequence[TraceRecord]:
        looked_for = Term(term)
        if not looked_for.key:
            return ()
        span = (max(0, since or 0), _LAST if until is None else max(-1, min(until, _LAST)))
        return await self._readers.run(
            lambda stored: find_whole(stored.connection, looked_for, span, limit)
        )


def insert_row(tx: Transaction, notes: Sequence[Note]) -> None:
    """One row for all of them."""
    times = [note.at for note in notes]
    records = b"".join([note.line for note in notes])
    tx.insert(TRACE_COLUMNS, [(int(min(times)), int(max(times)), b"", records)])


def find_whole(
    connection: sqlite3.Connection, term: Term, span: tuple[int, int], limit: int
) -> Sequence[TraceRecord]:
    """What the term finds, and the whole way of the messages that it finds by a key."""
    found = find_in(connection, term, span, limit)
    by_key = [one.trace_id for one in found if "-" in one.trace_id]
    ids = {one for one in by_key[-MOST_IDS:] if not term.is_id_of(one)}
    if not ids:
        return found
    others = [one for one in found if one.trace_id not in ids]
    since = max(span[0], int(min(map(time_of, ids))) - OUT_OF_ORDER_S)  # nothing is older
    whole = [*others, *find_in(connection, Ids(ids), (since, span[1]), limit)]
    whole.sort(key=lambda one: one.at)
    return whole[-limit:]


def find_in(
    connection: sqlite3.Connection, term: Finder, span: tuple[int, int], limit: int
) -> Sequence[TraceRecord]:
    """The latest ``limit`` records in the span of time, ascending."""
    since, until = span
    found: list[tuple[float, int, int, TraceRecord]] = []
    cutoff = float(since)
    for row, first_at, last_at, keys, records in _rows(connection, span):
        if last_at < since or first_at > until:
            continue
        if last_at < cutoff - OUT_OF_ORDER_S:
            break
        for place, record in enumerate(_found(row, keys, records, connection, term)):
            if since <= record.at < until + 1:
                found.append((record.at, row, place, record))
        if len(found) > limit:
            found.sort(key=lambda one: one[:3])
            del found[:-limit]
            cutoff = found[0][0]
    found.sort(key=lambda one: one[:3])
    return tuple(record for *_, record in found[-limit:])


_Row = tuple[int, int, int, bytes, bytes | None]


def _rows(connection: sqlite3.Connection, span: tuple[int, int]) -> Iterator[_Row]:
    """From the latest on; packed ones without their records."""
    before = _LAST
    row: _Row
    for row in connection.execute(_FRESH):
        yield row
        before = row[0]
    while True:
        piece = connection.execute(_PACKED, (before, *span, PIECE)).fetchall()
        for packed in piece:
            yield (*packed, None)
        if len(piece) < PIECE:
            return
        before = piece[-1][0]


def _found(
    row: int, keys: bytes, records: bytes | None, connection: sqlite3.Connection, term: Finder
) -> list[TraceRecord]:
    """What the term finds in a row; nothing when that has gone meanwhile."""
    try:
        if not term.may_be_in(keys):
            return []
        if records is None:
            (records,) = connection.execute(_RECORDS, (row,)).fetchone() or (b"",)
        return list(term.records_in(records))
    except (ValueError, TypeError) as error:
        _log.error("trace row {row} cannot be read: {error}", row=row, error=str(error))
        return []
