"""Greylisting: who waits, who is known, who never has to, and that nothing is learnt in vain."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.networks import Networks
from gateway.core.ports.greylist import Greylisted
from gateway.policy.greylist import KEPT_S, GreylistCheck, GreylistTimes
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action
from tests.policy.facts import ALICE, facts, now


class MemoryGreylist:
    """The port GreylistStore, as every process sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rows: dict[str, tuple[Greylisted, int]] = {}
        self.looks = self.keeps = 0
        self.full = False
        self.fails = False

    async def look(self, pairs: tuple[str, ...]) -> dict[str, Greylisted]:
        self.looks += 1
        if self.fails:
            raise StoreUnavailable
        rows = {pair: self.rows[pair] for pair in pairs if pair in self.rows}
        return {pair: known for pair, (known, end) in rows.items() if end >= self._world.now}

    def keep(self, pair: str, at: int, *, passed: int, expires_at: int) -> bool:
        self.keeps += 1
        if self.full:
            return False
        known, end = self.rows.get(pair, (Greylisted(at, at), expires_at))
        if end < at:
            known = Greylisted(at, at)
        self.rows[pair] = Greylisted(known.first_at, at, known.passed + passed), expires_at
        return True


class World:
    def __init__(
        self, *, by_recipient: bool = False, trust_after: int = 0, defers: bool = False
    ) -> None:
        self.now = 1_700_000_000.0
        self.store = MemoryGreylist(self)
        self.ground = Ground("greylist", Networks(["10.0.0.0/8"]), defers)
        self.times = GreylistTimes(300, 172_800, 36 * 86_400, by_recipient, trust_after)
        self.check = self.process()

    def process(self) -> GreylistCheck:
        return GreylistCheck(self.ground, self.store, self.times, lambda: self.now)

    def deferred(self, *args: Any, **about: Any) -> bool:
        verdict = now(self.check, facts(*args, **about))
        return verdict is not None and verdict.action is Action.DEFER


def test_a_stranger_comes_again_later_and_is_known_from_then_on() -> None:
    world = World()
    verdict = now(world.check, facts())
    assert verdict is not None and verdict.action is Action.DEFER
    assert verdict.text == "Greylisted, try again in 300 s"
    assert verdict.inputs["pair"] == "p 192.0.2.0/24 far.test"
    world.now += 299
    assert world.deferred()
    world.now += 1
    assert not world.deferred()
    world.now += 35 * 86_400
    assert not world.deferred()


def test_large_senders_repeat_from_a_neighbour() -> None:
    world = World()
    assert world.deferred("192.0.2.9")
    world.now += 300
    assert not world.deferred("192.0.2.200", sender="other@far.test")
    assert world.deferred("192.0.2.9", sender="a@another.test")
    assert world.deferred("192.0.3.9")


def test_who_comes_again_too_late_is_new_and_who_stays_away_is_forgotten() -> None:
    world = World()
    assert world.deferred()
    world.now += 172_801
    assert world.deferred()
    world.now += 300
    assert not world.deferred()
    world.now += 36 * 86_400 + 1
    world.check = world.process()
    assert world.deferred()


def test_each_recipient_for_itself_if_it_is_set_so() -> None:
    world = World(by_recipient=True)
    assert world.deferred()
    assert "p 192.0.2.0/24 far.test alice@example.test" in world.store.rows


def test_a_network_that_comes_again_often_is_not_asked_any_more() -> None:
    world = World(trust_after=3)
    for number in range(3):
        assert world.deferred(sender=f"a@s{number}.test")
    world.now += 300
    for number in range(3):
        assert not world.deferred(sender=f"a@s{number}.test")
    assert not world.deferred(sender="a@new.test")
    assert world.deferred("192.0.3.9", sender="a@new.test")


def test_known_senders_cost_no_read_and_hardly_a_write() -> None:
    world = World()
    world.deferred()
    world.now += 300
    world.deferred()
    looks, keeps = world.store.looks, world.store.keeps
    for _ in range(100):
        assert not world.deferred()
    assert (world.store.looks, world.store.keeps) == (looks, keeps)
    world.now += KEPT_S
    assert not world.deferred() and world.store.keeps == keeps + 1


def test_who_hammers_costs_no_writes_and_does_not_wait_longer() -> None:
    world = World()
    for _ in range(50):
        assert world.deferred()
    assert world.store.keeps == 1
    world.now += 300
    assert not world.deferred()


@pytest.mark.parametrize(
    "about", [facts("10.0.0.1"), facts(account=ALICE), facts(may_relay=True)], ids=str
)
def test_people_and_named_networks_never_wait(about: Any) -> None:
    world = World()
    assert now(world.check, about) is None and world.store.looks == 0


def test_a_rehearsal_learns_nothing() -> None:
    world = World(trust_after=1)
    assert world.deferred(rehearsal=True) and world.store.rows == {}
    assert world.deferred()
    world.now += 300
    assert not world.deferred(rehearsal=True)
    assert world.store.keeps == 1


@pytest.mark.parametrize("defers", [False, True])
def test_a_store_that_fails_lets_in_unless_it_is_said_otherwise(defers: bool) -> None:
    world = World(defers=defers)
    world.store.fails = True
    assert world.deferred() is defers


def test_N4_a_full_record_lets_in() -> None:
    world = World()
    world.store.full = True
    assert not world.deferred()


def test_a_clock_that_was_set_back_keeps_nobody_out() -> None:
    world = World()
    assert world.deferred()
    world.now -= 86_400
    assert not world.deferred()


def test_endless_names_make_short_pairs() -> None:
    world = World(by_recipient=True)
    world.deferred(sender="a@" + ".".join(["x" * 60] * 4))
    assert max(map(len, world.store.rows)) <= 210
