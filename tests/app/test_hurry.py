"""ETRN: whoever runs the queue hears of it before the mail is due."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from gateway.app.hurry import MOST_DESTINATIONS, Starter, revive
from gateway.app.messages import FrameReader, Hurried, encode
from gateway.core.queue import Start


class Office:
    def __init__(self, told: list[object], *destinations: str) -> None:
        self.told = told
        self.destinations = destinations

    async def destinations_of(self, name: str, limit: int) -> Sequence[str]:
        return self.destinations[:limit]

    async def start(self, name: str) -> Start:
        self.told.append(name)
        return Start.STARTED if self.destinations else Start.NOTHING_WAITS


def start(office: Office) -> Start:
    ended: list[Start] = []
    starter = Starter(office, lambda names: office.told.append(list(names)))
    Deferred.fromCoroutine(starter.start("@far.example")).addCallback(ended.append)
    return ended[0]


def test_the_runner_takes_a_destination_up_before_its_mail_is_due() -> None:
    told: list[object] = []
    assert start(Office(told, "far.example", "smtp://relay:25")) is Start.STARTED
    assert told == [["far.example", "smtp://relay:25"], "@far.example"]


def test_nobody_is_told_where_nothing_waits_and_nobody_of_more_than_a_bound() -> None:
    told: list[object] = []
    assert start(Office(told)) is Start.NOTHING_WAITS and told == ["@far.example"]
    told.clear()
    start(Office(told, *(f"{number}.example" for number in range(MOST_DESTINATIONS + 1))))
    assert isinstance(told[0], list) and len(told[0]) == MOST_DESTINATIONS


def test_a_worker_tells_it_to_the_one_that_runs_the_queue() -> None:
    (heard,) = FrameReader().feed(encode(Hurried(("far.example",))))
    assert isinstance(heard, Hurried)
    revived: list[str | None] = []

    class Runner:
        def revive(self, destination: str | None) -> None:
            revived.append(destination)

    revive(Runner(), heard.destinations)
    assert revived == ["far.example"]
