"""What a mailbox has lost: UIDs that no message has any more, as stretches with their MODSEQs.

Owns the table ``expunged``. A stretch that touches another is joined to it, under the higher
MODSEQ: so there are never more stretches than gaps between messages, whatever the traffic, and
nothing is ever forgotten. A client may therefore hear again of UIDs that vanished before (RFC 7162
section 3.2.6 lets VANISHED (EARLIER) repeat); it never misses one. UIDs that are skipped count as
removed: messages and stretches together are all UIDs below the next one.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence

from gateway.core.ids import MailboxId
from gateway.core.uidset import Ranges, normalise
from gateway.store.engine import local_sql
from gateway.store.transaction import Row, Transaction

_COLUMNS = "expunged (mailbox_id, modseq, first_uid, last_uid)"
# The one behind, if it begins at the next UID, and the one before.
_NEIGHBOURS = (
    "SELECT first_uid, last_uid FROM expunged WHERE mailbox_id = ? AND first_uid <= ?"
    " ORDER BY first_uid DESC LIMIT 2"
)
_SINCE = (
    "SELECT first_uid, last_uid FROM expunged WHERE mailbox_id = ? AND modseq > ?"
    " ORDER BY first_uid"
)
# One row, built without the interpreter, which each row would hand over.
_ALL = local_sql(
    "SELECT string_agg(CAST(first_uid AS TEXT) || ',' || CAST(last_uid AS TEXT), ',') FROM"
    " (SELECT first_uid, last_uid FROM expunged WHERE mailbox_id = ? ORDER BY first_uid LIMIT ?)"
    " AS ordered"
)


def remember(tx: Transaction, mailbox_id: MailboxId, modseq: int, gone: Ranges) -> None:
    """Note UIDs that are no more, or that are skipped for ever.

    Args:
        gone: ascending and disjoint; none of them is in the table yet.
    """
    touched: set[tuple[int, int]] = set()
    for low, high in gone:
        for first, last in tx.fetch_all(_NEIGHBOURS, (mailbox_id, high + 1)):
            if last >= low - 1:
                touched.add((first, last))
    for first, _ in touched:
        tx.execute(
            "DELETE FROM expunged WHERE mailbox_id = ? AND first_uid = ?", (mailbox_id, first)
        )
    joined = normalise((*gone, *touched))
    tx.insert(_COLUMNS, [(mailbox_id, modseq, first, last) for first, last in joined])


def all_gone(tx: Transaction, mailbox_id: MailboxId, modseq: int, uid_next: int) -> None:
    """Nothing is left in the mailbox: one stretch says it all."""
    tx.execute("DELETE FROM expunged WHERE mailbox_id = ?", (mailbox_id,))
    if uid_next > 1:
        row: Row = (mailbox_id, modseq, 1, uid_next - 1)
        tx.insert(_COLUMNS, [row])


def since(connection: sqlite3.Connection, mailbox_id: MailboxId, modseq: int) -> Ranges:
    """What vanished after a MODSEQ, and perhaps some that vanished before."""
    return tuple(connection.execute(_SINCE, (mailbox_id, modseq)).fetchall())


def stretches(
    connection: sqlite3.Connection, mailbox_id: MailboxId, most: int
) -> tuple[Sequence[int], Sequence[int]]:
    """The first and the last UIDs of all stretches, ascending; of the first so many only."""
    text = connection.execute(_ALL, (mailbox_id, most)).fetchone()[0]
    numbers = array("I", map(int, text.split(","))) if text else array("I")
    return numbers[0::2], numbers[1::2]


def between(
    firsts: Iterable[int], lasts: Iterable[int], uid_next: int, low: int = 1
) -> Iterator[tuple[int, int]]:
    """What lies between stretches, from ``low`` to below ``uid_next``."""
    for first, last in zip(firsts, lasts, strict=True):
        if low < first:
            yield low, first - 1
        low = last + 1
    if low < uid_next:
        yield low, uid_next - 1
