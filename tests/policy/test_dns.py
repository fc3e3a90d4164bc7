"""DNS as checks ask it: bounded, remembered, and trouble is never taken for an answer."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSServerError

from gateway.policy.dns import (
    MAX_ASKING,
    MAX_RECORDS,
    MAX_TTL_S,
    MIN_TTL_S,
    TROUBLE_TTL_S,
    Dns,
    DnsAnswer,
)
from tests.support.fake_resolver import FakeResolver


class World:
    def __init__(self, **tables: Any) -> None:
        self.clock = Clock()
        self.resolver = FakeResolver(**tables)
        timers: Any = self.clock
        self.dns = Dns(self.resolver, timers)

    def ask(self, kind: Any, name: str, timeout_s: float = 3) -> DnsAnswer | None:
        """None: still waiting."""
        answer = self.dns.ask(kind, name, timeout_s)
        if isinstance(answer, DnsAnswer):
            return answer
        found: list[DnsAnswer] = []
        answer.addCallback(found.append)
        return found[0] if found else None


def test_none_and_trouble_are_different() -> None:
    world = World(a={"here.test": ["192.0.2.1"], "broken.test": DNSServerError("x")})
    assert world.ask("A", "Here.test.") == DnsAnswer(("192.0.2.1",))
    assert world.ask("A", "nowhere.test") == DnsAnswer()
    assert world.ask("MX", "here.test") == DnsAnswer()
    assert world.ask("A", "broken.test") == DnsAnswer(trouble="DNSServerError")


def test_answers_are_remembered_within_bounds() -> None:
    world = World(a={"here.test": ["192.0.2.1"], "broken.test": DNSServerError("x")})
    for _ in range(3):
        world.ask("A", "here.test")
        world.ask("A", "nowhere.test")
        world.ask("A", "broken.test")
    assert len(world.resolver.asked) == 3
    world.clock.advance(TROUBLE_TTL_S)
    world.ask("A", "broken.test")
    assert world.resolver.asked[3:] == [("A", "broken.test")]
    world.clock.advance(MIN_TTL_S)  # what has a TTL of 0 is kept for so long all the same
    world.ask("A", "here.test")
    assert ("A", "here.test") in world.resolver.asked[4:]


@pytest.mark.parametrize(("ttl", "kept"), [(0, MIN_TTL_S), (300, 300), (10**9, MAX_TTL_S)])
def test_a_TTL_is_kept_within_bounds(ttl: int, kept: int) -> None:
    world = World()
    world.resolver.held = []
    world.ask("A", "here.test")
    address: Any = dns.Record_A("192.0.2.1")
    record = dns.RRHeader("here.test", dns.A, ttl=ttl, payload=address)
    world.resolver.held.pop().callback(([record], [], []))
    world.clock.advance(kept - 1)
    assert world.ask("A", "here.test") is not None
    world.clock.advance(2)
    assert world.ask("A", "here.test") is None


def test_N6_a_slow_name_server_costs_no_more_than_the_timeout() -> None:
    world = World()
    world.resolver.held = []
    found: list[DnsAnswer] = []
    answer: Any = world.dns.ask("A", "slow.test", 3)
    answer.addCallback(found.append)
    world.clock.advance(3)
    assert found == [DnsAnswer(trouble="no answer in 3 s")]
    world.resolver.held[0].errback(DNSNameError("late"))
    assert world.ask("A", "slow.test") == DnsAnswer(), "what comes late is remembered"
    assert world.clock.getDelayedCalls() == []


def test_equal_questions_are_asked_once_and_one_who_leaves_takes_nothing_away() -> None:
    world = World()
    world.resolver.held = []
    first: Any = world.dns.ask("A", "here.test", 3)
    second: Any = world.dns.ask("A", "here.test", 3)
    found: list[DnsAnswer] = []
    first.addErrback(lambda failure: None)
    second.addCallback(found.append)
    first.cancel()
    (held,) = world.resolver.held
    held.callback(([], [], []))
    assert found == [DnsAnswer()] and world.clock.getDelayedCalls() == []


def test_N4_too_many_open_questions_are_trouble_at_once() -> None:
    world = World()
    world.resolver.held = []
    for number in range(MAX_ASKING):
        assert world.ask("A", f"h{number}.test") is None
    answer = world.ask("A", "one-more.test")
    assert answer is not None and answer.trouble
    assert len(world.resolver.held) == MAX_ASKING


def test_N6_of_a_huge_answer_the_beginning_is_looked_at() -> None:
    world = World(a={"huge.test": ["192.0.2.1"] * 10_000})
    answer = world.ask("A", "huge.test")
    assert answer is not None and len(answer.values) == MAX_RECORDS


@pytest.mark.parametrize(
    "name", ["", "a b.test", "x" * 64 + ".test", "a..test", "\x00.test", "ä.test"]
)
def test_A9_what_is_no_name_is_never_asked_for(name: str) -> None:
    world = World()
    assert world.ask("A", name) == DnsAnswer() and world.resolver.asked == []


def test_what_the_resolver_chokes_on_is_trouble() -> None:
    world = World()

    def lookup(name: bytes, timeout: Any) -> Deferred[Any]:
        raise OSError(24, "too many open files")

    world.dns._lookups["A"] = lookup
    answer = world.ask("A", "here.test")
    assert answer is not None and answer.trouble == "OSError"
