"""Pages of the queue for administrators, one message with all that is known of it, and its shape.

Owns what a filter means in SQL. Pages go by key, so that nothing is held whole however long the
queue is; what narrows most is looked at first: one destination's mail by its index, a recipient's
and a state's by one pass over rows that hold little else. Never changes anything.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.core.address import Address
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL
from gateway.core.ports.queue import QueuedName
from gateway.core.queue import (
    SHAPE_AGES_S,
    QueuedMessage,
    QueueEntry,
    QueueFilter,
    QueuePart,
    QueueState,
    ShapeRow,
    WaitingStatus,
)
from gateway.store.bounds import NEVER
from gateway.store.departures import queue_id_text
from gateway.store.engine import rows_of
from gateway.store.queue_lease import (
    ITEM_COLUMNS,
    RECIPIENT_COLUMNS,
    queue_item,
    waiting_recipient,
)
from gateway.store.queue_parts import HELD, LATER, LEASED, READY

FIRST_SHOWN = 3
SHAPED_AT_ONCE = 20_000
STATES = {
    READY: QueueState.READY,
    LATER: QueueState.WAITING,
    LEASED: QueueState.SENDING,
    HELD: QueueState.HELD,
}
_NUMBERS = {state: number for number, state in STATES.items()}
_SHOWN_FIRST = (HELD, LEASED, READY, LATER)  # what a message is said to do whose parts differ
_LISTED = (
    "q.queue_id, q.message_id, q.sender_local, q.sender_domain, q.size_octets, q.created_at,"
    " q.held_until, q.hold"
)
_QUEUE_ID = re.compile(r"[0-9A-Fa-f]{1,15}")

Conditions = tuple[str, list[Any]]


def number_of(queue_id: QueueId) -> int | None:
    """None for what is no queue id at all."""
    return int(queue_id, 16) if _QUEUE_ID.fullmatch(queue_id) else None


# -- pages


def page(
    connection: sqlite3.Connection, which: QueueFilter, after: int, limit: int
) -> list[QueuedMessage]:
    if which.message_id:
        known = connection.execute(
            "SELECT queue_id FROM ingests WHERE ingest_id = ? AND queue_id <> ''",
            (which.message_id,),
        ).fetchone()
        if known is not None:  # else it may be so old that this was forgotten
            number = int(known[0], 16)
            if number <= after:
                return []
            after = number - 1
    sql, values = _page(which)
    rows = connection.execute(sql, (after, *values, limit)).fetchall()
    return _listed(connection, rows)


def _page(which: QueueFilter) -> Conditions:
    """The statement takes the key before the page, these values, and the page's length."""
    text, values = _of_message(which)
    recipient, recipient_values = recipient_is(which.recipient)
    destination, destination_values = destination_is(which.destination)
    state = "" if which.state is None else f"p.state = {_NUMBERS[which.state]}"
    if recipient or "r." in destination:
        source, key = "queue_recipients AS r", "r.queue_id"
        inner = " AND ".join(filter(None, (recipient, destination)))
        inner_values = recipient_values + destination_values
        if state:
            inner += (
                " AND EXISTS (SELECT 1 FROM queue_parts AS p WHERE p.queue_id = r.queue_id"  # noqa: S608 - own names only
                f" AND p.destination = r.destination AND {state})"
            )
    elif state:
        source, key, inner, inner_values = "queue_parts AS p", "p.queue_id", state, []
    else:
        return (
            f"SELECT {_LISTED} FROM queue AS q WHERE q.queue_id > ?{text}"  # noqa: S608 - own names only
            " ORDER BY q.queue_id LIMIT ?",
            values,
        )
    return (
        f"SELECT DISTINCT {_LISTED} FROM {source} CROSS JOIN queue AS q"  # noqa: S608 - own names only
        f" WHERE q.queue_id = {key} AND {key} > ? AND {inner}{text} ORDER BY {key} LIMIT ?",
        inner_values + values,
    )


def _of_message(which: QueueFilter) -> Conditions:
    text, values = "", list[Any]()
    if which.held is not None:
        text += " AND q.hold <> ''" if which.held else " AND q.hold = ''"
    for condition, value in (
        ("q.created_at < ?", which.before),
        ("q.created_at >= ?", which.since),
        ("q.size_octets > ?", which.larger_octets),
        ("q.message_id = ?", which.message_id or None),
    ):
        if value is not None:
            text += f" AND {condition}"
            values.append(value)
    if which.sender == "<>":
        text += " AND q.sender_local IS NULL"
    elif which.sender:
        condition, some = _address_is(which.sender, "q.sender_local", "q.sender_domain")
        text, values = f"{text} AND {condition}", values + some
    return text, values


