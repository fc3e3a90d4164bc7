"""A queue of schema version 4 goes on in version 5: nobody is lost, and it costs what there is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.core.queue import QueueFilter, QueueState
from gateway.store import engine
from gateway.store.bounds import NEVER
from gateway.store.layout import Layout
from gateway.store.migrations import migrate
from gateway.store.schema import STEPS
from gateway.store.verify import verify
from tests.store.house import NOW, House
from tests.store.migrating import counted, migration_steps

_QUEUE = (
    "INSERT INTO queue (queue_id, sender_local, sender_domain, blob_id, content_offset,"
    " size_octets, eight_bit, created_at, due_at, lease_owner, message_id, hold, priority)"
    " VALUES (?, 'a', 'example.test', 1, 0, 9, 0, ?, ?, ?, ?, ?, ?)"
)
_RECIPIENT = (
    "INSERT INTO queue_recipients (queue_id, number, local_part, domain, next_hop, attempts,"
    " next_attempt_at, reply) VALUES (?, ?, ?, ?, ?, 1, ?, '451 later')"
)


def make_old(folder: Path) -> None:
    layout = Layout(folder)
    with House(folder):
        pass  # the directories
    layout.index.unlink()
    connection = engine.open_writer(layout.index)
    migrate(connection, STEPS[:4])
    for number, (due_at, owner, hold, priority) in enumerate(
        ((NOW, "", "", 0), (NOW + 60, "me", "", 4), (NEVER, "", "why", 0), (NOW + 900, "", "", 0)),
        start=1,
    ):
        connection.execute(_QUEUE, (number, NOW, due_at, owner, f"m{number}", hold, priority))
        at = NOW if owner else due_at
        for recipient, (name, domain, hop) in enumerate(
            (("b", "y.example", ""), ("c", "z.example", "smtp://z:25"), ("d", "y.example", "")), 1
        ):
            connection.execute(_RECIPIENT, (number, recipient, name, domain, hop, at))
    connection.execute("INSERT INTO blobs VALUES (1, 4, 9, -1, 0, '', x'', x'')")
    connection.execute("UPDATE counters SET value = 4 WHERE name IN ('queue', 'blob')")
    connection.close()


def test_a_queue_of_the_version_before_goes_on(tmp_path: Path) -> None:
    make_old(tmp_path)
    with House(tmp_path) as house:
        depth = house.wait(house.store.depth())
        assert (depth.messages, depth.recipients, depth.held) == (4, 12, 1)
        listed = house.wait(house.store.queue.listed(QueueFilter(), after=None, limit=9))
        assert [each.state is QueueState.HELD for each in listed] == [False, False, True, False]
        items = house.lease()
        assert sorted((item.message_id, item.destination) for item in items) == [
            ("m1", "smtp://z:25"),
            ("m1", "y.example"),
            ("m2", "smtp://z:25"),
            ("m2", "y.example"),
        ]
        urgent_first = [item.message_id for item in items if item.destination == "y.example"]
        assert urgent_first == ["m2", "m1"]
        by_place = {(item.message_id, item.destination): item for item in items}
        numbers = [each.number for each in by_place["m1", "y.example"].recipients]
        assert numbers == [1, 3], "between them is one for elsewhere"
        assert by_place["m1", "y.example"].recipients[0].last_reply == "451 later"
        assert len(house.lease(NOW + 900)) == 6
        assert not [text for text in verify(tmp_path).problems if "queue" in text]


def test_bringing_a_long_queue_up_to_date_costs_what_it_holds(tmp_path: Path) -> None:
    def steps(messages: int) -> int:
        def fill(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO queue (queue_id, sender_local, sender_domain, blob_id, content_offset,"
                " size_octets, eight_bit, created_at, due_at, lease_owner, message_id)"
                f" {counted(messages)}"
                " SELECT i, 'a', 'x', i, 0, 9, 0, 5, 5, '', 'm' || i FROM n"
            )
            connection.execute(
                "INSERT INTO queue_recipients (queue_id, number, local_part, domain, next_hop,"
                f" attempts, next_attempt_at, reply) {counted(messages)}"
                " SELECT i, 1, 'b', 'y' || (i % 100), '', 0, 5, '' FROM n"
            )

        return migration_steps(tmp_path / str(messages), 4, fill)

    few, many = steps(2_000), steps(8_000)
    assert few > 0
    assert many < 6 * few
