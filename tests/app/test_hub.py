"""The hub: everybody hears of a commit but who made it, and nobody waits for who is stuck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.app.hub import ANSWER_S, Hub
from gateway.app.messages import Doubt, Hints, Ready, StatusAnswer, StatusAsked
from tests.support.lines import Wire, event


class World:
    """A hub with three workers."""

    def __init__(self) -> None:
        self.clock = Clock()
        timers: Any = self.clock
        self.hub = Hub(timers)
        self.wires = {number: Wire() for number in (1, 2, 3)}
        for number, wire in self.wires.items():
            self.hub.attach(number, wire.line)

    def sent(self) -> dict[int, list[Any]]:
        return {number: wire.sent() for number, wire in self.wires.items()}

    def ask(self) -> list[Mapping[int, Mapping[str, Any]]]:
        answers: list[Mapping[int, Mapping[str, Any]]] = []
        Deferred.fromCoroutine(self.hub.ask([1, 2, 3], queue_from=2)).addCallback(answers.append)
        return answers


def test_a_commit_is_told_to_all_but_who_made_it() -> None:
    world = World()
    assert world.hub.heard(2, Hints((event(1),), True))
    hints = Hints((event(1),), True)
    assert world.sent() == {1: [hints], 2: [], 3: [hints]}
    for wire in world.wires.values():
        wire.rest()
    world.hub.hint([event(4)], False)
    assert all(sent == [Hints((event(4),))] for sent in world.sent().values())
    assert not world.hub.heard(1, Ready()), "that is not the hub's"


def test_what_a_dead_worker_did_not_tell_is_looked_for() -> None:
    world = World()
    world.hub.detach(2)
    assert world.wires[2].aborted
    assert world.sent() == {1: [Doubt()], 2: [], 3: [Doubt()]}


def test_doubt_is_passed_on() -> None:
    world = World()
    world.hub.heard(1, Doubt())
    assert world.sent() == {1: [], 2: [Doubt()], 3: [Doubt()]}


def test_all_are_asked_and_one_of_them_for_the_queue() -> None:
    world = World()
    answers = world.ask()
    assert world.sent() == {
        1: [StatusAsked(1, False)],
        2: [StatusAsked(1, True)],
        3: [StatusAsked(1, False)],
    }
    for number in (3, 1, 2):
        assert not answers
        world.hub.heard(number, StatusAnswer(1, {"sessions": {"imap": number}}))
    assert answers == [{number: {"sessions": {"imap": number}} for number in (1, 2, 3)}]
    assert not world.clock.getDelayedCalls()


def test_who_is_stuck_or_dies_is_left_out() -> None:
    world = World()
    answers = world.ask()
    world.hub.heard(3, StatusAnswer(1, {"sessions": {}}))
    world.hub.detach(1)
    assert not answers
    world.clock.advance(ANSWER_S)
    assert answers == [{3: {"sessions": {}}}]
    world.hub.heard(2, StatusAnswer(1, {"sessions": {}}))  # too late, and no harm
