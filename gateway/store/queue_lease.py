"""Which queued messages are due, and taking them: the statements behind leases and holds.

A message is due at ``due_at``: the earliest attempt of its recipients or, while leased, the end of
the lease; so one index answers both "what is due" and "when is the next". That index goes by
priority first and leaves out what is held, which has one of its own; so picking costs the same
however much waits or is held (each priority in use, of which there are 19 at most, is one more
look). Used inside transactions and by readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from gateway.core.address import Address
from gateway.core.ids import BlobId
from gateway.core.queue import QueueItem, WaitingRecipient
from gateway.store.deliveries import NEVER, queue_id_text
from gateway.store.engine import by_index
from gateway.store.queue_options import message_options, recipient_options
from gateway.store.transaction import Transaction

LONGEST_WAIT_S = 86_400
"""After a restart nobody is made to wait longer, which is more than sensible schedules ask for."""
_ABOVE_ALL = 10  # RFC 6710 section 3: priorities go from -9 to 9
_BY_DUE, _BY_HOLD = by_index("queue_due"), by_index("queue_held")
_NEXT_LOWER = (
    f"SELECT priority FROM queue{_BY_DUE} WHERE hold = '' AND priority < ?"  # noqa: S608 - own names only
    " ORDER BY priority DESC LIMIT 1"
)
_EARLIEST = (
    f"SELECT due_at FROM queue{_BY_DUE} WHERE hold = '' AND priority = ?"  # noqa: S608 - own names only
    " ORDER BY due_at LIMIT 1"
)
_EARLIEST_RELEASE = f"SELECT due_at FROM queue{_BY_HOLD} WHERE hold <> '' ORDER BY due_at LIMIT 1"  # noqa: S608 - own names only
NEXT_ATTEMPT = (
    "(SELECT min(next_attempt_at) FROM queue_recipients AS r WHERE r.queue_id = queue.queue_id)"
)
ITEM_COLUMNS = (
    "queue_id, sender_local, sender_domain, blob_id, content_offset, size_octets, eight_bit,"
    " created_at, options, message_id"
)
RECIPIENT_COLUMNS = (
    "number, local_part, domain, next_hop, attempts, reply, options, told_of_delay, next_attempt_at"
)


def next_due_at(connection: sqlite3.Connection) -> int | None:
    """Of what is not held."""
    times = [
        connection.execute(_EARLIEST, (priority,)).fetchone()
        for priority in _priorities(connection)
    ]
    return min((row[0] for row in times if row is not None), default=None)


def next_release_at(connection: sqlite3.Connection) -> int | None:
    """When the first hold ends by itself."""
    row = connection.execute(_EARLIEST_RELEASE).fetchone()
    return None if row is None or row[0] >= NEVER else row[0]


def anything_due(connection: sqlite3.Connection, now: int) -> bool:
    for time in (next_due_at(connection), next_release_at(connection)):
        if time is not None and time <= now:
            return True
    return False


def _priorities(connection: sqlite3.Connection) -> Iterator[int]:
    """Those in use among what is not held, the highest first."""
    priority = _ABOVE_ALL
    while (row := connection.execute(_NEXT_LOWER, (priority,)).fetchone()) is not None:
        priority = row[0]
        yield priority


def lease(tx: Transaction, now: int, owner: str, lease_s: int, limit: int) -> tuple[QueueItem, ...]:
    """Take due messages: the highest priority first, of each the longest due."""
    _end_holds(tx, now, limit)
    items: list[QueueItem] = []
    for priority in list(_priorities(tx.connection)):
        room = limit - len(items)
        if room <= 0:
            break
        for row in tx.fetch_all(
            f"SELECT {ITEM_COLUMNS} FROM queue{_BY_DUE}"  # noqa: S608 - own names only
            " WHERE hold = '' AND priority = ? AND due_at <= ? ORDER BY due_at, queue_id LIMIT ?",
            (priority, now, room),
        ):
            item = _lease_one(tx, row, now, owner, lease_s)
            if item is not None:
                items.append(item)
    return tuple(items)


def _lease_one(
    tx: Transaction, row: Sequence[Any], now: int, owner: str, lease_s: int
) -> QueueItem | None:
    recipients = tx.fetch_all(
        f"SELECT {RECIPIENT_COLUMNS} FROM queue_recipients"  # noqa: S608 - own names only
        " WHERE queue_id = ? AND next_attempt_at <= ? ORDER BY number",
        (row[0], now),
    )
    if not recipients:  # a lease ended, but in the meantime an attempt was put off
        tx.execute(
            f"UPDATE queue SET lease_owner = '', due_at = {NEXT_ATTEMPT}"  # noqa: S608 - own names only
            " WHERE queue_id = ?",
            (row[0],),
        )
        return None
    tx.execute(
        "UPDATE queue SET lease_owner = ?, due_at = ? WHERE queue_id = ?",
        (owner, now + lease_s, row[0]),
    )
    return queue_item(row, recipients)


def _end_holds(tx: Transaction, now: int, limit: int) -> None:
    for (number,) in tx.fetch_all(
        f"SELECT queue_id FROM queue{_BY_HOLD} WHERE hold <> '' AND due_at <= ?"  # noqa: S608 - own names only
        " ORDER BY due_at LIMIT ?",
        (now, limit),
    ):
        tx.execute("UPDATE queue SET hold = '' WHERE queue_id = ?", (number,))


def queue_item(row: Sequence[Any], recipients: Sequence[Sequence[Any]]) -> QueueItem:
    """A row of ITEM_COLUMNS with rows of RECIPIENT_COLUMNS."""
    number, sender_local, sender_domain, blob_id, offset, size, body, created_at = row[:8]
    options, message_id = row[8:10]
    return QueueItem(
        queue_id_text(number),
        None if sender_local is None else Address(sender_local, sender_domain),
        BlobId(blob_id),
        offset,
        size,
        created_at,
        tuple(map(waiting_recipient, recipients)),
        message_options(options, body),
        message_id,
    )


def waiting_recipient(row: Sequence[Any]) -> WaitingRecipient:
    number, local_part, domain, next_hop, attempts, reply, asked, told = row[:8]
    return WaitingRecipient(
        number,
        Address(local_part, domain),
        next_hop,
        attempts,
        reply,
        recipient_options(asked),
        bool(told),
    )


def free_leases(tx: Transaction) -> None:
    """At start nobody holds a lease, as one process alone leases and is not there or is this one.

    Nor is anything due later than the longest wait: the clock was set back (SECURITY D7). What is
    held stays so.
    """
    latest = tx.now + LONGEST_WAIT_S
    tx.execute(
        "UPDATE queue_recipients SET next_attempt_at = ? WHERE next_attempt_at > ?"
        " AND queue_id IN (SELECT queue_id FROM queue WHERE hold = '')",
        (latest, latest),
    )
    tx.execute("UPDATE queue SET due_at = ? WHERE due_at > ? AND hold = ''", (latest, latest))
    tx.execute(
        f"UPDATE queue SET lease_owner = '', due_at = {NEXT_ATTEMPT}"  # noqa: S608 - own names only
        " WHERE lease_owner <> ''"
    )
