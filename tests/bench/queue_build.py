"""Fills the queue of a store with a million messages in a minute, as rows of the index.

The messages have no octets, so none can be sent; all that concerns the index is as deliveries and
attempts would have left it: ``verify`` finds nothing in it, but for the octets. Half of the
messages are ready, the others wait for their next time. Never part of the product.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.store import engine
from gateway.store.layout import Layout
from gateway.store.queue_parts import LATER, READY

NOW = 1_700_000_000
OCTETS = 5_000
PIECE = 50_000
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
SPAN_S = 400_000  # from the oldest to the newest
SCATTER = 791_933  # a prime, so that each turn is given once


def fill(
    state_dir: Path,
    messages: int,
    destinations: int,
    tell: Callable[[int], None],
    *,
    scattered: bool = False,
) -> None:
    """Of a store that nobody has open, and that has never queued anything.

    Args:
        scattered: turns have nothing to do with ids, as where all has been tried again and again:
            what goes together lies far apart.
    """
    connection = engine.open_writer(Layout(state_dir).index)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -262144")
    execute = connection.execute
    created = f"({NOW - SPAN_S} + i * {SPAN_S} / {messages})"
    turn = f"{created} * 1000" if not scattered else f"(i * {SCATTER} % {messages} + 1) * 1000"
    due = f"CASE i % 2 WHEN 0 THEN {created} ELSE {NOW} + 600 + i * 7919 % 14000 END"
    for first in range(1, messages + 1, PIECE):
        last = min(first + PIECE - 1, messages)
        execute("BEGIN")
        execute(
            "INSERT INTO queue (queue_id, sender_local, sender_domain, blob_id, content_offset,"
            " size_octets, eight_bit, created_at, held_until, options, message_id, last_number)"
            f" {_NUMBERS} SELECT i, 'sender' || (i % 1000), 'x' || (i % 50) || '.example', i, 0,"
            f" {OCTETS}, 0, {created}, 0, '', 'message-' || i, 1 FROM n",
            (first, last),
        )
        execute(
            "INSERT INTO queue_recipients (queue_id, number, local_part, domain, next_hop,"
            " attempts, next_attempt_at, reply, options, destination)"
            f" {_NUMBERS} SELECT i, 1, 'recipient' || i, 'y' || (i % ?) || '.example', '', i % 2,"
            f" {due}, CASE i % 2 WHEN 0 THEN '' ELSE '451 4.2.0 mailbox busy, try later' END, '',"
            " 'y' || (i % ?) || '.example' FROM n",
            (first, last, destinations, destinations),
        )
        execute(
            "INSERT INTO queue_parts (queue_id, destination, rank, turn, state, due_at,"
            f" lease_owner, first_number, last_number) {_NUMBERS} SELECT i,"
            f" 'y' || (i % ?) || '.example', 0, {turn},"
            f" CASE i % 2 WHEN 0 THEN {READY} ELSE {LATER} END, {due}, '', 1, 1 FROM n",
            (first, last, destinations),
        )
        execute(
            "INSERT INTO blobs (blob_id, refs, size_octets, segment_id, segment_offset, file_name,"
            f" head, checksums) {_NUMBERS} SELECT i, 1, {OCTETS}, 1, (i - 1) * {OCTETS + 100}, '',"
            " x'', x'00000000' FROM n",
            (first, last),
        )
        execute(
            "INSERT INTO ingests (ingest_id, queue_id, accepted_at)"
            f" {_NUMBERS} SELECT 'message-' || i, printf('%08X', i), {created} FROM n",
            (first, last),
        )
        execute("COMMIT")
        tell(last)
    execute("BEGIN")
    execute(
        "INSERT INTO queue_destinations (destination, look_at, turn)"
        f" SELECT destination, 0, min(turn) FROM queue_parts WHERE state = {READY}"
        " GROUP BY destination"
    )
    execute(
        "INSERT INTO segments (segment_id, live_blobs, live_octets) VALUES (1, ?, ?)",
        (messages, messages * OCTETS),
    )
    execute("UPDATE counters SET value = ? WHERE name IN ('queue', 'blob')", (messages,))
    execute("UPDATE counters SET value = 1 WHERE name = 'segment'")
    execute("COMMIT")
    execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
