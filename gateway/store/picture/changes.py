"""What the writer of the picture does in its thread: transactions of bounded size.

Owns the statements that change the file. One entry is never half there: what is put in pieces is
cut between entries, at PIECE rows. An entry that is put as it was costs no write but the number of
the listing that saw it. Counts of people and groups move in the transaction that moves them.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from gateway.core.ports.picture import EntryKind, PicturedEntry, SharedKey, SourceState
from gateway.store.picture.reading import KINDS

PIECE = 20_000
"""Rows in one transaction, not counting those of a single larger entry."""
SHARED_IDS = 20
_KIND_BITS = 3

_SOURCE = "SELECT number, listing FROM sources WHERE name = ?"
# A picture that is made anew must not come to a version that processes know of the lost one.
_NEW_SOURCE = "INSERT INTO sources (name, version) VALUES (?, abs(random() % 1000000000000))"
_NOTE = (
    "UPDATE sources SET cursor = ?, listed_at = ?, refreshed_at = ?, stopped = ? WHERE number = ?"
)
_COUNT = (
    "UPDATE sources SET people = people + ?, groups = groups + ?, version = version + ?"
    " WHERE number = ?"
)
_RESET = (
    "UPDATE sources SET cursor = '', listed_at = 0, refreshed_at = 0, stopped = '' WHERE number = ?"
)
_KNOWN = (
    "SELECT e.number, e.kind, e.brief, w.keys, w.whole FROM entries AS e"
    " CROSS JOIN wholes AS w ON w.entry = e.number"
    " WHERE e.source = ? AND e.kind IN (1, 2, 3) AND e.entry_id = ?"
)
_ADD = "INSERT INTO entries (source, kind, entry_id, brief) VALUES (?, ?, ?, ?)"
_CHANGE = "UPDATE entries SET kind = ?, brief = ? WHERE number = ?"
_WHOLE = "INSERT OR REPLACE INTO wholes (entry, keys, whole) VALUES (?, ?, ?)"
_LISTED = "INSERT OR REPLACE INTO listed (entry, source, listing) VALUES (?, ?, ?)"
_SAW = (
    "UPDATE listed SET listing = ? WHERE listing < ? AND entry = (SELECT number FROM entries"
    " WHERE source = ? AND kind IN (1, 2, 3) AND entry_id = ?)"
)
_NAME = "SELECT number FROM names WHERE name = ?"
_ADD_NAME = "INSERT INTO names (name) VALUES (?)"
_ADD_KEY = "INSERT OR IGNORE INTO keys (kind, name, entry) VALUES (?, ?, ?)"
_DROP_KEY = "DELETE FROM keys WHERE kind = ? AND name = ? AND entry = ?"
# A name that nothing is found by any more goes with the last key.
_DROP_NAME = (
    "DELETE FROM names WHERE number = ? AND NOT EXISTS"
    " (SELECT 1 FROM keys WHERE kind IN (1, 2, 3, 4, 5) AND name = names.number)"
)
_DROP = (
    "DELETE FROM entries WHERE number = ?",
    "DELETE FROM wholes WHERE entry = ?",
    "DELETE FROM listed WHERE entry = ?",
)
_UNSEEN = (
    "SELECT e.entry_id, e.kind, e.brief FROM listed AS l CROSS JOIN entries AS e"
    " ON e.number = l.entry WHERE l.source = ? AND l.listing < ? ORDER BY l.listing LIMIT ?"
)
_COUNT_UNSEEN = (
    "SELECT e.kind, count(*) FROM listed AS l CROSS JOIN entries AS e ON e.number = l.entry"
    " WHERE l.source = ? AND l.listing < ? GROUP BY e.kind"
)
_IDS = "SELECT entry_id FROM entries WHERE source = ? LIMIT ?"
_SHARED = (
    "SELECT n.name, k.name FROM (SELECT name FROM keys WHERE kind = ? GROUP BY name"
    " HAVING count(*) > 1) AS k CROSS JOIN names AS n ON n.number = k.name ORDER BY n.name LIMIT ?"
)
_OWNERS = (
    "SELECT s.name, e.entry_id FROM keys AS k CROSS JOIN entries AS e ON e.number = k.entry"
    " CROSS JOIN sources AS s ON s.number = e.source"
    " WHERE k.kind = ? AND k.name = ? ORDER BY s.name, e.entry_id LIMIT ?"
)


class Changes:
    """Changes of an open file. Any method may raise sqlite3.Error, with what it did undone from
    the piece on that failed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._moved: dict[int, Counter[int]] = {}

    def put(self, entries: Sequence[PicturedEntry], listing: int) -> None:
        for piece in _pieces(entries):
            with self._transaction():
                for entry in piece:
                    self._put(entry, listing)

    def saw(self, source: str, entry_ids: Sequence[str], listing: int) -> None:
        with self._transaction():
            number, _ = self._source(source)
            rows = ((listing, listing, number, entry_id) for entry_id in entry_ids)
            self._connection.executemany(_SAW, rows)

    def remove(self, source: str, entry_ids: Sequence[str]) -> None:
        with self._transaction():
            number, _ = self._source(source)
            for entry_id in entry_ids:
                self._remove(number, entry_id)

    def new_listing(self, source: str) -> int:
        with self._transaction():
            number, listing = self._source(source)
            self._execute("UPDATE sources SET listing = ? WHERE number = ?", (listing + 1, number))
        return listing + 1

    def unseen(self, source: str, listing: int, limit: int) -> list[PicturedEntry]:
        rows = self._execute(_UNSEEN, (self._number(source), listing, limit))
        return [PicturedEntry(source, each, KINDS[kind], brief) for each, kind, brief in rows]

    def count_unseen(self, source: str, listing: int) -> tuple[int, int]:
        found = dict(self._execute(_COUNT_UNSEEN, (self._number(source), listing)).fetchall())
        return found.get(EntryKind.PERSON, 0), found.get(EntryKind.GROUP, 0)

    def note(self, source: str, state: SourceState) -> None:
        with self._transaction():
            number, _ = self._source(source)
            noted = (state.cursor, state.listed_at, state.refreshed_at, state.stopped, number)
            self._execute(_NOTE, noted)

    def forget(self, source: str) -> Iterator[None]:
        """A piece at each step. Nobody takes what is left for complete meanwhile."""
        with self._transaction():
            number, _ = self._source(source)
            self._execute(_RESET, (number,))
        while ids := [each for (each,) in self._execute(_IDS, (number, PIECE // 20))]:
            yield
            with self._transaction():
                for entry_id in ids:
                    self._remove(number, entry_id)
        with self._transaction():
            self._execute("DELETE FROM sources WHERE number = ?", (number,))

    def sources(self) -> list[str]:
        return [name for (name,) in self._execute("SELECT name FROM sources ORDER BY name")]

    def shared(self, kind: int, limit: int) -> list[SharedKey]:
        return [
            SharedKey(key, tuple(self._execute(_OWNERS, (kind, number, SHARED_IDS)).fetchall()))
            for key, number in self._execute(_SHARED, (kind, limit)).fetchall()
        ]

    # -- in a transaction

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._moved.clear()
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            for source, moved in self._moved.items():
                people, groups = moved[EntryKind.PERSON], moved[EntryKind.GROUP]
                self._execute(_COUNT, (people, groups, 1, source))
            self._execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk may have ended it
                self._execute("ROLLBACK")
            raise

    def _source(self, name: str) -> tuple[int, int]:
        """Its number and that of its last listing."""
        row = self._execute(_SOURCE, (name,)).fetchone()
        if row is not None:
            return int(row[0]), int(row[1])
        number = self._execute(_NEW_SOURCE, (name,)).lastrowid
        assert number is not None
        return number, 0

    def _number(self, source: str) -> int:
        row = self._execute(_SOURCE, (source,)).fetchone()
        return -1 if row is None else int(row[0])

    def _put(self, entry: PicturedEntry, listing: int) -> None:
        source, last_listing = self._source(entry.source)
        seen_by = listing or last_listing
        known = self._execute(_KNOWN, (source, entry.entry_id)).fetchone()
        keys = self._packed(entry)
        if known is None:
            added = (source, entry.kind, entry.entry_id, entry.brief)
            number = self._execute(_ADD, added).lastrowid
            assert number is not None
            self._change_keys(number, b"", keys)
            self._execute(_WHOLE, (number, keys, entry.whole))
            self._move(source, entry.kind, 1)
        else:
            number, kind, brief, old_keys, whole = known
            if (kind, brief) != (entry.kind, entry.brief):
                self._execute(_CHANGE, (entry.kind, entry.brief, number))
                self._move(source, kind, -1)
                self._move(source, entry.kind, 1)
            if (old_keys, whole) != (keys, entry.whole):
                self._change_keys(number, old_keys, keys)
                self._execute(_WHOLE, (number, keys, entry.whole))
                self._move(source, kind, 0)
        self._execute(_LISTED, (number, source, seen_by))

    def _remove(self, source: int, entry_id: str) -> None:
        known = self._execute(_KNOWN, (source, entry_id)).fetchone()
        if known is None:
            return
        number, kind, _, keys, _ = known
        self._change_keys(number, keys, b"")
        for statement in _DROP:
            self._execute(statement, (number,))
        self._move(source, kind, -1)

    def _move(self, source: int, kind: int, by: int) -> None:
        self._moved.setdefault(source, Counter())[kind] += by

    def _packed(self, entry: PicturedEntry) -> bytes:
        """The entry's keys: the number of a name, and the kind, in 32 bits each."""
        names: dict[str, int] = {}
        packed = set()
        for kind, key in entry.keys:
            number = names.get(key)
            if number is None:
                number = names[key] = self._name(key)
            packed.add(number << _KIND_BITS | kind)
        return array("I", sorted(packed)).tobytes()

    def _name(self, key: str) -> int:
        row = self._execute(_NAME, (key,)).fetchone()
        number = row[0] if row is not None else self._execute(_ADD_NAME, (key,)).lastrowid
        assert number is not None
        return int(number)

    def _change_keys(self, entry: int, old: bytes, new: bytes) -> None:
        before, after = _unpacked(old), _unpacked(new)
        mask = (1 << _KIND_BITS) - 1
        gone = before - after
        for statement, keys in ((_DROP_KEY, gone), (_ADD_KEY, after - before)):
            rows = ((key & mask, key >> _KIND_BITS, entry) for key in sorted(keys))
            self._connection.executemany(statement, rows)
        self._connection.executemany(_DROP_NAME, ((key >> _KIND_BITS,) for key in gone))


def _unpacked(keys: bytes) -> set[int]:
    return set(array("I", keys))


def _pieces(entries: Iterable[PicturedEntry]) -> Iterator[list[PicturedEntry]]:
    piece: list[PicturedEntry] = []
    rows = 0
    for entry in entries:
        piece.append(entry)
        rows += 3 + len(entry.keys)
        if rows >= PIECE:
            yield piece
            piece, rows = [], 0
    if piece:
        yield piece
