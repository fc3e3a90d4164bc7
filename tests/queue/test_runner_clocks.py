"""Clocks that are set, over the real store: nothing expires, is forgotten, or bursts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from gateway.core.address import Address
from gateway.core.messages import QueuedRecipient
from gateway.core.queue import Verdict
from gateway.queue.paces import Paces
from gateway.queue.runner import QueueRunner
from gateway.queue.schedule import DAY_S
from tests.store.house import NOW, House
from tests.support.queue_fakes import FakeDelivery, FakeRouter, FakeTime
from tests.support.queue_world import EXACT

MESSAGES = 30
FORWARD_S, BACK_S = 10 * DAY_S, -400 * DAY_S


class Place:
    """A house with a runner, whose clock can be set."""

    def __init__(self, state_dir: Path) -> None:
        self.time = FakeTime(NOW)
        self.house = House(state_dir)
        self.delivery = FakeDelivery(default=Verdict.DEFERRED)
        self.begin()

    def begin(self) -> None:
        self.runner = QueueRunner(
            self.house.store,
            self.delivery,
            FakeRouter(),
            hostname="mail.x.example",
            timers=self.time.clock,
            wall_clock=self.time.wall,
            random=Random(1),
            paces=Paces(EXACT),
        )
        self.runner.start()
        self.rest()

    def set_clock(self, by_s: int, *, restarts: bool) -> None:
        if restarts:
            self.end()
        self.time.offset_s += by_s
        self.house.now = self.time.wall()
        if restarts:
            self.house.store = self.house.open_store()
            self.begin()

    def end(self) -> None:
        self.house.wait(self.runner.stop())
        self.house.wait(self.house.store.close())

    def accept(self) -> None:
        for number in range(MESSAGES):
            to = QueuedRecipient(Address("b", f"y{number % 3}.example"))
            message = self.house.message(f"{self.time.now}-{number}", remote=[to])
            self.house.wait(self.house.store.accept(message))
        self.rest()

    def rest(self) -> None:
        self.house.pump.run_waiting()
        self.house.pump.until(lambda: self.runner.is_at_rest)

    def pass_time(self, seconds: int, step: float = 1.0) -> None:
        for _ in range(int(seconds / step)):
            self.time.clock.advance(step)
            self.house.now = self.time.wall()
            self.rest()

    @property
    def waiting(self) -> int:
        return self.house.wait(self.house.store.depth()).messages


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("by_s", [FORWARD_S, BACK_S])
def test_D7_nothing_expires_or_bursts_when_the_clock_is_set(
    tmp_path: Path, by_s: int, restarts: bool
) -> None:
    place = Place(tmp_path)
    place.accept()
    place.pass_time(30)
    assert len(place.delivery.attempts) == MESSAGES
    place.set_clock(by_s, restarts=restarts)
    # Due early, by a clock set forward; never more than once, and never given back.
    place.pass_time(20)
    assert len(place.delivery.attempts) <= 2 * MESSAGES
    place.pass_time(75)
    assert len(place.delivery.attempts) == 2 * MESSAGES
    place.pass_time(1000, step=10)
    assert place.waiting == MESSAGES  # no reports, and none went back
    # New mail goes at once, by whatever clock.
    place.delivery.default = Verdict.DELIVERED
    place.accept()
    assert place.waiting == MESSAGES
    place.pass_time(3000, step=10)
    assert place.waiting == 0
    place.end()
