"""Which destinations have mail to send, and taking it: the statements behind leases.

Owns what becomes due: parts put off, leases and holds that end, destinations that were left alone.
That is done in pieces of PROMOTED_AT_ONCE, so that a hundred thousand messages that become due in
one second keep nobody else waiting. Reading what is in line, and leasing, go by indexes that hold
only what is ready (see ``queue_parts``). Used inside transactions and by readers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from gateway.core.address import Address
from gateway.core.ids import BlobId
from gateway.core.ports.queue import Leased
from gateway.core.queue import QueueItem, WaitingRecipient, Wish
from gateway.store.bounds import NEVER
from gateway.store.departures import queue_id_text
from gateway.store.engine import by_index
from gateway.store.queue_options import message_options, recipient_options
from gateway.store.queue_parts import (
    BY_LATER,
    BY_LEASED,
    BY_LINE,
    BY_READY,
    LATER,
    LEASED,
    OF_PART,
    READY,
    free_messages,
    hold_messages,
    line_up_all,
    settle_part,
)
from gateway.store.transaction import Transaction, in_pairs, in_pieces

PROMOTED_AT_ONCE = 1_000
LONGEST_WAIT_S = 86_400
"""After a restart nobody is made to wait longer, which is more than sensible schedules ask for."""
NEWEST = 64
UNREADABLE = "damage: the queue cannot read what it keeps of this message; see the log"
_BY_HOLD = by_index("queue_held")
ITEM_COLUMNS = (
    "q.queue_id, q.sender_local, q.sender_domain, q.blob_id, q.content_offset, q.size_octets,"
    " q.eight_bit, q.created_at, q.options, q.message_id, q.rules_passed"
)
RECIPIENT_COLUMNS = (
    "r.number, r.local_part, r.domain, r.next_hop, r.attempts, r.reply, r.options, r.told_of_delay,"
    " r.next_attempt_at, r.destination"
)
_LATER_AT = (
    f"SELECT due_at FROM queue_parts{BY_LATER} WHERE state = {LATER} ORDER BY due_at LIMIT 1"  # noqa: S608 - own names only
)
_LEASE_ENDS_AT = (
    f"SELECT due_at FROM queue_parts{BY_LEASED} WHERE state = {LEASED} ORDER BY due_at LIMIT 1"  # noqa: S608 - own names only
)
_LEFT_ALONE_TILL = (
    f"SELECT look_at FROM queue_destinations{BY_LINE} WHERE look_at > 0 ORDER BY look_at LIMIT 1"  # noqa: S608 - own names only
)
_RELEASE_AT = f"SELECT held_until FROM queue{_BY_HOLD} WHERE hold <> '' ORDER BY held_until LIMIT 1"  # noqa: S608 - own names only
_IN_LINE = (
    f"SELECT destination FROM queue_destinations{BY_LINE} WHERE look_at = 0 ORDER BY turn LIMIT ?"  # noqa: S608 - own names only
)
_BECOME_READY = (
    f"UPDATE queue_parts SET state = {READY},"  # noqa: S608 - own names only
    # It waits from now on, behind what was there before.
    " turn = CASE WHEN turn < queue_parts.due_at * 1000 THEN queue_parts.due_at * 1000"
    " ELSE turn END FROM (SELECT queue_id, destination"
    f" FROM queue_parts{BY_LATER} WHERE state = {LATER} AND due_at <= ? ORDER BY due_at LIMIT ?)"
    " AS due WHERE queue_parts.queue_id = due.queue_id"
    " AND queue_parts.destination = due.destination RETURNING destination, turn"
)
_COME_INTO_LINE = (
    "UPDATE queue_destinations SET look_at = 0, turn = look_at * 1000 WHERE destination IN"  # noqa: S608 - own names only
    f" (SELECT destination FROM queue_destinations{BY_LINE} WHERE look_at > 0 AND look_at <= ?"
    " ORDER BY look_at LIMIT ?)"
)
_TAKE = (
    f"SELECT {ITEM_COLUMNS}, p.destination, p.turn FROM queue_parts AS p{BY_READY}"  # noqa: S608 - own names only
    f" JOIN queue AS q ON q.queue_id = p.queue_id WHERE p.state = {READY} AND p.destination = ?"
    " ORDER BY p.rank, p.turn, p.queue_id LIMIT ?"
)
_DUE_RECIPIENTS = (
    f"SELECT {RECIPIENT_COLUMNS}, r.queue_id FROM {{}} CROSS JOIN queue_parts AS p"  # noqa: S608 - own names only
    " CROSS JOIN queue_recipients AS r WHERE p.queue_id = wanted.column1"
    f" AND p.destination = wanted.column2 AND {OF_PART}"
    # A part that is ready has somebody due, also if the clock was set back since.
    " AND (r.next_attempt_at <= ? OR r.next_attempt_at <= p.due_at)"
    " ORDER BY r.queue_id, r.number"
)
_LEASE = (
    f"UPDATE queue_parts SET state = {LEASED}, lease_owner = ?, due_at = ? FROM {{}}"  # noqa: S608 - own names only
    " WHERE queue_parts.queue_id = wanted.column1 AND queue_parts.destination = wanted.column2"
)
_log = Logger()


# -- looking


def in_line(connection: sqlite3.Connection, limit: int) -> list[str]:
    return [name for (name,) in connection.execute(_IN_LINE, (limit,))]


def next_due_at(connection: sqlite3.Connection) -> int | None:
    """Of what is not held; 0 when a destination stands in line."""
    if in_line(connection, 1):
        return 0
    return _earliest(connection, _LATER_AT, _LEASE_ENDS_AT, _LEFT_ALONE_TILL)


def next_release_at(connection: sqlite3.Connection) -> int | None:
    """When the first hold ends by itself."""
    at = _earliest(connection, _RELEASE_AT)
    return None if at is None or at >= NEVER else at


def anything_due(connection: sqlite3.Connection, now: int, released_until: int) -> bool:
    """Whether ``promote`` has something to do."""
    at = _earliest(connection, _LATER_AT, _LEASE_ENDS_AT, _LEFT_ALONE_TILL)
    if at is not None and at <= now:
        return True
    at = _earliest(connection, _RELEASE_AT)
    return at is not None and at <= released_until


def _earliest(connection: sqlite3.Connection, *statements: str) -> int | None:
    rows = [connection.execute(statement).fetchone() for statement in statements]
    return min((row[0] for row in rows if row is not None), default=None)


# -- becoming due


def promote(tx: Transaction, now: int, released_until: int) -> None:
    """Some of what has become due stands in line from now on, of each kind the longest due."""
    over = tx.fetch_all(
        f"SELECT queue_id FROM queue{_BY_HOLD} WHERE hold <> '' AND held_until <= ?"  # noqa: S608 - own names only
        " ORDER BY held_until LIMIT ?",
        (released_until, PROMOTED_AT_ONCE),
    )
    free_messages(tx, [number for (number,) in over], now)
    for number, destination in tx.fetch_all(
        f"SELECT queue_id, destination FROM queue_parts{BY_LEASED}"  # noqa: S608 - own names only
        f" WHERE state = {LEASED} AND due_at <= ? ORDER BY due_at LIMIT ?",
        (now, PROMOTED_AT_ONCE),
    ):
        settle_part(tx, number, destination, now)
    line_up_all(tx, tx.fetch_all(_BECOME_READY, (now, PROMOTED_AT_ONCE)))
    tx.execute(_COME_INTO_LINE, (now, PROMOTED_AT_ONCE))


# -- taking


def lease(tx: Transaction, wishes: Sequence[Wish], now: int, owner: str, lease_s: int) -> Leased:
    """Take what is ready; the destinations are left alone then, or gone when nothing is left."""
    rows: dict[tuple[int, str], Sequence[Any]] = {}
    left_alone: dict[str, int] = {}
    emptied: list[str] = []
    for wish in wishes:
        found = tx.fetch_all(_TAKE, (wish.destination, wish.messages + 1))
        if len(found) > wish.messages:
            left_alone[wish.destination] = wish.look_again_at
        else:
            emptied.append(wish.destination)
        rows.update(((row[0], row[11]), row) for row in found[: wish.messages])
    recipients = _lease_rows(tx, list(rows), now, owner, lease_s)
    for destination, look_at in left_alone.items():
        tx.execute(
            "UPDATE queue_destinations SET look_at = ? WHERE destination = ?",
            (look_at, destination),
        )
    for piece, marks in in_pieces(emptied):
        tx.execute(f"DELETE FROM queue_destinations WHERE destination IN ({marks})", piece)  # noqa: S608 - own names only
    items = [
        item
        for key, row in rows.items()
        if (item := _item(tx, row, recipients.get(key, ()), now)) is not None
    ]
    return Leased(items, frozenset(left_alone))


def _lease_rows(
    tx: Transaction, keys: Sequence[tuple[int, str]], now: int, owner: str, lease_s: int
) -> dict[tuple[int, str], list[Sequence[Any]]]:
    """Returns the due recipients of each."""
    recipients: dict[tuple[int, str], list[Sequence[Any]]] = {}
    for values, wanted in in_pairs(keys):
        for row in tx.fetch_all(_DUE_RECIPIENTS.format(wanted), (*values, now)):
            recipients.setdefault((row[10], row[9]), []).append(row)
        tx.execute(_LEASE.format(wanted), (owner, now + lease_s, *values))
    return recipients


def _item(
    tx: Transaction, row: Sequence[Any], recipients: Sequence[Sequence[Any]], now: int
) -> QueueItem | None:
    number, destination = row[0], row[11]
    if not recipients:
        settle_part(tx, number, destination, now)
        return None
    try:
        return queue_item(row, recipients, destination, row[12])
    except Exception:
        # One poisoned message must not stop the others (SECURITY D10).
        _log.failure("{queue_id} cannot be read and is held", queue_id=queue_id_text(number))
        hold_messages(tx, [number], UNREADABLE, NEVER)
        return None


def queue_item(
    row: Sequence[Any], recipients: Sequence[Sequence[Any]], destination: str = "", turn: int = 0
) -> QueueItem:
    """A row of ITEM_COLUMNS with rows of RECIPIENT_COLUMNS."""
    number, sender_local, sender_domain, blob_id, offset, size, body, created_at = row[:8]
    options, message_id, rules_passed = row[8:11]
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
        destination,
        turn,
        rules_passed,
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


# -- at start


def free_leases(tx: Transaction) -> None:
    """At start nobody holds a lease, as one process alone leases and is not there or is this one.

    What the one before has left alone is looked at again. Nor is anything due later than the
    longest wait. What is held stays so.
    """
    for number, destination in tx.fetch_all(
        f"SELECT queue_id, destination FROM queue_parts{BY_LEASED} WHERE state = {LEASED}"  # noqa: S608 - own names only
    ):
        settle_part(tx, number, destination, tx.now)
    tx.execute("UPDATE queue_destinations SET look_at = 0 WHERE look_at > 0")
    _undo_clock(tx)


def _undo_clock(tx: Transaction) -> None:
    """If the clock was set back meanwhile, due times are brought back by as much (SECURITY D7).

    They keep their distances, so that not everything is due in one moment. A clock that was set
    forward does no harm here: what is due early goes by destinations and their turns, in pieces.
    """
    latest = tx.now + LONGEST_WAIT_S
    newest = tx.fetch_all("SELECT created_at FROM queue ORDER BY queue_id DESC LIMIT ?", (NEWEST,))
    early = tx.fetch_one(
        f"SELECT due_at FROM queue_parts{BY_LATER} WHERE state = {LATER} AND due_at > ?"  # noqa: S608 - own names only
        " ORDER BY due_at LIMIT 1",
        (latest,),
    )
    if early is None and all(created_at <= latest for (created_at,) in newest):
        return
    ahead = (early[0] if early is not None else max(newest)[0]) - tx.now
    for table, column, condition in (
        ("queue_parts", "due_at", f"state = {LATER} AND"),
        ("queue_recipients", "next_attempt_at", ""),
    ):
        tx.execute(
            f"UPDATE {table} SET {column} = CASE WHEN {column} - ? < ? THEN ?"  # noqa: S608 - own names only
            f" WHEN {column} - ? > ? THEN ? ELSE {column} - ? END WHERE {condition} {column} > ?",
            (ahead, tx.now, tx.now, ahead, latest, latest, ahead, latest),
        )
