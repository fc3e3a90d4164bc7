"""What administrators and ETRN do to the queue, and what is held."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.envelope import (
    Hold,
    MessageOptions,
    Notify,
    RecipientOptions,
)
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL, QueuedRecipient
from gateway.core.queue import LocalCopy, QueueFilter, QueueItem, Recorded, Start
from tests.store.house import (
    ALICE,
    CAROL,
    DAVE,
    ERIN,
    MESSAGE,
    NOW,
    RECEIVED,
    RETURN_PATH,
    House,
)

BOB_HERE = QueuedRecipient(Address("bob", "example.test"), LOCAL)
DAY_S = 86_400


def lease(house: House, now: int = NOW, limit: int = 10) -> list[QueueItem]:
    return house.lease(now, limit)


def accept(
    house: House,
    name: str,
    *remote: QueuedRecipient,
    hold: Hold | None = None,
    options: MessageOptions | None = None,
) -> QueueId:
    message = replace(house.message(name, remote=remote or [CAROL]), hold=hold)
    if options is not None:
        message = replace(message, options=options)
    return house.wait(house.store.accept(message)).queue_id


def listed(house: House, **which: object) -> list[str]:
    chosen = QueueFilter(**which)  # type: ignore[arg-type]
    found = house.wait(house.store.queue.listed(chosen, after=None, limit=100))
    return [each.message_id for each in found]


# -- held mail


def test_held_mail_is_due_when_its_hold_ends_and_not_before(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        accept(house, "until", hold=Hold("limit: too many", NOW + 600))
        accept(house, "ever", hold=Hold("quarantine: looked at"))
        assert lease(house, NOW + 599) == []
        assert house.wait(house.store.next_due_at()) is None
        assert house.wait(house.store.next_release_at()) == NOW + 600
        depth = house.wait(house.store.depth())
        assert (depth.messages, depth.held) == (2, 2)
        (item,) = lease(house, NOW + 600)
        assert item.message_id == "until"
        assert house.wait(house.store.depth()).held == 1
        assert house.wait(house.store.next_release_at()) is None
        assert lease(house, NOW + 50 * 365 * DAY_S) == [item]
        assert house.verify().problems == ()


def test_D7_a_start_leaves_held_mail_held_whatever_the_clock_says(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        accept(house, "until", hold=Hold("limit: too many", NOW + 30 * DAY_S))
        accept(house, "ever", hold=Hold("quarantine: looked at"))
        accept(house, "plain")
    for shift_s in (10 * DAY_S, -400 * DAY_S):
        with House(tmp_path) as house:
            house.now = NOW + shift_s
            house.wait(house.store.take_care())
            assert house.wait(house.store.next_release_at()) == NOW + 30 * DAY_S
            assert house.wait(house.store.depth()).held == 2
            due_at = house.wait(house.store.next_due_at())
            assert due_at is not None and due_at <= max(NOW, house.now + DAY_S)


def test_future_release_is_held_until_the_sender_wants_it(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        wanted = MessageOptions(release_at=NOW + 900)
        accept(house, "later", BOB_HERE, options=wanted)
        held = Hold("limit: too many", NOW + 300)
        accept(house, "both", options=wanted, hold=held)
        assert lease(house, NOW + 899) == []
        assert len(lease(house, NOW + 900)) == 2


def test_administrators_hold_and_release(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        queue = house.store.queue
        queue_id = accept(house, "1", CAROL, ERIN)
        (item,) = lease(house)
        assert house.wait(queue.hold([queue_id, QueueId("FFFF")], "why")) == [queue_id]
        # An attempt that was going on ends: what it says is kept, and the message stays held.
        results = [Recorded(1, 1, NOW + 60, "451 later"), Recorded(2, 1, None, "250 ok")]
        house.wait(house.store.record(item.queue_id, results, None))
        assert lease(house, NOW + DAY_S) == []
        assert house.wait(queue.hasten([queue_id])) == []
        house.now += 5
        assert house.wait(queue.release([queue_id])) == [queue_id]
        assert house.wait(queue.release([queue_id])) == []
        ((left,),) = [item.recipients for item in lease(house, NOW + 5)]
        assert (left.address, left.attempts, left.last_reply) == (CAROL.address, 1, "451 later")


def test_hasten_and_remove(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        queue = house.store.queue
        queue_id = accept(house, "1")
        lease(house)
        house.wait(house.store.record(queue_id, [Recorded(1, 1, NOW + 999, "later")], None))
        heard: list[None] = []
        house.store.watch_queue(lambda: heard.append(None))
        assert house.wait(queue.hasten([queue_id])) == [queue_id]
        assert heard and len(lease(house)) == 1
        assert house.wait(queue.remove([queue_id])) == [queue_id]
        house.wait(house.store.record(queue_id, [Recorded(1, 2, None, "250 ok")], None))
        assert house.wait(house.store.depth()).messages == 0
        report = house.verify()
        assert report.blobs == 0 and report.problems == ()


# -- looking


def test_lists_are_pages_narrowed_by_what_is_asked_for(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for number in range(5):
            accept(house, f"m{number}")
        accept(house, "held", DAVE, hold=Hold("why"))
        assert listed(house) == ["m0", "m1", "m2", "m3", "m4", "held"]
        assert listed(house, held=True) == listed(house, recipient="DAVE@example.net") == ["held"]
        assert len(listed(house, held=False)) == 5
        assert len(listed(house, sender="a@example.test")) == 6
        assert listed(house, sender="b@example.test") == listed(house, sender="<>") == []
        assert len(listed(house, recipient="@example.org")) == 5
        assert len(listed(house, destination="example.org")) == 5
        assert listed(house, destination="smtp://relay.example.net:25") == ["held"]
        assert listed(house, destination="example.net") == ["held"]
        assert listed(house, before=NOW) == []
        queue = house.store.queue
        first = house.wait(queue.listed(QueueFilter(), after=None, limit=4))
        rest = house.wait(queue.listed(QueueFilter(), after=first[-1].queue_id, limit=4))
        assert [each.message_id for each in rest] == ["m4", "held"]
        assert rest[1].due_at is None and rest[1].hold == "why"


def test_an_entry_tells_everything(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        options = MessageOptions(ret="HDRS", envid="x", priority=3)
        asked = RecipientOptions(Notify.SUCCESS, "rfc822;c@old")
        queue_id = accept(house, "1", replace(CAROL, options=asked), options=options)
        (item,) = lease(house)
        assert item.options == options
        told = Recorded(1, 1, NOW + 60, "451 later", told_of_delay=True)
        house.wait(house.store.record(queue_id, [told], None))
        house.wait(house.store.record(queue_id, [Recorded(1, 1, NOW + 90, "451 x")], None))
        entry = house.wait(house.store.queue.entry(queue_id))
        assert entry is not None and entry.item.options == options
        (status,) = entry.recipients
        assert status.recipient.options == asked and status.recipient.told_of_delay
        assert (status.next_attempt_at, status.recipient.last_reply) == (NOW + 90, "451 x")
        for unknown in ("FFFF", "", "x'; DROP TABLE queue", "9" * 40):
            assert house.wait(house.store.queue.entry(QueueId(unknown))) is None


# -- order


def test_higher_priorities_are_taken_first(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for name, priority in (("low", -4), ("plain", 0), ("high", 9), ("high too", 9)):
            accept(house, name, options=MessageOptions(priority=priority))
        assert [each.message_id for each in lease(house, limit=3)] == ["high", "high too", "plain"]
        assert [each.message_id for each in lease(house, limit=3)] == ["low"]
        assert house.wait(house.store.next_due_at()) == NOW + 60


# -- ETRN (RFC 1985)


@pytest.mark.parametrize(
    ("name", "start", "due"),
    [
        ("example.org", Start.STARTED, {"a"}),
        ("EXAMPLE.org.", Start.STARTED, {"a"}),
        ("@example.org", Start.STARTED, {"a", "b"}),
        ("@rg", Start.NOTHING_WAITS, set()),
        ("nothing.example", Start.NOTHING_WAITS, set()),
        ("example.test", Start.NOTHING_WAITS, set()),
        ("#queue", Start.UNKNOWN, set()),
        ("", Start.UNKNOWN, set()),
        ("%", Start.UNKNOWN, set()),
    ],
)
def test_a_destination_is_started_by_name(
    tmp_path: Path, name: str, start: Start, due: set[str]
) -> None:
    with House(tmp_path) as house:
        below = QueuedRecipient(Address("x", "sub.example.org"))
        for number, each in enumerate((CAROL, below, BOB_HERE)):
            accept(house, "abc"[number], each)
        accept(house, "held", CAROL, hold=Hold("why"))
        for item in lease(house):
            later = Recorded(1, 1, NOW + 900, "later")
            house.wait(house.store.record(item.queue_id, [later], None))
        assert house.wait(house.store.queue.start(name)) is start
        assert {item.message_id for item in lease(house)} == due


# -- people here


def test_a_queued_message_reaches_people_here_with_its_result(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        message = replace(house.message("1", remote=[BOB_HERE, CAROL]), hold=None)
        queue_id = house.wait(house.store.accept(message)).queue_id
        assert {item.size_octets for item in lease(house)} == {len(RECEIVED + MESSAGE)}
        done = Recorded(1, 1, None, "ok", copies=(LocalCopy(ALICE, BOB_HERE.address),))
        for _ in range(2):  # the second time nobody knows whether the first one was kept
            house.wait(house.store.record(queue_id, [done], None))
        (row,) = house.rows()
        octets = house.wait(house.store.read(row.blob_id, 0, row.size_octets))
        assert octets == RETURN_PATH + RECEIVED + MESSAGE
        also = Recorded(2, 1, None, "ok", copies=(LocalCopy(ALICE, CAROL.address),))
        house.wait(house.store.record(queue_id, [also], None))
        assert len(house.rows()) == 1, "one copy, by however many addresses"
        assert house.wait(house.store.depth()).messages == 0
        assert house.verify().problems == ()


def test_no_recipient_gets_a_number_that_another_had(tmp_path: Path) -> None:
    """Or the report about the second one would count as told already."""
    with House(tmp_path) as house:
        queue_id = accept(house, "1", BOB_HERE, CAROL)
        lease(house)
        house.wait(house.store.record(queue_id, [Recorded(2, 1, None, "550 no")], None))
        for done, follower in ((1, DAVE), (3, BOB_HERE)):
            followed = Recorded(done, 1, None, "ok", followed_to=(follower,))
            house.wait(house.store.record(queue_id, [followed], None))
        (item,) = lease(house)
        assert [(each.number, each.address) for each in item.recipients] == [(4, BOB_HERE.address)]


def test_new_recipients_take_the_place_of_one(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        queue_id = accept(house, "1", BOB_HERE, CAROL)
        lease(house)
        followed = Recorded(1, 1, None, "ok", followed_to=(DAVE, CAROL, DAVE))
        house.wait(house.store.record(queue_id, [followed], None))
        house.wait(house.store.record(queue_id, [followed], None))
        known = [each for item in lease(house, NOW + 60) for each in item.recipients]
        assert sorted((each.number, each.address) for each in known) == [
            (2, CAROL.address),
            (3, DAVE.address),
        ]


def test_many_are_changed_at_once_and_none_besides(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        ids = [accept(house, str(number), CAROL, DAVE) for number in range(150)]
        queue, chosen = house.store.queue, [*ids[10:140], QueueId("FFFF"), QueueId("no id")]

        def held() -> int:
            found = house.wait(queue.listed(QueueFilter(held=True), after=None, limit=200))
            return len(found)

        assert house.wait(queue.hold(chosen, "why")) == ids[10:140]
        assert held() == 130
        small = [each.lower() for each in ids[:11]]
        names = house.wait(queue.named([*map(QueueId, small), QueueId("FFFF"), QueueId("x")]))
        assert [each and (each.queue_id, each.message_id, each.hold) for each in names] == [
            *((each, str(number), "") for number, each in enumerate(ids[:10])),
            (ids[10], "10", "why"),
            None,
            None,
        ]
        assert house.wait(queue.destinations(ids)) == ["example.org", DAVE.next_hop]
        assert house.wait(queue.hasten(ids[:12])) == ids[:10]
        assert house.wait(queue.release(ids)) == ids[10:140]
        assert held() == 0 and len(lease(house, limit=500)) == 300
        assert house.wait(queue.remove(chosen)) == ids[10:140]
        left = house.wait(queue.listed(QueueFilter(), after=None, limit=200))
        assert [each.queue_id for each in left] == [*ids[:10], *ids[140:]]
