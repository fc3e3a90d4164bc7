"""The queue at work: nothing is lost, whatever fails."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import globalLogPublisher

from gateway.core.errors import DirectoryUnavailable, StoreUnavailable
from gateway.core.messages import LOCAL
from gateway.core.queue import Verdict
from gateway.queue.paces import Pace
from gateway.queue.schedule import DAY_S
from tests.support.queue_world import World

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


def test_what_is_queued_is_sent_at_once_and_gone() -> None:
    world = World()
    world.add("b@y.example")
    assert world.tried == [("b@y.example",)]
    assert world.queue.rows == {} and world.queue.reports == []


def test_what_waits_at_the_start_is_sent() -> None:
    world = World(start=False)
    world.add("b@y.example")
    assert world.tried == []
    world.runner.start()
    assert world.tried == [("b@y.example",)]


def test_recipients_are_grouped_by_destination() -> None:
    world = World()
    world.add("a@y.example", "b@z.example", "c@y.example")
    assert sorted(world.tried) == [("a@y.example", "c@y.example"), ("b@z.example",)]
    world.queue.destination_of = lambda *_: "smtp://relay"
    world.add("a@y.example", "b@z.example", queue_id="Q2")
    assert world.tried[-1] == ("a@y.example", "b@z.example")
    world.add("a@y.example", "b@z.example", queue_id="Q3", next_hop="smtp://old")
    assert world.delivery.attempts[-1][1:] == (("a@y.example", "b@z.example"), "smtp://old")


def test_many_recipients_are_split() -> None:
    world = World(recipients_per_attempt=100)
    world.add(*(f"p{n}@y.example" for n in range(250)))
    assert [len(addresses) for addresses in world.tried] == [100, 100, 50]
    assert world.queue.rows == {}


def test_a_deferred_recipient_is_tried_again_by_the_schedule() -> None:
    world = World()
    world.delivery.answers["b@y.example"] = DEFERRED
    world.add("a@y.example", "b@y.example")
    assert world.queue.waiting() == {"b@y.example": (1, world.time.now + 60)}
    world.pass_time(58)
    assert len(world.tried) == 1
    world.pass_time(4, step=1)
    assert world.tried[1:] == [("b@y.example",)]
    world.delivery.answers.clear()
    world.pass_time(330)
    assert len(world.tried) == 3 and world.queue.rows == {}
    assert world.queue.reports == []


def test_after_the_lifetime_the_sender_gets_a_report() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    world.pass_time(4.5 * DAY_S, step=600)
    assert len(world.queue.reports) == 1 and len(world.queue.rows) == 1
    world.pass_time(DAY_S, step=600)
    assert world.queue.rows == {}
    _, (report, octets) = world.queue.reports  # the first one is the notice of the delay
    assert b"tried again and again" in octets and b"450 4.2.0 later" in octets
    assert report.sender is None


def test_a_failure_is_reported_to_the_local_sender_in_the_same_transaction() -> None:
    world = World()
    world.delivery.answers["b@y.example"] = FAILED
    world.add("a@y.example", "b@y.example")
    ((report, octets),) = world.queue.reports
    assert report.local == ("id-alice@x.example",) and report.remote == ()
    assert report.sender is None and report.local_header == b"Return-Path: <>\r\n"
    assert b"b@y.example" in octets and b"a@y.example" not in octets
    assert b"550 5.1.1 no such user" in octets
    assert b"Subject: hi" in octets and b"Return-Path" not in octets
    # The delivered one is kept first, by itself; the failed one leaves with its report.
    assert [[r.number for r in results] for _, results in world.queue.recorded] == [[0], [1]]
    assert world.queue.rows == {}


@pytest.mark.parametrize(
    "sender, next_hop", [("eve@far.example", ""), ("eve@plant.example", "smtp://old:25")]
)
def test_a_report_to_a_sender_elsewhere_is_queued_and_sent(sender: str, next_hop: str) -> None:
    world = World()
    world.delivery.answers["b@y.example"] = FAILED
    world.add("b@y.example", sender=sender)
    ((report, _),) = world.queue.reports
    assert report.local == ()
    assert [(str(r.address), r.next_hop) for r in report.remote] == [(sender, next_hop)]
    assert world.tried[-1] == (sender,)
    assert world.queue.rows == {}


def test_S35_a_report_is_never_reported_about() -> None:
    world = World()
    world.delivery.default = FAILED
    world.add("b@y.example", sender="eve@far.example")
    assert len(world.tried) == 2  # the message, and the report about it
    assert len(world.queue.reports) == 1
    assert world.queue.rows == {}


def test_S35_senders_that_do_not_exist_are_not_written_to() -> None:
    world = World()
    world.delivery.default = FAILED
    world.add("b@y.example", sender="gone@x.example")
    world.add("b@y.example", sender=None, queue_id="Q2")
    assert world.queue.reports == [] and world.queue.rows == {}


def test_S35_what_nobody_is_told_is_in_the_log() -> None:
    events: list[Any] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    try:
        test_S35_senders_that_do_not_exist_are_not_written_to()
    finally:
        globalLogPublisher.removeObserver(observer)
    untold = [event for event in events if "nobody is told" in str(event["log_format"])]
    assert [event["address"] for event in untold] == ["b@y.example"] * 2
    assert untold[0]["reply"] == "550 5.1.1 no such user"


def test_S36_while_nobody_knows_where_the_sender_is_the_report_waits_in_the_queue() -> None:
    world = World()
    world.delivery.answers = {"b@y.example": FAILED, "alice@x.example": DEFERRED}
    world.router.problem = DirectoryUnavailable()
    world.add("b@y.example")
    ((report, _),) = world.queue.reports
    assert report.local == () and [each.next_hop for each in report.remote] == [LOCAL]
    assert list(world.queue.waiting()) == ["alice@x.example"]


def test_D5_a_report_that_cannot_be_made_keeps_its_recipient() -> None:
    world = World()
    world.delivery.default = FAILED
    world.queue.read_problem = RuntimeError("a bug")
    world.add("b@y.example")
    assert list(world.queue.waiting()) == ["b@y.example"] and world.queue.reports == []


def test_D4_an_outcome_is_recorded_as_soon_as_the_store_can() -> None:
    world = World()
    world.queue.record_problem = StoreUnavailable()
    world.add("b@y.example")
    # Longer than the lease: it is not sent a second time while the outcome waits.
    world.pass_time(3000)
    assert len(world.tried) == 1
    world.queue.record_problem = None
    world.pass_time(61)
    assert world.queue.rows == {} and len(world.tried) == 1


def test_D4_a_report_is_stored_once_though_recording_is_repeated() -> None:
    world = World()
    world.delivery.default = FAILED
    world.queue.record_problem = StoreUnavailable()
    world.add("b@y.example")
    world.pass_time(10)
    world.queue.record_problem = None
    world.pass_time(61)
    assert len(world.queue.reports) == 1 and world.queue.rows == {}


def test_D10_what_cannot_be_recorded_is_not_sent_again_and_again() -> None:
    world = World()
    world.queue.record_problem = KeyError("a bug in the store")
    world.add("b@y.example")
    world.pass_time(5000)
    assert world.tried == [("b@y.example",)]
    world.queue.record_problem = None
    world.add("c@y.example", queue_id="Q2")
    assert world.tried[-1] == ("c@y.example",)


@pytest.mark.parametrize("poison", [ValueError("poison"), CancelledError()], ids=repr)
def test_D10_a_poisoned_message_does_not_stop_the_others(poison: Exception) -> None:
    world = World()
    world.delivery.answers["b@y.example"] = poison
    world.add("b@y.example")
    world.add("c@z.example", queue_id="Q2")
    assert ("c@z.example",) in world.tried
    assert world.queue.waiting() == {"b@y.example": (1, world.time.now + 60)}


def test_D10_trouble_in_the_store_does_not_end_the_runner() -> None:
    for problem in (StoreUnavailable(), RuntimeError("a bug")):
        world = World()
        world.queue.lease_problem = problem
        world.add("b@y.example")
        world.pass_time(100)
        assert world.tried == [] and world.queue.leases < 10
        world.queue.lease_problem = None
        world.pass_time(61)
        assert world.queue.rows == {}


def test_a_missing_outcome_counts_as_deferred() -> None:
    world = World()

    async def forgetful(*_: Any) -> list[Any]:
        return []

    world.delivery.attempt = forgetful  # type: ignore[method-assign,assignment]
    world.add("b@y.example")
    assert world.queue.waiting()["b@y.example"][0] == 1


def test_N6_a_slow_destination_is_bounded_and_the_others_go_on() -> None:
    world = World(attempts=20, pace=Pace(3))
    world.delivery.default = None
    for n in range(10):
        world.add("b@slow.example", queue_id=f"S{n}")
    assert world.delivery.running == 2
    world.delivery.default = DELIVERED
    world.add("c@z.example", queue_id="Q2")
    assert ("c@z.example",) in world.tried
    for pending in list(world.delivery.pending):
        pending.callback(None)
    assert world.queue.rows == {}
    assert world.delivery.most_running <= 4


def test_N6_one_destination_cannot_fill_the_runner() -> None:
    world = World(messages=20, pace=Pace(2))
    world.delivery.answers["b@slow.example"] = None
    for n in range(60):
        world.add("b@slow.example", queue_id=f"S{n}")
    world.add("c@z.example", queue_id="Q2")
    assert ("c@z.example",) in world.tried
    # What waits has not used up an attempt.
    assert all(attempts == 0 for attempts, _ in world.queue.waiting().values())
    world.delivery.answers.clear()
    while world.delivery.pending:
        world.delivery.pending.pop().callback(None)
    world.pass_time(200)
    assert world.queue.rows == {}


def test_the_number_of_attempts_is_bounded_and_all_get_their_turn() -> None:
    world = World(attempts=4, start=False)
    world.delivery.default = None
    for n in range(30):
        world.add(f"b@d{n}.example", queue_id=f"Q{n}")
    world.runner.start()
    while world.delivery.pending:
        assert world.delivery.running <= 4
        world.delivery.pending.pop(0).callback(None)
    assert world.queue.rows == {} and len(world.tried) == 30


def test_D10_a_large_backlog_drains_without_recursion() -> None:
    world = World(start=False)
    for n in range(3000):
        world.add("b@y.example", queue_id=f"Q{n}")
    world.runner.start()
    world.pass_time(300)
    assert world.queue.rows == {} and len(world.tried) == 3000


def test_a_destination_that_takes_its_time_is_kept_busy() -> None:
    world = World(start=False)
    world.delivery.default = None
    for n in range(600):
        world.add("b@y.example", queue_id=f"Q{n}")
    world.runner.start()
    for _ in range(70):
        for _ in range(len(world.delivery.pending)):
            world.delivery.pending.pop(0).callback(None)
        world.pass_time(1)
    # Ten at a time, a second each.
    assert world.queue.rows == {}


def test_a_lease_that_ends_during_an_attempt_is_renewed_and_not_sent_twice() -> None:
    world = World(lease_s=30)
    world.delivery.default = None
    world.add("b@y.example")
    world.pass_time(500)
    assert len(world.tried) == 1 and world.queue.leases > 3
    world.delivery.pending[0].callback(None)
    assert world.queue.rows == {}


def test_mail_queued_while_the_store_is_asked_is_not_forgotten() -> None:
    world = World(start=False)
    answer: Deferred[int | None] = Deferred()

    async def slow_next_due_at() -> int | None:
        return await answer

    original = world.queue.next_due_at
    world.queue.next_due_at = slow_next_due_at  # type: ignore[method-assign]
    world.runner.start()
    world.add("b@y.example")
    assert world.tried == []
    world.queue.next_due_at = original  # type: ignore[method-assign]
    answer.callback(None)
    assert world.tried == [("b@y.example",)]
