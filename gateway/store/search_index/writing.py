"""Writes a search file: new runs, runs joined to larger ones, mailboxes forgotten.

Owns the transactions. Each leaves the file whole: postings, words and watermark change together, so
whatever ends the process, the work since the last commit is done again and nothing else. Memory:
the postings of one batch, or one posting list at a time while runs are joined.

Joining keeps a mailbox's runs few: eight of one size class become one, up to ``LARGEST_RUN``. What
was expunged since is left out then; its words go when ``forget_words`` is called.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from gateway.store.search_index.documents import Words
from gateway.store.search_index.format import (
    COLUMNS,
    INCOMPLETE,
    pack,
    sealed,
    transaction,
    unpack,
    unsealed,
)
from gateway.store.search_index.lookup import MailboxAt

JOIN_AT = 8
LARGEST_RUN = 16_384
MOST_DOCUMENTS = 4_096
MOST_POSTINGS = 1_500_000
MOST_LISTS = 200_000
ROWS = 500


class Batch:
    """Messages of one mailbox, ascending by UID, on their way into a run."""

    def __init__(self) -> None:
        self.uids: list[int] = []
        self._lists: dict[int, dict[str, list[int]]] = {}
        self._incomplete: list[int] = []
        self._postings = 0

    def add(self, uid: int, words: Words) -> None:
        number = len(self.uids)
        self.uids.append(uid)
        if not words.complete:
            self._incomplete.append(number)
        for column, of_column in words.by_column:
            lists = self._lists.setdefault(column, {})
            self._postings += len(of_column)
            for word in of_column:
                if word in lists:
                    lists[word].append(number)
                else:
                    lists[word] = [number]

    def is_full(self) -> bool:
        return (
            len(self.uids) >= MOST_DOCUMENTS
            or self._postings >= MOST_POSTINGS
            or sum(map(len, self._lists.values())) >= MOST_LISTS
        )

    def words(self) -> list[str]:
        return sorted(set().union(*self._lists.values()))

    def postings(self, ids: dict[str, int]) -> list[tuple[int, bytes]]:
        """Keys with their packed numbers, ascending by key."""
        documents = len(self.uids)
        rows = [
            (ids[word] * COLUMNS + column, pack(numbers, documents))
            for column, lists in self._lists.items()
            for word, numbers in lists.items()
        ]
        if self._incomplete:
            rows.append((INCOMPLETE * COLUMNS, pack(self._incomplete, documents)))
        rows.sort()
        return rows


def write_batch(
    connection: sqlite3.Connection, mailbox: MailboxAt, batch: Batch, watermark: int
) -> None:
    """Add a run, and say that all up to the watermark is indexed."""
    mailbox_id = mailbox.mailbox_id
    with transaction(connection):
        if batch.uids:
            ids = _word_ids(connection, batch.words())
            _insert_run(connection, mailbox_id, batch.uids, batch.postings(ids))
        connection.execute(
            "INSERT INTO mailboxes (mailbox_id, uid_validity, watermark) VALUES (?, ?, ?)"
            " ON CONFLICT (mailbox_id) DO UPDATE SET watermark = excluded.watermark",
            (mailbox_id, mailbox.uid_validity, watermark),
        )


def _insert_run(
    connection: sqlite3.Connection,
    mailbox_id: int,
    uids: Sequence[int],
    postings: Iterable[tuple[int, bytes]],
) -> None:
    run_id = connection.execute(
        "INSERT INTO runs (mailbox_id, first_uid, documents, uids) VALUES (?, ?, ?, x'')",
        (mailbox_id, uids[0], len(uids)),
    ).lastrowid
    assert run_id is not None
    connection.execute(
        "UPDATE runs SET uids = ? WHERE run_id = ?",
        (sealed(array("I", uids).tobytes(), run_id), run_id),
    )
    connection.executemany(
        "INSERT INTO postings (run_id, key, data) VALUES (?, ?, ?)",
        ((run_id, key, sealed(data, key)) for key, data in postings),
    )


def _word_ids(connection: sqlite3.Connection, words: Sequence[str]) -> dict[str, int]:
    """Ids of words, ascending, given to new ones."""
    ids: dict[str, int] = {}
    for start in range(0, len(words), ROWS):
        piece = words[start : start + ROWS]
        ids.update(
            connection.execute(
                "SELECT word, word_id FROM words WHERE word IN (SELECT value FROM json_each(?))",
                (json.dumps(piece),),
            )
        )
    (last,) = connection.execute("SELECT coalesce(max(word_id), 0) FROM words").fetchone()
    new = [word for word in words if word not in ids]
    numbered = [(last + number, word) for number, word in enumerate(new, 1)]
    connection.executemany("INSERT INTO words (word_id, word) VALUES (?, ?)", numbered)
    connection.executemany("INSERT INTO grams (rowid, word) VALUES (?, ?)", numbered)
    ids.update((word, word_id) for word_id, word in numbered)
    return ids


# -- joining runs


class _Part:
    """A run that becomes part of a larger one."""

    def __init__(self, run_id: int, uids: Sequence[int], first: int, gone: frozenset[int]) -> None:
        self.run_id = run_id
        self.documents = len(uids)
        self.first = first
        self.kept = [uid for uid in uids if uid not in gone]
        self._places: list[int] | None = None
        if len(self.kept) < self.documents:
            self._places = []
            place = first
            for uid in uids:
                self._places.append(-1 if uid in gone else place)
                place += uid not in gone

    def numbers(self, data: bytes) -> list[int]:
        """What a posting list of this run says, in the numbers of the larger one."""
        numbers = unpack(data, self.documents)
        places = self._places
        if places is None:
            first = self.first
            return [number + first for number in numbers]
        return [place for number in numbers if (place := places[number]) >= 0]


def runs_to_join(sizes: Sequence[int]) -> tuple[int, int] | None:
    """Which neighbouring runs to join, as a range of places; None if there are few enough.

    Args:
        sizes: messages of a mailbox's runs, in their order.
    """
    for size_class in range(1, LARGEST_RUN.bit_length(), 3):
        start = len(sizes)
        while start and sizes[start - 1] < 1 << size_class + 3:
            start -= 1
        if len(sizes) - start >= JOIN_AT:
            end, total = start, 0
            while end < len(sizes) and total + sizes[end] <= LARGEST_RUN:
                total += sizes[end]
                end += 1
            if end - start >= JOIN_AT // 2:
                return start, end
    return None


Missing = Callable[[Sequence[int]], frozenset[int]]
"""Tells which of some messages of a mailbox are gone."""


def join(connection: sqlite3.Connection, mailbox_id: int, missing: Missing) -> bool:
    """Join some of a mailbox's runs, if there are enough; whether there were."""
    runs = _runs(connection, mailbox_id)
    chosen = runs_to_join([documents for _, documents in runs])
    if chosen is None:
        return False
    parts = _parts(connection, [run_id for run_id, _ in runs[slice(*chosen)]], missing)
    _join(connection, mailbox_id, parts)
    return True


