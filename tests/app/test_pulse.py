"""A process that lives and does not answer is noticed; time that passed for nobody is not held
against it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from gateway.app.pulse import BEAT_S, Pulse

LIMIT_S = 6 * BEAT_S


class World:
    """Processes that answer, but for some."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.mute: set[int] = set()
        self.asked: list[int] = []
        self.silent: list[tuple[int, float]] = []
        timers: Any = self.clock
        self.pulse = Pulse(timers, self.ask, lambda *found: self.silent.append(found))

    def ask(self, number: int) -> None:
        self.asked.append(number)
        if number not in self.mute:
            self.pulse.heard(number)

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(BEAT_S)


def test_who_answers_is_left_in_peace() -> None:
    world = World()
    world.pulse.watch(1, LIMIT_S)
    world.pulse.watch(2, LIMIT_S)
    world.beats(100)
    assert not world.silent and world.asked == [1, 2] * 100


def test_who_does_not_is_told_of_and_told_of_again() -> None:
    world = World()
    world.pulse.watch(1, LIMIT_S)
    world.pulse.watch(2, LIMIT_S)
    world.beats(3)
    world.mute.add(2)
    world.beats(6)
    assert not world.silent
    world.beats(2)
    assert world.silent == [(2, LIMIT_S), (2, LIMIT_S + BEAT_S)]


def test_anything_heard_counts_as_an_answer() -> None:
    world = World()
    world.pulse.watch(1, LIMIT_S)
    world.mute.add(1)
    for _ in range(10):
        world.beats(5)
        world.pulse.heard(1)
    assert not world.silent
    world.pulse.heard(7)  # one that is not watched


def test_D7_a_machine_that_slept_for_an_hour_costs_one_answer() -> None:
    world = World()
    world.pulse.watch(1, LIMIT_S)
    world.mute.add(1)
    world.clock.advance(3600)
    assert not world.silent and world.asked == [1]


def test_who_is_gone_is_asked_nothing_and_its_successor_begins_anew() -> None:
    world = World()
    world.pulse.watch(1, LIMIT_S)
    world.mute.add(1)
    world.beats(6)
    world.pulse.forget(1)
    world.beats(6)
    assert len(world.asked) == 6
    world.pulse.watch(1, LIMIT_S)
    world.beats(6)
    assert not world.silent
    world.pulse.stop()
    assert not world.clock.getDelayedCalls()
