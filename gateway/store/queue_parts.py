"""The parts of queued messages: what waits of one message for one destination.

Owns the rows of ``queue_parts`` and ``queue_destinations``, and the statements that keep them true
to ``queue_recipients``. A part is picked, leased and put off as a whole; who of it is due is said
by its recipients. Never decides when anything is due.

What holds in every committed state, so also after a crash at any point (``verify`` checks it):
- each recipient belongs to the one part of its message and destination, whose numbers span it; each
  part has a recipient. Recipients of one destination are numbered in a row when they are queued, so
  reading a part reads no others, however many a message has. (A part into which others moved may
  span strangers, which are left out by their destination.)
- HELD are all parts of a message with a ``hold``, and no others. READY: a recipient is due, which
  stays so whatever the clock does. LATER: ``due_at`` is the earliest attempt. LEASED: ``due_at`` is
  the end of the lease.
- a destination with a READY part has a row in ``queue_destinations``; a row without one is removed
  when somebody wants to lease from it. ``look_at`` 0: it stands in line, by its turn; else it is
  left alone till that time, whatever is queued for it. So picking costs the same however much
  waits, and nobody walks over mail that cannot go now.
- ``rank`` is the message's priority, negated: lower is first. ``turn``: see ``turns``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.store.engine import by_index
from gateway.store.transaction import Transaction, in_pieces

READY, LATER, LEASED, HELD = range(4)
PART_COLUMNS = (
    "queue_parts (queue_id, destination, rank, turn, state, due_at, lease_owner, first_number,"
    " last_number)"
)
OF_PART = (
    "r.queue_id = p.queue_id AND r.number BETWEEN p.first_number AND p.last_number"
    " AND r.destination = p.destination"
)
"""Joins ``queue_recipients AS r`` with ``queue_parts AS p``."""
BY_READY, BY_LATER, BY_LEASED, BY_LINE = map(
    by_index, ("queue_ready", "queue_later", "queue_leased", "queue_in_line")
)
_LINE_COLUMNS = "queue_destinations (destination, look_at, turn)"
_EARLIER = (
    " ON CONFLICT (destination) DO UPDATE SET turn = excluded.turn"
    " WHERE excluded.turn < queue_destinations.turn"
)
_SPAN = (
    "SELECT min(r.next_attempt_at), min(r.number), max(r.number) FROM queue_parts AS p"  # noqa: S608 - own names only
    f" JOIN queue_recipients AS r ON {OF_PART} WHERE p.queue_id = ? AND p.destination = ?"
)
_IS_HELD = (
    "EXISTS (SELECT 1 FROM queue AS q WHERE q.queue_id = queue_parts.queue_id AND q.hold <> '')"
)
_SETTLE = (
    f"UPDATE queue_parts SET state = CASE WHEN {_IS_HELD} THEN {HELD} ELSE ? END,"  # noqa: S608 - own names only
    " due_at = ?, lease_owner = '', first_number = ?, last_number = ?"
    " WHERE queue_id = ? AND destination = ? RETURNING state, turn"
)


def line_up(tx: Transaction, turns: Mapping[str, int]) -> None:
    """These destinations have something ready now; one that is left alone stays so."""
    if turns:
        tx.insert(_LINE_COLUMNS, [(name, 0, turn) for name, turn in turns.items()], _EARLIER)


def line_up_all(tx: Transaction, rows: Iterable[Sequence[Any]]) -> None:
    """The same from rows of destination and turn, of which the earliest counts."""
    turns: dict[str, int] = {}
    for destination, turn in rows:
        turns[destination] = min(turn, turns.get(destination, turn))
    line_up(tx, turns)


def settle_part(tx: Transaction, number: int, destination: str, now: int) -> None:
    """A lease has ended, or recipients have changed: the part becomes what they make it."""
    row = tx.fetch_one(_SPAN, (number, destination))
    if row is None or row[0] is None:
        tx.execute(
            "DELETE FROM queue_parts WHERE queue_id = ? AND destination = ?", (number, destination)
        )
        return
    at, first, last = row
    state = READY if at <= now else LATER
    settled = tx.fetch_one(_SETTLE, (state, at, first, last, number, destination))
    if settled is not None and settled[0] == READY:
        line_up(tx, {destination: settled[1]})


def regroup(tx: Transaction, number: int, now: int, *, ends_leases: bool = False) -> None:
    """Recipients of the message were added, or have got other destinations: make its parts anew.

    A part that was there keeps its turn, and, unless ``ends_leases``, its lease.
    """
    message = tx.fetch_one("SELECT priority, created_at FROM queue WHERE queue_id = ?", (number,))
    if message is None:
        return
    known = {
        destination: (turn, state)
        for destination, turn, state in tx.fetch_all(
            "SELECT destination, turn, state FROM queue_parts WHERE queue_id = ?", (number,)
        )
    }
    groups = tx.fetch_all(
        "SELECT destination, min(next_attempt_at), min(number), max(number) FROM queue_recipients"
        " WHERE queue_id = ? GROUP BY destination",
        (number,),
    )
    turn = min((each for each, _ in known.values()), default=message[1] * 1000)
    for destination, at, first, last in groups:
        state = known.pop(destination, (0, None))[1]
        if state is None:
            row = (number, destination, -message[0], turn, LATER, at, "", first, last)
            tx.insert(PART_COLUMNS, [row])
        else:
            tx.execute(
                "UPDATE queue_parts SET first_number = ?, last_number = ?"
                " WHERE queue_id = ? AND destination = ?",
                (first, last, number, destination),
            )
        if state != LEASED or ends_leases:
            settle_part(tx, number, destination, now)
    for destination in known:
        settle_part(tx, number, destination, now)  # nobody is left in it


def free_messages(tx: Transaction, numbers: Sequence[int], now: int) -> None:
    """They are no longer held, and due at once."""
    for piece, marks in in_pieces(numbers):
        tx.execute(
            "UPDATE queue SET hold = '', held_until = 0"  # noqa: S608 - own names only
            f" WHERE queue_id IN ({marks}) AND hold <> ''",
            piece,
        )
    hasten_recipients(tx, numbers, now)
    make_ready(tx, numbers, (READY, LATER, LEASED, HELD), now)


def hasten_recipients(tx: Transaction, numbers: Sequence[int], now: int) -> None:
    for piece, marks in in_pieces(numbers):
        tx.execute(
            "UPDATE queue_recipients SET next_attempt_at = ?"  # noqa: S608 - own names only
            f" WHERE queue_id IN ({marks}) AND next_attempt_at > ?",
            (now, *piece, now),
        )


def make_ready(
    tx: Transaction, numbers: Sequence[int], states: Sequence[int], now: int
) -> set[str]:
    """The parts of these messages that are in one of the states; returns their destinations."""
    wanted = ", ".join(map(str, states))
    found: set[str] = set()
    for piece, marks in in_pieces(numbers):
        rows = tx.fetch_all(
            f"UPDATE queue_parts SET state = {READY}, due_at = ?"  # noqa: S608 - own names only
            f" WHERE queue_id IN ({marks}) AND state IN ({wanted}) RETURNING destination, turn",
            (now, *piece),
        )
        line_up_all(tx, rows)
        found.update(destination for destination, _ in rows)
    return found


def hold_messages(tx: Transaction, numbers: Sequence[int], reason: str, until: int) -> set[int]:
    """Whoever has leased of them is not asked: what they record still counts. Returns those that
    are there."""
    found: set[int] = set()
    for piece, marks in in_pieces(numbers):
        rows = tx.fetch_all(
            "UPDATE queue SET hold = ?, held_until = ?"  # noqa: S608 - own names only
            f" WHERE queue_id IN ({marks}) RETURNING queue_id",
            (reason, until, *piece),
        )
        found.update(number for (number,) in rows)
        tx.execute(
            f"UPDATE queue_parts SET state = {HELD}, lease_owner = ''"  # noqa: S608 - own names only
            f" WHERE queue_id IN ({marks})",
            piece,
        )
    return found
