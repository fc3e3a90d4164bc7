"""Which of a mailbox's messages a command means, as few exact ranges; and opening a mailbox.

Owns the narrowing of UID sets to what exists, so that an operation costs statements per stretch of
messages, not per item of the client's set (SECURITY I7).
"""

from __future__ import annotations

import contextlib
import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from gateway.core.ids import AccountId, MailboxId, Uid
from gateway.core.mailboxes import Selection
from gateway.core.uidset import Ranges
from gateway.store.engine import local_sql
from gateway.store.flags import SEEN
from gateway.store.mailboxes import find, mailbox_of

FEW_RANGES = 8
EVERY: Ranges = ((1, 2**32 - 1),)

# One row, built without the interpreter: 100,000 rows would each hand over its lock.
ALL_UIDS = local_sql(
    "SELECT string_agg(CAST(uid AS TEXT), ',') FROM"
    " (SELECT uid FROM messages WHERE mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid)"
    " AS ordered"
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


def all_uids(
    connection: sqlite3.Connection, mailbox_id: MailboxId, low: int = 1, high: int = 2**32 - 1
) -> array[int]:
    """The UIDs that exist, ascending."""
    text = connection.execute(ALL_UIDS, (mailbox_id, low, high)).fetchone()[0]
    return array("I", map(int, text.split(","))) if text else array("I")


def narrow(connection: sqlite3.Connection, mailbox_id: MailboxId, ranges: Ranges) -> Ranges:
    """Ranges that hold the same existing messages; few are left as they are.

    Of many, those with nothing but missing UIDs between them become one.
    """
    if len(ranges) <= FEW_RANGES:
        return ranges
    uids = all_uids(connection, mailbox_id, ranges[0][0], ranges[-1][1])
    narrowed: list[tuple[int, int]] = []
    end = -1  # index behind the last stretch
    for low, high in ranges:
        first, behind = bisect_left(uids, low), bisect_right(uids, high)
        if first == behind:
            continue
        if first == end:
            narrowed[-1] = (narrowed[-1][0], uids[behind - 1])
        else:
            narrowed.append((uids[first], uids[behind - 1]))
        end = behind
    return tuple(narrowed)


def read_selection(connection: sqlite3.Connection, account_id: AccountId, name: str) -> Selection:
    """A mailbox as it is now. Raises: NoSuchMailbox."""
    with snapshot(connection):
        row = find(connection, account_id, name)
        mailbox_id = row[0]
        uids = all_uids(connection, mailbox_id)
        first_unseen = 0
        if row[9]:
            found = connection.execute(
                "SELECT uid FROM messages WHERE mailbox_id = ? AND flags & ? = 0"
                " ORDER BY uid LIMIT 1",
                (mailbox_id, SEEN),
            ).fetchone()
            first_unseen = bisect_left(uids, found[0]) + 1 if found else 0
        keywords = connection.execute(
            "SELECT name FROM keywords WHERE mailbox_id = ? ORDER BY folded", (mailbox_id,)
        ).fetchall()
    return Selection(
        mailbox_of(row), uids, Uid(row[7]), first_unseen, tuple(name for (name,) in keywords)
    )
