"""One write transaction, as the operations inside it see it.

Owns the connection that writes, savepoints, ids, and the record of what a commit must be followed
by (events for the feed, files to remove, segments to look at, people to warn) and of what goes into
the trace with it. Used by the committer's thread alone. Operations never begin or commit; they may
raise, and are undone alone.

Rows are inserted many to a statement, because each statement hands the interpreter lock to other
threads several times, and getting it back from a busy reactor is what writing would wait for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent
from gateway.core.quota import Usage
from gateway.store.engine import by_index
from gateway.store.trace_notes import Note

Row = tuple[Any, ...]

ID_BLOCK = 256
"""Ids are claimed in blocks; those unused at a stop are skipped for ever."""
# One prepared statement for each number of rows up to this and each table; together with the others
# they stay below engine.STATEMENT_CACHE.
ROWS_PER_STATEMENT = 64
K = TypeVar("K")
MAX_UID_VALIDITY = 2**32 - 1


def in_pieces(values: Sequence[K], mark: str = "?") -> Iterator[tuple[Sequence[K], str]]:
    """For ``x IN (…)``: as many as a statement takes at once, with the marks for them.

    The last one is repeated up to a power of two, so that there are few different statements.
    """
    for start in range(0, len(values), ROWS_PER_STATEMENT):
        piece = [*values[start : start + ROWS_PER_STATEMENT]]
        piece += [piece[-1]] * ((1 << (len(piece) - 1).bit_length()) - len(piece))
        yield piece, ", ".join([mark] * len(piece))


def in_pairs(pairs: Sequence[tuple[int, Any]]) -> Iterator[tuple[list[Any], str]]:
    """The same for pairs of an id and something, as a table with ``column1`` and ``column2``; none
    comes twice, and ids of nothing (0) fill it up."""
    for start in range(0, len(pairs), ROWS_PER_STATEMENT):
        piece = pairs[start : start + ROWS_PER_STATEMENT]
        values = [each for pair in piece for each in pair]
        rows = 1 << (len(piece) - 1).bit_length()
        values += [0, ""] * (rows - len(piece))
        yield values, f"(VALUES {', '.join(['(?, ?)'] * rows)}) AS wanted"


class Transaction:
    """What an operation gets. Every id handed out is new, also after a roll-back or a crash."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._cursor = connection.cursor()
        self._ids: dict[str, tuple[int, int]] = {}
        self._insert_sql: dict[tuple[str, int], str] = {}
        self._has_savepoint = self._has_work = False
        self._filling_before = self._traced_before = 0
        self.reset()

    def reset(self, now: int = 0) -> None:
        """Forget what the last transaction was to be followed by."""
        self.now = now
        self.events: dict[MailboxId, MailboxEvent] = {}
        self.queue_grew = False
        self.blobs_freed = False
        self.new_inboxes: dict[AccountId, MailboxId] = {}
        self.dead_files: list[str] = []
        self.dead_segments: list[int] = []
        self.shrunk_segments: list[int] = []
        self.filling: list[tuple[AccountId, Usage]] = []
        self.traced: list[Note] = []

    # -- for operations

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; returns how many rows it changed."""
        return self._cursor.execute(sql, parameters).rowcount

    def fetch_all(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        return self._cursor.execute(sql, parameters).fetchall()

    def fetch_one(self, sql: str, parameters: Sequence[object] = ()) -> Any | None:
        rows = self._cursor.execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    def insert(self, into: str, rows: Sequence[Row], conflict: str = "") -> None:
        """Insert rows, many to a statement. ``into`` is ``table (column, …)``, ``conflict`` what
        follows the rows."""
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            chunk = rows[start : start + ROWS_PER_STATEMENT]
            count = len(chunk)
            key = (into, count)
            sql = self._insert_sql.get(key)
            if sql is None:
                one = "(" + ", ".join("?" * len(chunk[0])) + ")"
                sql = f"INSERT INTO {into} VALUES {', '.join([one] * count)}{conflict}"  # noqa: S608 - own names only
                self._insert_sql[key] = sql
            self._cursor.execute(sql, [value for row in chunk for value in row])

    def next_id(self, name: str) -> int:
        """A new id of the kind ``name`` (a row of ``counters``)."""
        next_free, end = self._ids.get(name, (0, 0))
        if next_free >= end:
            row = self.fetch_one(
                "UPDATE counters SET value = value + ? WHERE name = ? RETURNING value",
                (ID_BLOCK, name),
            )
            assert row is not None, name
            next_free, end = row[0] - ID_BLOCK + 1, row[0] + 1
        self._ids[name] = (next_free + 1, end)
        return next_free

    def new_uid_validity(self) -> int:
        """Higher than any given before (RFC 3501 section 2.3.1.1).

        Starts from the clock, so that a store restored from an old backup does not repeat values
        given after the backup was made.
        """
        return self.new_uid_validities(1)

    def new_uid_validities(self, count: int) -> int:
        """The first of so many that follow each other."""
        least = min(self.now, MAX_UID_VALIDITY // 2) - 1
        row = self.fetch_one(
            "UPDATE counters SET value = CASE WHEN value < ? THEN ? ELSE value END + ?"
            " WHERE name = 'uid_validity' RETURNING value",
            (least, least, count),
        )
        assert row is not None
        return int(row[0]) - count + 1

    def touch(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> None:
        """Tell watchers of the mailbox after the commit."""
        self.events[mailbox_id] = MailboxEvent(account_id, mailbox_id, ModSeq(modseq))

    def count_in_segments(self, records: Iterable[tuple[int, int]]) -> None:
        """Count records (segment id, octets) as live."""
        totals: dict[int, tuple[int, int]] = {}
        for segment_id, octets in records:
            blobs, size = totals.get(segment_id, (0, 0))
            totals[segment_id] = (blobs + 1, size + octets)
        for segment_id, (blobs, size) in totals.items():
            self.execute(
                "INSERT INTO segments (segment_id, live_blobs, live_octets) VALUES (?, ?, ?)"
                " ON CONFLICT (segment_id) DO UPDATE SET"
                " live_blobs = segments.live_blobs + excluded.live_blobs,"
                " live_octets = segments.live_octets + excluded.live_octets",
                (segment_id, blobs, size),
            )

    # -- for the committer

    def begin(self, now: int) -> None:
        self.reset(now)
        self._has_work = False
        self._cursor.execute("BEGIN IMMEDIATE")

    def set_savepoint(self) -> None:
        # Nothing was kept before the first operation: beginning again undoes it as well.
        self._has_savepoint = self._has_work
        self._filling_before = len(self.filling)
        self._traced_before = len(self.traced)
        if self._has_savepoint:
            self._cursor.execute("SAVEPOINT operation")

    def keep(self) -> None:
        if self._has_savepoint:
            self._cursor.execute("RELEASE operation")
        self._has_work = True

    def undo(self) -> None:
        """Back to the savepoint. What was learnt inside it about ids and inboxes is forgotten."""
        if self._has_savepoint:
            self._cursor.execute("ROLLBACK TO operation")
            self._cursor.execute("RELEASE operation")
        else:
            self._cursor.execute("ROLLBACK")
            self._cursor.execute("BEGIN IMMEDIATE")
        del self.filling[self._filling_before :]
        del self.traced[self._traced_before :]
        self._forget()

    def sweep(self, open_segment: int) -> None:
        """Remove blobs nobody points to, and segments in which nothing is left."""
        self.blobs_freed = False
        dead = self.fetch_all(
            "SELECT segment_id, count(*), sum(size_octets), min(file_name) FROM blobs"  # noqa: S608 - own names only
            f"{by_index('blobs_dead')} WHERE refs = 0 GROUP BY segment_id, file_name"
        )
        if not dead:
            return
        for segment_id, blobs, octets, file_name in dead:
            if file_name:
                self.dead_files.append(file_name)
            else:
                self.shrunk_segments.append(segment_id)
                self.execute(
                    "UPDATE segments SET live_blobs = live_blobs - ?, live_octets = live_octets - ?"
                    " WHERE segment_id = ?",
                    (blobs, octets, segment_id),
                )
        self.execute(
            "DELETE FROM summaries WHERE blob_id IN (SELECT blob_id FROM blobs WHERE refs = 0)"
        )
        self.execute("DELETE FROM blobs WHERE refs = 0")
        self.dead_segments += [
            segment_id
            for (segment_id,) in self.fetch_all(
                "DELETE FROM segments WHERE live_blobs = 0 AND segment_id <> ?"
                " RETURNING segment_id",
                (open_segment,),
            )
        ]

    def commit(self) -> None:
        self._cursor.execute("COMMIT")

    def roll_back(self) -> None:
        """Give everything up; safe when the engine has done so itself."""
        self._forget()
        if self.connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def _forget(self) -> None:
        self._ids.clear()
        self.new_inboxes.clear()
