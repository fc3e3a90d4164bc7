"""The queue over restarts: clocks that were set, and stopping without losing anything."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from gateway.core.errors import StoreUnavailable
from gateway.core.queue import Verdict
from gateway.queue.paces import Pace
from gateway.queue.schedule import DAY_S
from tests.support.queue_world import World

DELIVERED, DEFERRED = Verdict.DELIVERED, Verdict.DEFERRED


def test_D7_after_a_restart_with_the_clock_set_back_mail_is_still_tried() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    assert Deferred.fromCoroutine(world.runner.stop()).called
    world.time.offset_s -= 400 * DAY_S
    world.delivery.default = DELIVERED
    world.runner = world.new_runner()
    world.runner.start()
    world.pass_time(61)
    assert world.queue.rows == {}


def test_D7_a_clock_set_forward_expires_nothing() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    world.time.offset_s += 10 * DAY_S
    world.pass_time(61)
    assert len(world.tried) == 2
    assert len(world.queue.rows) == 1 and world.queue.reports == []


def test_D7_a_clock_set_back_while_running_delays_nothing() -> None:
    world = World()
    world.delivery.default = DEFERRED
    world.add("b@y.example")
    world.time.offset_s -= 400 * DAY_S
    world.delivery.default = DELIVERED
    world.pass_time(62)
    assert world.queue.rows == {}


# -- stopping


def test_stopping_waits_for_attempts_in_flight() -> None:
    world = World()
    world.delivery.default = None
    world.add("b@y.example")
    stopped: list[None] = []
    world.stop().addCallback(stopped.append)
    assert stopped == []
    world.add("c@y.example", queue_id="Q2")
    world.delivery.pending[0].callback(None)
    assert stopped == [None]
    assert world.tried == [("b@y.example",)]
    assert list(world.queue.waiting()) == ["c@y.example"]
    assert world.time.clock.getDelayedCalls() == [] and world.queue.watchers == []


def test_stopping_breaks_off_what_takes_too_long_and_leaves_it_due() -> None:
    world = World(pace=Pace(1), drain_s=20)
    world.delivery.default = None
    world.add("b@y.example")
    world.add("c@y.example", queue_id="Q2")
    stopped = world.stop()
    # The waiting one is free at once, the other when its attempt is broken off.
    assert world.queue.waiting()["c@y.example"] == (0, world.time.now)
    world.pass_time(21)
    assert stopped.called
    assert world.queue.waiting()["b@y.example"] == (0, world.time.now - 1)
    assert world.time.clock.getDelayedCalls() == []


def test_stopping_ends_though_the_store_is_in_trouble() -> None:
    world = World()
    world.queue.record_problem = StoreUnavailable()
    world.add("b@y.example")
    stopped = world.stop()
    world.pass_time(41)
    assert stopped.called
    assert world.time.clock.getDelayedCalls() == []


def test_stopping_twice_and_without_start_does_no_harm() -> None:
    world = World(start=False)
    assert world.stop().called and world.stop().called
