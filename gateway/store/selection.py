"""Which messages a mailbox has, which of them a command means, and opening a mailbox.

Owns how little has to be read for that. Of a mailbox without gaps nothing but its row is read; else
what is missing (``history``), as long as it explains every gap; else the rows themselves, as after
an import that kept UIDs. What was read last (``known_uids``) is brought up to date by what has
changed since. Whatever way, the mailbox's own count of messages decides whether the answer holds.

Owns also the narrowing of UID sets to what exists, so that an operation costs statements per
stretch of messages, not per item of the client's set (SECURITY I7).
"""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.core.ids import AccountId, MailboxId, Uid
from gateway.core.mailboxes import Selection
from gateway.core.uids import UidRuns
from gateway.core.uidset import Ranges, from_sorted
from gateway.store import history
from gateway.store.engine import by_index, local_sql
from gateway.store.known_uids import KnownUids, RecentUids
from gateway.store.mailboxes import find, mailbox_of

FEW_RANGES = 8
WIDE = 64
"""Ranges so far apart on average are not worth reading what lies between them."""
EVERY: Ranges = ((1, 2**32 - 1),)
PIECE_UIDS = 65_536

# One row, built without the interpreter: 100,000 rows would each hand over its lock.
ALL_UIDS = local_sql(
    "SELECT string_agg(CAST(uid AS TEXT), ',') FROM (SELECT uid FROM messages"
    " WHERE mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid LIMIT ?) AS ordered"
)
# Its condition is literally that of the index.
FIRST_UNSEEN = (
    f"SELECT uid FROM messages{by_index('messages_unseen')} WHERE mailbox_id = ?"  # noqa: S608 - own names only
    " AND (flags & 1) = 0 ORDER BY uid LIMIT 1"
)


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Several reads of one moment. Ends before anything is sent to a client."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:  # an I/O error may have ended it, and shall be the one told
            connection.execute("COMMIT")


def existing(
    connection: sqlite3.Connection, mailbox_id: MailboxId, low: int = 1, high: int = 2**32 - 1
) -> Iterator[tuple[int, int]]:
    """The UIDs that exist, from the rows themselves, in pieces that bound the memory."""
    while True:
        text = connection.execute(ALL_UIDS, (mailbox_id, low, high, PIECE_UIDS)).fetchone()[0]
        uids = array("I", map(int, text.split(","))) if text else array("I")
        yield from from_sorted(uids)
        if len(uids) < PIECE_UIDS:
            return
        low = uids[-1] + 1


def narrow(connection: sqlite3.Connection, mailbox_id: MailboxId, ranges: Ranges) -> Ranges:
    """Ranges that hold the same existing messages.

    Many with next to nothing in between become fewer: those with nothing but missing UIDs between
    them become one. Few, and those far apart, are left as they are.
    """
    if len(ranges) <= FEW_RANGES or ranges[-1][1] - ranges[0][0] > WIDE * len(ranges):
        return ranges
    uids = UidRuns(existing(connection, mailbox_id, ranges[0][0], ranges[-1][1]))
    return tuple((uids[start], uids[end - 1]) for start, end in uids.spans(ranges))


def close_together(uids: Iterable[int]) -> Ranges:
    """Ascending UIDs as few ranges, between which there is more than is worth looking through."""
    ranges: list[tuple[int, int]] = []
    for uid in uids:
        if ranges and uid - ranges[-1][1] <= WIDE:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
    return tuple(ranges)


def uids_of(connection: sqlite3.Connection, row: Sequence[Any], known: KnownUids | None) -> UidRuns:
    """The UIDs of a mailbox at the moment of ``row`` (``mailboxes.COLUMNS``)."""
    if known is not None and known.uid_validity == row[3] and known.modseq <= row[5]:
        uids = _brought_up(connection, row, known)
        if len(uids) == row[8]:
            return uids
    mailbox_id, uid_next, messages = row[0], row[4], row[8]
    missing = uid_next - 1 - messages
    if not messages:
        return UidRuns()
    if not missing:
        return UidRuns(((1, uid_next - 1),))
    firsts, lasts = history.stretches(connection, mailbox_id, messages)
    if sum(lasts) - sum(firsts) + len(lasts) == missing:
        return UidRuns(history.between(firsts, lasts, uid_next))
    return UidRuns(existing(connection, mailbox_id))


def _brought_up(connection: sqlite3.Connection, row: Sequence[Any], known: KnownUids) -> UidRuns:
    """What was known, with what has changed since; wrong if the count says so."""
    mailbox_id, uid_next, modseq, messages = row[0], row[4], row[5], row[8]
    if known.modseq == modseq:
        return known.uids
    uids = known.uids.removed(history.since(connection, mailbox_id, known.modseq))
    new = messages - len(uids)
    if new <= 0:
        return uids
    if new == uid_next - known.uid_next:
        return uids.appended(((known.uid_next, uid_next - 1),))
    return uids.appended(existing(connection, mailbox_id, known.uid_next))


def read_selection(
    connection: sqlite3.Connection, account_id: AccountId, name: str, recent: RecentUids
) -> Selection:
    """A mailbox as it is now. Raises: NoSuchMailbox."""
    # Before the snapshot, so that what is known is not newer than what is seen.
    known = recent.get(find(connection, account_id, name)[0])
    with snapshot(connection):
        row = find(connection, account_id, name)
        mailbox_id = row[0]
        uids = uids_of(connection, row, known)
        first_unseen = 0
        if row[9]:
            found = connection.execute(FIRST_UNSEEN, (mailbox_id,)).fetchone()
            first_unseen = uids.below(found[0]) + 1 if found else 0
        keywords = connection.execute(
            "SELECT name FROM keywords WHERE mailbox_id = ? ORDER BY folded", (mailbox_id,)
        ).fetchall()
    recent.put(mailbox_id, KnownUids(row[3], row[5], row[4], uids))
    return Selection(
        mailbox_of(row), uids, Uid(row[7]), first_unseen, tuple(name for (name,) in keywords)
    )
