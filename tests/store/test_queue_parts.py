"""The queue's parts: what becomes due, what a clock does to it, and rows that cannot be read."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.envelope import Hold
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.core.queue import QueueFilter, QueueState, Recorded, Wish
from gateway.store import queue_lease
from gateway.store.queue_lease import LONGEST_WAIT_S
from tests.store.house import CAROL, DAVE, ERIN, NOW, House

DAY_S = 86_400
BOB_HERE = QueuedRecipient(Address("bob", "example.test"), LOCAL)


def states(house: House) -> dict[str, QueueState]:
    found = house.wait(house.store.queue.listed(QueueFilter(), after=None, limit=100))
    return {each.message_id: each.state for each in found}


def put_off(house: House, seconds: int, now: int = NOW) -> None:
    for item in house.lease(now):
        later = [Recorded(each.number, 1, now + seconds, "451 later") for each in item.recipients]
        house.wait(house.store.record(item.queue_id, later, None))


def test_states_are_those_of_what_goes_on(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("ready", remote=[CAROL])
        assert states(house) == {"ready": QueueState.READY}
        put_off(house, 600)
        assert states(house) == {"ready": QueueState.WAITING}
        house.deliver("sending", remote=[CAROL, DAVE])
        house.lease()
        message = replace(house.message("held", remote=[CAROL]), hold=Hold("why"))
        house.wait(house.store.accept(message))
        assert states(house) == {
            "ready": QueueState.WAITING,
            "sending": QueueState.SENDING,
            "held": QueueState.HELD,
        }
        for state, name in ((QueueState.SENDING, "sending"), (QueueState.HELD, "held")):
            which = QueueFilter(state=state)
            found = house.wait(house.store.queue.listed(which, after=None, limit=9))
            assert [each.message_id for each in found] == [name]
        house.verify()


def test_what_becomes_due_at_once_comes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_lease, "PROMOTED_AT_ONCE", 3)
    with House(tmp_path) as house:
        for number in range(8):
            house.deliver(str(number), remote=[CAROL])
        put_off(house, 600)
        counted = []
        for _ in range(4):
            house.wait(house.store.ready(NOW + 600, 10))
            ready = sum(state is QueueState.READY for state in states(house).values())
            counted.append(ready)
        assert counted == [3, 6, 8, 8]
        assert house.wait(house.store.next_due_at()) == 0


def test_what_comes_again_stands_behind_what_came_meanwhile(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("again", remote=[CAROL])
        put_off(house, 600)
        house.now += 300
        house.deliver("new", remote=[CAROL])
        assert [item.message_id for item in house.lease(NOW + 600)] == ["new", "again"]


def test_D7_a_clock_set_back_brings_due_times_back_with_their_distances(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for number in range(4):
            house.deliver(str(number), remote=[CAROL])
        ahead = 400 * DAY_S
        for number, item in enumerate(house.lease()):
            later = Recorded(1, 1, NOW + ahead + 100 * number, "451 later")
            house.wait(house.store.record(item.queue_id, [later], None))
    with House(tmp_path) as house:
        due = [len(house.lease(NOW + after, lease_s=9999)) for after in (0, 99, 100, 200, 300)]
        assert due == [1, 0, 1, 1, 1]
        house.verify()


def test_D7_new_mail_goes_at_once_whatever_the_clock_says(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("old", remote=[CAROL])
        house.now -= 400 * DAY_S  # while the runner's time goes on
        house.deliver("new", remote=[DAVE])
        assert len(house.lease(NOW)) == 2
    with House(tmp_path) as house:
        house.now -= 400 * DAY_S
        house.wait(house.store.take_care())
        now = int(house.now)
        assert {item.message_id for item in house.lease(now)} == {"old", "new"}


def test_D7_a_clock_set_forward_makes_nothing_come_twice(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for number in range(3):
            house.deliver(str(number), remote=[CAROL])
        put_off(house, 3600)
    with House(tmp_path) as house:
        house.now += 10 * DAY_S
        house.wait(house.store.take_care())
        assert len(house.lease(int(house.now))) == 3
        assert house.lease(int(house.now) + 59) == []
        assert LONGEST_WAIT_S == DAY_S


def test_D10_a_row_that_cannot_be_read_is_held_and_stops_no_other(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("bad", remote=[CAROL])
        house.deliver("good", remote=[CAROL])
        connection = sqlite3.connect(tmp_path / "store/index.sqlite")
        with connection:
            connection.execute("UPDATE queue SET options = '{' WHERE message_id = 'bad'")
        connection.close()
        assert [item.message_id for item in house.lease()] == ["good"]
        assert house.lease() == []
        (held,) = house.wait(house.store.queue.listed(QueueFilter(held=True), after=None, limit=9))
        assert held.hold.startswith("damage: ")


def test_a_message_of_many_destinations_ends_with_its_last_part(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        remote = [QueuedRecipient(Address("c", f"y{number % 40}.example")) for number in range(90)]
        house.deliver("1", remote=remote)
        items = house.lease(limit=100)
        assert len(items) == 40
        assert sorted(each.number for item in items for each in item.recipients) == [*range(1, 91)]
        for item in items:
            done = [Recorded(each.number, 1, None, "250 ok") for each in item.recipients]
            house.wait(house.store.record(item.queue_id, done, None))
            house.verify()
        assert house.wait(house.store.depth()).messages == 0


def test_reroute_moves_who_is_meant_and_makes_them_due(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        queue_id = house.deliver("1", remote=[CAROL, ERIN, DAVE, BOB_HERE]).queue_id
        put_off(house, 600)
        queue = house.store.queue
        hop = "smtp://other.example:25"
        carol = QueueFilter(recipient=str(CAROL.address))
        assert house.wait(queue.reroute([queue_id], hop, carol)) == [queue_id]
        house.verify()
        (item,) = house.lease()
        assert (item.destination, len(item.recipients)) == (hop, 1)
        assert (item.recipients[0].address, item.recipients[0].attempts) == (CAROL.address, 1)
        assert house.wait(queue.reroute([queue_id], hop, QueueFilter())) == [queue_id]
        entry = house.wait(queue.entry(queue_id))
        assert entry is not None
        assert {str(each.recipient.address): each.destination for each in entry.recipients} == {
            "carol@example.org": hop,
            "erin@example.org": hop,
            "dave@example.net": hop,
            "bob@example.test": LOCAL,
        }
        assert {part.destination: part.state for part in entry.parts} == {
            hop: QueueState.READY,
            LOCAL: QueueState.WAITING,
        }
        house.verify()
        assert house.wait(queue.reroute([queue_id], "", QueueFilter(recipient="@z"))) == []


def test_the_shape_tells_ages_by_destination_and_by_sender(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for number in range(3):
            house.deliver(str(number), remote=[CAROL, DAVE])
        house.deliver("3", remote=[CAROL])
        queue = house.store.queue
        first, second = house.wait(queue.shape(NOW + 400))
        assert (first.name, first.messages) == ("example.org", (0, 4, 0, 0, 0, 0, 0))
        assert (second.name, sum(second.messages)) == ("smtp://relay.example.net:25", 3)
        assert first.octets > second.octets > 0
        (old,) = house.wait(queue.shape(NOW + 9 * DAY_S, by_sender=True))
        assert (old.name, old.messages) == ("example.test", (0, 0, 0, 0, 0, 0, 4))


def test_what_is_hastened_is_looked_at_also_where_it_was_left_alone(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        queue_id = house.deliver("1", remote=[CAROL]).queue_id
        house.wait(house.store.lease([Wish("example.org", 0, NOW + 3600)], NOW, "me", 60))
        assert not house.wait(house.store.ready(NOW, 9))
        house.wait(house.store.queue.hasten([queue_id]))
        assert house.wait(house.store.ready(NOW, 9)) == ["example.org"]