def recipient_is(text: str) -> Conditions:
    return _address_is(text, "r.local_part", "r.domain")


def destination_is(text: str) -> Conditions:
    """As an item has it, or the domain or next hop of the recipient."""
    if not text:
        return "", []
    return "(r.destination = ? OR r.next_hop = ? OR r.domain = ?)", [text, text, text.casefold()]


def _address_is(text: str, local_column: str, domain_column: str) -> Conditions:
    """``local@domain`` or ``@domain``."""
    if not text:
        return "", []
    local, _, domain = text.rpartition("@")
    condition, values = f"{domain_column} = ?", [domain.casefold()]
    if local:
        condition += f" AND lower({local_column}) = lower(?)"
        values.append(local)
    return condition, values


def _listed(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> list[QueuedMessage]:
    numbers = [row[0] for row in rows]
    parts: dict[int, list[QueuePart]] = {number: [] for number in numbers}
    for number, *part in rows_of(
        connection,
        "SELECT queue_id, destination, state, due_at FROM queue_parts WHERE queue_id IN ({ids})"
        " ORDER BY queue_id, first_number",
        numbers,
    ):
        parts[number].append(_part(*part))
    counts = dict(
        rows_of(
            connection,
            "SELECT queue_id, count(*) FROM queue_recipients WHERE queue_id IN ({ids})"
            " GROUP BY queue_id",
            numbers,
        )
    )
    return [
        _message(row, parts[row[0]], counts.get(row[0], 0), _first(connection, row[0]))
        for row in rows
    ]


def _part(destination: str, state: int, due_at: int) -> QueuePart:
    return QueuePart(destination, STATES[state], None if state == HELD else due_at)


def _first(connection: sqlite3.Connection, number: int) -> list[Any]:
    return connection.execute(
        "SELECT local_part, domain, reply FROM queue_recipients WHERE queue_id = ?"
        " ORDER BY number LIMIT ?",
        (number, FIRST_SHOWN),
    ).fetchall()


def _message(
    row: Sequence[Any], parts: Sequence[QueuePart], count: int, first: Sequence[Any]
) -> QueuedMessage:
    number, message_id, local, domain, size, created_at, held_until, hold = row
    if hold:
        due_at = None if held_until >= NEVER else held_until
    else:
        due_at = min((each.due_at for each in parts if each.due_at is not None), default=None)
    states = {each.state for each in parts}
    return QueuedMessage(
        queue_id_text(number),
        message_id,
        None if local is None else Address(local, domain),
        size,
        created_at,
        due_at,
        hold,
        QueueState.SENDING in states,
        count,
        tuple(Address(each[0], each[1]) for each in first),
        next((each[2] for each in first if each[2]), ""),
        next((STATES[n] for n in _SHOWN_FIRST if STATES[n] in states), QueueState.WAITING),
        tuple(each.destination for each in parts[:FIRST_SHOWN]),
    )


# -- some messages


def named(connection: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, QueuedName]:
    rows = rows_of(
        connection,
        "SELECT queue_id, message_id, hold FROM queue WHERE queue_id IN ({ids})",
        numbers,
    )
    return {row[0]: QueuedName(queue_id_text(row[0]), row[1], row[2]) for row in rows}


def destinations(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[str]:
    rows = rows_of(
        connection,
        "SELECT DISTINCT destination FROM queue_parts WHERE queue_id IN ({ids})",
        numbers,
    )
    return sorted({destination for (destination,) in rows})


# -- one message


def entry(connection: sqlite3.Connection, number: int) -> QueueEntry | None:
    row = connection.execute(
        f"SELECT {_LISTED} FROM queue AS q WHERE q.queue_id = ?",  # noqa: S608 - own names only
        (number,),
    ).fetchone()
    item_row = connection.execute(
        f"SELECT {ITEM_COLUMNS} FROM queue AS q WHERE q.queue_id = ?",  # noqa: S608 - own names only
        (number,),
    ).fetchone()
    if row is None or item_row is None:
        return None
    recipients = connection.execute(
        f"SELECT {RECIPIENT_COLUMNS} FROM queue_recipients AS r WHERE r.queue_id = ?"  # noqa: S608 - own names only
        " ORDER BY r.number",
        (number,),
    ).fetchall()
    parts = [
        _part(*part)
        for part in connection.execute(
            "SELECT destination, state, due_at FROM queue_parts WHERE queue_id = ?"
            " ORDER BY first_number",
            (number,),
        )
    ]
    message = _message(row, parts, len(recipients), recipients_shown(recipients))
    return QueueEntry(
        message,
        queue_item(item_row, recipients),
        tuple(
            WaitingStatus(
                waiting_recipient(each), message.due_at if message.hold else each[8], each[9]
            )
            for each in recipients
        ),
        tuple(parts),
    )


def recipients_shown(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Of rows of RECIPIENT_COLUMNS, as a list shows them."""
    return [(row[1], row[2], row[5]) for row in rows[:FIRST_SHOWN]]


# -- its shape


class Shape:
    """Counts by name, gathered in pieces, so that no read lasts long."""

    def __init__(self, now: int, *, by_sender: bool) -> None:
        self._counts: dict[str, list[int]] = {}
        ages = " ".join(
            f"WHEN q.created_at > {now - age} THEN {place}"
            for place, age in enumerate(SHAPE_AGES_S)
        )
        source, name = "queue AS q", "q.sender_domain"
        if not by_sender:
            source = "queue_parts AS p CROSS JOIN queue AS q"
            name = "p.destination"
        key = "q" if by_sender else "p"
        condition = "" if by_sender else " AND q.queue_id = p.queue_id"
        self._sql = (
            f"SELECT {name}, CASE {ages} ELSE {len(SHAPE_AGES_S)} END AS age, count(*),"  # noqa: S608 - own names and numbers only
            f" sum(q.size_octets) FROM {source}"
            f" WHERE {key}.queue_id > ? AND {key}.queue_id <= ?{condition} GROUP BY 1, 2"
        )

    def read(self, connection: sqlite3.Connection, after: int) -> int | None:
        """Count a piece; returns the last key, None at the end."""
        (last,) = connection.execute(
            "SELECT max(queue_id) FROM (SELECT queue_id FROM queue WHERE queue_id > ?"
            " ORDER BY queue_id LIMIT ?) AS piece",
            (after, SHAPED_AT_ONCE),
        ).fetchone()
        if last is None:
            return None
        older = len(SHAPE_AGES_S)
        for name, age, messages, octets in connection.execute(self._sql, (after, last)):
            counts = self._counts.get(name)
            if counts is None:
                counts = self._counts[name] = [0] * (older + 2)
            counts[age] += messages
            counts[-1] += octets
        return int(last)

    def rows(self) -> list[ShapeRow]:
        rows = [
            ShapeRow(name, tuple(counts[:-1]), counts[-1]) for name, counts in self._counts.items()
        ]
        rows.sort(key=lambda row: (-sum(row.messages), row.name))
        return rows


# -- ETRN


def waiting_for(
    connection: sqlite3.Connection, domain: str, below: bool, after: int, limit: int
) -> list[int]:
    """Some of the messages for a domain, in their order; ``below`` counts subdomains too."""
    condition, values = _domain_is(domain, below)
    rows = connection.execute(
        "SELECT DISTINCT r.queue_id FROM queue_recipients AS r"  # noqa: S608 - own names only
        " CROSS JOIN queue AS q WHERE q.queue_id = r.queue_id"
        f" AND r.queue_id > ? AND {condition} AND r.next_hop <> ? AND q.hold = ''"
        " ORDER BY r.queue_id LIMIT ?",
        (after, *values, LOCAL, limit),
    ).fetchall()
    return [row[0] for row in rows]


def destinations_of(
    connection: sqlite3.Connection, domain: str, below: bool, limit: int
) -> list[str]:
    """Where that mail goes."""
    condition, values = _domain_is(domain, below)
    rows = connection.execute(
        f"SELECT DISTINCT r.destination FROM queue_recipients AS r WHERE {condition}"  # noqa: S608 - own names only
        " AND r.next_hop <> ? LIMIT ?",
        (*values, LOCAL, limit),
    ).fetchall()
    return [row[0] for row in rows]


def _domain_is(domain: str, below: bool) -> Conditions:
    if not below:
        return "r.domain = ?", [domain]
    pattern = "%." + domain.replace("_", "!_")
    return "(r.domain = ? OR r.domain LIKE ? ESCAPE '!')", [domain, pattern]