def leave_out_missing(connection: sqlite3.Connection, mailbox_id: int, missing: Missing) -> None:
    """Write those runs of a mailbox anew that name messages which are gone."""
    for run_id, documents in _runs(connection, mailbox_id):
        parts = _parts(connection, [run_id], missing)
        if len(parts[0].kept) < documents:
            _join(connection, mailbox_id, parts)


def _runs(connection: sqlite3.Connection, mailbox_id: int) -> list[tuple[int, int]]:
    """Ids and sizes of a mailbox's runs, in their order."""
    return connection.execute(
        "SELECT run_id, documents FROM runs WHERE mailbox_id = ? ORDER BY first_uid", (mailbox_id,)
    ).fetchall()


def _parts(connection: sqlite3.Connection, run_ids: Sequence[int], missing: Missing) -> list[_Part]:
    parts: list[_Part] = []
    first = 0
    for run_id in run_ids:
        row = connection.execute("SELECT uids FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        uids = array("I", unsealed(row[0], run_id))
        parts.append(_Part(run_id, uids, first, missing(uids)))
        first += len(parts[-1].kept)
    return parts


def _join(connection: sqlite3.Connection, mailbox_id: int, parts: Sequence[_Part]) -> None:
    kept = [uid for part in parts for uid in part.kept]
    dropped = sum(part.documents for part in parts) - len(kept)
    with transaction(connection):
        if kept:
            _insert_run(connection, mailbox_id, kept, _joined(connection, parts, len(kept)))
        for part in parts:
            _remove_run(connection, part.run_id)
        connection.execute("UPDATE about SET dropped = dropped + ?", (dropped,))


def _joined(
    connection: sqlite3.Connection, parts: Sequence[_Part], documents: int
) -> Iterator[tuple[int, bytes]]:
    """Keys and packed lists of the larger run, ascending by key."""

    def rows(place: int) -> Iterator[tuple[int, int, bytes]]:
        for key, data in connection.execute(
            "SELECT key, data FROM postings WHERE run_id = ? ORDER BY key", (parts[place].run_id,)
        ):
            yield key, place, unsealed(data, key)

    merged = heapq.merge(*(rows(place) for place in range(len(parts))))
    for key, group in groupby(merged, key=itemgetter(0)):
        numbers: list[int] = []
        for _, place, data in group:
            numbers += parts[place].numbers(data)
        if numbers:
            yield key, pack(numbers, documents)


def _remove_run(connection: sqlite3.Connection, run_id: int) -> None:
    connection.execute("DELETE FROM postings WHERE run_id = ?", (run_id,))
    connection.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))


