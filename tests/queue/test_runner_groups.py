"""Transactions: who goes together, who goes next, and what is looked at before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.core.errors import StoreUnavailable
from gateway.core.ids import QueueId
from gateway.core.queue import Outcome, QueueItem, Verdict
from gateway.queue.paces import Pace
from gateway.queue.screen import Keep, NoScreen
from tests.support.queue_world import World

FAILED = Verdict.FAILED


def sizes(world: World) -> list[int]:
    return [len(addresses) for addresses in world.tried]


def test_the_rest_goes_at_once_when_a_server_takes_no_more_recipients() -> None:
    world = World()
    world.delivery.takes = 30
    world.add(*(f"p{number}@y.example" for number in range(250)))
    assert sum(sizes(world)) == 250 and max(sizes(world)) == 30
    assert world.queue.rows == {} and world.queue.reports == []
    # Recorded before the next step, each with its own first attempt.
    recorded = [result for _, results in world.queue.recorded for result in results]
    assert [result.attempts for result in recorded] == [1] * 250


def test_the_rest_overtakes_what_waits_behind_it() -> None:
    world = World(pace=Pace(1))
    world.delivery.takes = 2
    world.delivery.answers["p0@y.example"] = None
    world.add(*(f"p{number}@y.example" for number in range(6)))
    for number in range(60):
        world.add("b@y.example", queue_id=f"L{number}", turn=world.time.now * 1000 + 10)
    world.delivery.pending.pop().callback(None)
    assert [addresses[0] for addresses in world.tried[:3]] == [
        "p0@y.example",
        "p2@y.example",
        "p4@y.example",
    ]
    assert world.queue.rows == {}


def test_a_server_that_takes_nobody_ever_defers_them() -> None:
    world = World()

    async def none_at_all(item: QueueItem) -> list[Outcome]:
        world.delivery.attempts.append((item.queue_id, (), ""))
        return [
            Outcome(each.number, Verdict.DEFERRED, "4.5.3", "452 no", "mx", again=True)
            for each in item.recipients
        ]

    world.delivery.attempt = none_at_all  # type: ignore[method-assign]
    world.add("a@y.example", "b@y.example")
    assert len(world.delivery.attempts) == 1
    assert {attempts for attempts, _ in world.queue.waiting().values()} == {1}


def test_recipients_of_different_next_hops_do_not_share_a_transaction() -> None:
    world = World(start=False)
    world.queue.destination_of = lambda *_: "smtp://relay:25"
    world.add("a@y.example", "b@z.example", next_hop="smtp://relay:25")
    row = world.queue.rows[QueueId("Q1"), 1]
    row.recipient = replace(row.recipient, next_hop="smtp://other:25")
    world.runner.start()
    assert sorted(world.tried) == [("a@y.example",), ("b@z.example",)]
    assert world.queue.rows == {}


# -- screens


class Guard(NoScreen):
    def __init__(self) -> None:
        self.loaded = 0
        self.problem: Exception | None = None
        self.answer: Keep | Sequence[Outcome] | None = None
        self.learnt: list[Sequence[Outcome]] = []

    async def load(self) -> None:
        if self.problem is not None:
            raise self.problem
        self.loaded += 1

    def judge(self, item: QueueItem) -> Keep | Sequence[Outcome] | None:
        if self.answer is not None and not isinstance(self.answer, Keep):
            numbers = {each.number for each in item.recipients}
            return [each for each in self.answer if each.number in numbers] or None
        return self.answer

    def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
        self.learnt.append(outcomes)


def guarded(guard: Guard, **options: Any) -> World:
    world = World(start=False)
    world.runner = world.new_runner(screen=guard, **options)
    return world


def test_what_is_to_be_kept_is_held_and_not_sent() -> None:
    held: list[tuple[Sequence[QueueId], str]] = []

    async def hold(ids: Sequence[QueueId], reason: str) -> None:
        held.append((ids, reason))
        world.queue.rows.clear()

    guard = Guard()
    guard.answer = Keep("by rule 3")
    world = guarded(guard, hold=hold)
    world.runner.start()
    world.add("b@y.example")
    assert held == [(("Q1",), "by rule 3")] and world.tried == []
    assert guard.learnt == []


def test_whom_a_screen_settles_is_not_written_to_and_the_others_are() -> None:
    guard = Guard()
    guard.answer = [Outcome(1, FAILED, "5.1.1", "refused again and again")]
    world = guarded(guard)
    world.runner.start()
    world.add("a@y.example", "b@y.example", "c@y.example")
    assert world.tried == [("a@y.example", "c@y.example")]
    assert b"refused again and again" in world.queue.reports[0][1]
    assert world.queue.rows == {}
    assert [len(each) for each in guard.learnt] == [2]


def test_nothing_is_sent_before_the_screen_knows_what_it_must() -> None:
    guard = Guard()
    guard.problem = StoreUnavailable()
    world = guarded(guard)
    world.runner.start()
    world.add("b@y.example")
    world.pass_time(30)
    assert world.tried == []
    guard.problem = None
    world.pass_time(30)
    assert world.tried == [("b@y.example",)] and guard.loaded == 1


# -- administrators


def test_what_was_recalled_in_vain_is_due_again_at_once() -> None:
    world = World(pace=Pace(1))
    world.delivery.default = None
    world.add("a@y.example")
    world.add("b@y.example", queue_id="Q2")
    assert not world.runner.recall(QueueId("Q2"), if_whole=True)
    world.pass_time(1)
    world.runner.allow(QueueId("Q2"))
    world.delivery.pending[0].callback(None)
    world.pass_time(2, step=0.5)
    assert world.tried == [("a@y.example",), ("b@y.example",)]


def test_what_is_being_sent_is_not_recalled() -> None:
    world = World(pace=Pace(1))
    world.delivery.default = None
    world.add("a@y.example", "b@z.example")
    world.add("c@y.example", queue_id="Q2")
    assert world.runner.recall(QueueId("Q1"), if_whole=True)
    assert not world.runner.recall(QueueId("Q2"), if_whole=False)
    for pending in list(world.delivery.pending):
        pending.callback(None)
    world.pass_time(2)
    assert ("c@y.example",) not in world.tried
    world.runner.allow(QueueId("Q2"))
    world.pass_time(2)
    assert ("c@y.example",) in world.tried


def test_what_is_told_of_destinations() -> None:
    world = World(pace=Pace(2))
    world.delivery.default = None
    for number in range(5):
        world.add("a@y.example", queue_id=f"Q{number}")
    (status,) = world.runner.snapshot()
    assert (status.destination, status.window, status.in_flight) == ("y.example", 2, 2)
    assert status.in_line == 3 and status.dead_until is None and status.problem == ""


def test_D4_an_error_in_what_is_learnt_does_not_send_a_message_again() -> None:
    class Broken(Guard):
        def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
            raise ValueError("a bug")

    world = guarded(Broken())
    world.runner.start()
    world.add("b@y.example")
    world.pass_time(1000)
    assert world.tried == [("b@y.example",)] and world.queue.rows == {}


def test_an_outcome_that_is_missing_counts_as_deferred_for_that_one_only() -> None:
    world = World()

    async def forgets_one(item: QueueItem) -> list[Outcome]:
        return [
            Outcome(each.number, Verdict.DELIVERED, "2.0.0", "250 ok", "mx")
            for each in item.recipients[:1]
        ]

    world.delivery.attempt = forgets_one  # type: ignore[method-assign]
    world.add("a@y.example", "b@y.example", "c@y.example")
    assert world.queue.waiting() == {
        "b@y.example": (1, world.time.now + 60),
        "c@y.example": (1, world.time.now + 60),
    }
