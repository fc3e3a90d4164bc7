"""A child that ends is started again, ever more slowly, and for ever."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.app.children import FIRST_WAIT_S, LONGEST_WAIT_S, STEADY_S, BackOff, Child


class FakeProcess:
    """Ends when told to."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signals: list[int] = []
        self.end: Callable[[], None] = lambda: None

    def watch(self, reactor: Any, on_end: Callable[[], None]) -> None:
        self.end = on_end

    def wait(self, timeout_s: float) -> None:
        self.signals.append(0)

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def outcome(self) -> str:
        return "exit status 1"


class World:
    """A child on a clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.processes: list[FakeProcess] = []
        self.refuse = False
        self.ended = 0
        self.child = Child("worker 1", self.spawn, self.clock, ended=self.count)

    def spawn(self) -> FakeProcess:
        if self.refuse:
            raise OSError(11, "Resource temporarily unavailable")
        self.processes.append(FakeProcess(100 + len(self.processes)))
        return self.processes[-1]

    def running(self) -> tuple[int | None, int]:
        return self.child.pid, self.child.restarts

    def count(self) -> None:
        self.ended += 1


def test_the_waits_grow_to_a_bound_and_begin_anew_after_a_steady_life() -> None:
    back_off = BackOff()
    waits = [back_off.after(0.5) for _ in range(10)]
    assert waits[:4] == [0.0, FIRST_WAIT_S, FIRST_WAIT_S * 2, FIRST_WAIT_S * 4]
    assert waits[-1] == LONGEST_WAIT_S
    assert back_off.after(STEADY_S) == 0.0
    assert back_off.after(0.5) == FIRST_WAIT_S


def test_the_first_successor_comes_at_once_the_next_ones_later() -> None:
    world = World()
    world.child.start()
    world.processes[0].end()
    assert world.running() == (None, 1) and world.ended == 1
    world.clock.advance(0)
    assert world.running() == (101, 1)
    world.processes[1].end()
    world.clock.advance(FIRST_WAIT_S - 0.1)
    assert world.running() == (None, 2)
    world.clock.advance(0.1)
    assert world.running() == (102, 2)
    world.clock.advance(7)
    assert world.child.uptime_s == 7


def test_a_machine_that_can_start_nothing_is_tried_again() -> None:
    world = World()
    world.refuse = True
    world.child.start()
    for _ in range(20):
        world.clock.advance(LONGEST_WAIT_S)
    world.refuse = False
    world.clock.advance(LONGEST_WAIT_S)
    assert world.child.pid == 100


def stop(world: World) -> list[None]:
    done: list[None] = []
    Deferred.fromCoroutine(world.child.stop(25.0)).addCallback(done.append)
    return done


def test_stopping_asks_first_and_kills_at_the_limit() -> None:
    world = World()
    world.child.start()
    done = stop(world)
    assert world.processes[0].signals == [signal.SIGTERM] and not done
    world.clock.advance(25)
    assert world.processes[0].signals == [signal.SIGTERM, signal.SIGKILL] and not done
    world.processes[0].end()
    assert done and len(world.processes) == 1 and not world.clock.getDelayedCalls()


def test_a_child_that_waits_for_its_next_start_stops_at_once() -> None:
    world = World()
    world.child.start()
    world.processes[0].end()
    assert stop(world)
    world.clock.advance(LONGEST_WAIT_S)
    assert len(world.processes) == 1


def test_one_that_shall_end_by_itself_is_killed_if_it_does_not_and_followed() -> None:
    world = World()
    world.child.start()
    world.child.end_within(5)
    world.child.end_within(5)
    world.clock.advance(5)
    assert world.processes[0].signals == [signal.SIGKILL]
    world.processes[0].end()
    world.clock.advance(0)
    assert len(world.processes) == 2 and not world.clock.getDelayedCalls()


def test_one_that_is_stuck_is_killed_and_followed() -> None:
    world = World()
    world.child.kill_stuck(60)
    world.child.start()
    world.child.kill_stuck(60)
    assert world.processes[0].signals == [signal.SIGKILL]
    world.processes[0].end()
    world.clock.advance(0)
    assert world.running() == (101, 1)


def test_at_a_failed_start_it_is_killed_and_waited_for() -> None:
    world = World()
    world.child.start_unwatched()
    world.child.kill()
    assert world.processes[0].signals == [signal.SIGKILL, 0]
    assert world.child.pid is None