# -- what is gone


def forget_mailbox(connection: sqlite3.Connection, mailbox_id: int) -> None:
    """Remove all that is known of a deleted mailbox."""
    with transaction(connection):
        documents = 0
        for run_id, count in connection.execute(
            "SELECT run_id, documents FROM runs WHERE mailbox_id = ?", (mailbox_id,)
        ).fetchall():
            _remove_run(connection, run_id)
            documents += count
        connection.execute("DELETE FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,))
        connection.execute("UPDATE about SET dropped = dropped + ?", (documents,))


def mark_of(connection: sqlite3.Connection, mailbox: MailboxAt) -> int | None:
    """The watermark of a mailbox; None for that of another life of it."""
    row = connection.execute(
        "SELECT uid_validity, watermark FROM mailboxes WHERE mailbox_id = ?", (mailbox.mailbox_id,)
    ).fetchone()
    if row is None:
        return 0
    uid_validity, watermark = row
    fits = uid_validity == mailbox.uid_validity and watermark < mailbox.uid_next
    return int(watermark) if fits else None


def mailboxes_of(connection: sqlite3.Connection) -> list[int]:
    rows = connection.execute("SELECT mailbox_id FROM mailboxes ORDER BY mailbox_id").fetchall()
    return [mailbox_id for (mailbox_id,) in rows]


def forget_words(connection: sqlite3.Connection) -> None:
    """Remove the words that only messages held which the file names no more."""
    (dropped,) = connection.execute("SELECT dropped FROM about").fetchone()
    if not dropped:
        return
    # Not only unlinked: overwritten, in the file and in its log.
    connection.execute("PRAGMA secure_delete = ON")
    with transaction(connection):
        connection.execute(
            "DELETE FROM words WHERE word_id NOT IN (SELECT key / ? FROM postings)", (COLUMNS,)
        )
        connection.execute("INSERT INTO grams (grams) VALUES ('rebuild')")
        connection.execute("UPDATE about SET dropped = 0")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
