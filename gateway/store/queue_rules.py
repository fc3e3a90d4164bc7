"""What must hold in the queue's tables beside their numbers of rows, as questions like ``rules``'.

Owns one statement for each thing that ``queue_parts`` promises. Never changes anything.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.store import bounds
from gateway.store.queue_parts import HELD, LATER, READY


class Rule(NamedTuple):
    """One thing that must not be found; the columns fill the text."""

    name: str
    text: str
    statement: str


NUMBERS = (
    Rule(
        "part numbers", "queued message {0} for {1} has a number that cannot be",
        bounds.PARTS.outside,
    ),
    Rule(
        "destination numbers", "destination {0} of the queue has a number that cannot be",
        bounds.DESTINATIONS.outside,
    ),
)  # fmt: skip
MEANINGS = (
    Rule(
        "part without message", "what waits for {1} belongs to no queued message {0}",
        "SELECT queue_id, destination FROM queue_parts AS t WHERE NOT EXISTS"
        " (SELECT 1 FROM queue AS q WHERE q.queue_id = t.queue_id)",
    ),
    Rule(
        "recipient without part", "recipient {1} of queued message {0} is in no part for {2}",
        "SELECT t.queue_id, t.number, t.destination FROM queue_recipients AS t WHERE NOT EXISTS"
        " (SELECT 1 FROM queue_parts AS p WHERE p.queue_id = t.queue_id"
        " AND p.destination = t.destination"
        " AND t.number BETWEEN p.first_number AND p.last_number)",
    ),
    Rule(
        "part without recipients", "queued message {0} has no recipients for {1}",
        "SELECT t.queue_id, t.destination FROM queue_parts AS t WHERE NOT EXISTS"
        " (SELECT 1 FROM queue_recipients AS r WHERE r.queue_id = t.queue_id"
        " AND r.number BETWEEN t.first_number AND t.last_number"
        " AND r.destination = t.destination)",
    ),
    Rule(
        "part's state", "queued message {0} for {1} waits otherwise than its recipients",
        "SELECT t.queue_id, t.destination FROM queue_parts AS t"  # noqa: S608 - own numbers only
        " JOIN queue AS q ON q.queue_id = t.queue_id"
        f" WHERE (t.state = {HELD}) <> (q.hold <> '') OR t.state = {LATER} AND t.due_at <>"
        " (SELECT min(r.next_attempt_at) FROM queue_recipients AS r"
        " WHERE r.queue_id = t.queue_id AND r.number BETWEEN t.first_number AND t.last_number"
        " AND r.destination = t.destination)",
    ),
    Rule(
        "ready out of line", "mail for {0} is ready, but the destination does not stand in line",
        "SELECT DISTINCT t.destination FROM queue_parts AS t"  # noqa: S608 - own numbers only
        f" WHERE t.state = {READY} AND NOT EXISTS"
        " (SELECT 1 FROM queue_destinations AS d WHERE d.destination = t.destination)",
    ),
)  # fmt: skip
