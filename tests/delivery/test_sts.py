"""MTA-STS policies over time: fetched once, kept to the end, refreshed, never lost by trouble."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from gateway.delivery.sts import FAILED_S, REFRESH_S, SWEEP_S, FetchFailed, StsAnswer, StsPolicies
from gateway.wire.sts import Mode
from gateway.wire.tlsrpt import ResultType
from tests.support.tls_fakes import (
    FakeNames,
    FakePolicyHosts,
    FakeStsStore,
    WallClock,
    done,
)

DOMAIN = "a.example"
MAX_AGE_S = 10 * REFRESH_S
POLICY = f"version: STSv1\nmode: enforce\nmx: mx.a.example\nmax_age: {MAX_AGE_S}\n".encode()
OTHER = POLICY.replace(b"enforce", b"testing")


class World:
    def __init__(self) -> None:
        self.names = FakeNames()
        self.hosts = FakePolicyHosts()
        self.store = FakeStsStore()
        self.now = WallClock()
        self.failed: list[tuple[str, ResultType]] = []
        self.restart()
        self.announce("1")
        self.hosts.policies[DOMAIN] = POLICY

    def restart(self) -> None:
        self.sts = StsPolicies(
            self.names,
            self.hosts,
            self.store,
            self.now,
            lambda domain, kind, _: self.failed.append((domain, kind)),
            timers=self.now.clock,
        )

    def announce(self, policy_id: str) -> None:
        self.names.put("TXT", f"_mta-sts.{DOMAIN}", f"v=STSv1; id={policy_id}".encode())

    def look(self) -> StsAnswer:
        return done(self.sts.policy(DOMAIN))

    def mode(self) -> Mode | None:
        policy = self.look().policy
        return policy.mode if policy is not None else None


def test_a_policy_is_fetched_once_and_survives_a_restart() -> None:
    world = World()
    assert [world.mode() for _ in range(3)] == [Mode.ENFORCE] * 3
    world.restart()
    assert world.mode() is Mode.ENFORCE
    assert world.hosts.asked == [DOMAIN]


def test_a_domain_without_a_record_is_asked_nothing_more() -> None:
    world = World()
    world.names.answers.clear()
    assert [world.look() for _ in range(2)] == [StsAnswer()] * 2
    assert world.hosts.asked == [] and world.store.reads == 1


@pytest.mark.parametrize("trouble", ["record gone", "DNS fails", "two records"])
def test_a_policy_holds_to_its_end_whatever_becomes_of_dns(trouble: str) -> None:
    world = World()
    world.look()
    name = f"_mta-sts.{DOMAIN}"
    if trouble == "record gone":
        world.names.answers.clear()
    elif trouble == "DNS fails":
        world.names.fail("TXT", name)
    else:
        world.names.put("TXT", name, b"v=STSv1; id=1", b"v=STSv1; id=2")
    world.hosts.policies.clear()
    world.now.offset += MAX_AGE_S - 1
    assert world.mode() is Mode.ENFORCE
    world.now.offset += 1
    assert world.mode() is None
    assert world.look().unknown is (trouble == "DNS fails")


def test_a_new_id_brings_the_new_policy_and_a_failing_fetch_keeps_the_old() -> None:
    world = World()
    world.look()
    world.announce("2")
    world.hosts.policies[DOMAIN] = FetchFailed(ResultType.STS_WEBPKI_INVALID, "expired")
    assert [world.mode() for _ in range(3)] == [Mode.ENFORCE] * 3
    assert len(world.hosts.asked) == 2, "not again and again"
    assert world.failed == [(DOMAIN, ResultType.STS_WEBPKI_INVALID)]
    world.hosts.policies[DOMAIN] = OTHER
    world.now.offset += FAILED_S + 1
    assert world.mode() is Mode.TESTING
    assert world.store.kept[DOMAIN].policy_id == "2"


@pytest.mark.parametrize("content", [b"<html>", POLICY.replace(b"mx: mx.a.example\n", b"")])
def test_what_is_no_policy_is_unknown_and_reported(content: bytes) -> None:
    world = World()
    world.hosts.policies[DOMAIN] = content
    assert [world.look() for _ in range(2)] == [StsAnswer(unknown=True)] * 2
    assert world.failed == [(DOMAIN, ResultType.STS_POLICY_INVALID)]
    assert DOMAIN not in world.store.kept


def test_a_policy_in_use_is_fetched_anew_in_the_background() -> None:
    world = World()
    world.look()
    world.now.offset += REFRESH_S + 1
    waiting: Deferred[bytes] = Deferred()
    world.hosts.policies[DOMAIN] = waiting
    assert world.mode() is Mode.ENFORCE, "nobody waits for it"
    assert world.mode() is Mode.ENFORCE and len(world.hosts.asked) == 2
    waiting.callback(OTHER)
    assert world.mode() is Mode.TESTING
    assert world.store.kept[DOMAIN].expires_at == world.now() + MAX_AGE_S


def test_policies_in_use_are_refreshed_without_mail() -> None:
    world = World()
    world.look()
    world.now.offset += 5 * REFRESH_S
    world.sts.start()
    for _ in range(2):
        world.now.clock.advance(SWEEP_S)
    assert world.store.kept[DOMAIN].expires_at == world.now() + MAX_AGE_S - SWEEP_S
    assert len(world.hosts.asked) == 2
    world.sts.stop()
    assert world.now.clock.getDelayedCalls() == []


def test_all_who_ask_at_once_wait_for_one_fetch() -> None:
    world = World()
    waiting: Deferred[bytes] = Deferred()
    world.hosts.policies[DOMAIN] = waiting
    answers: list[StsAnswer] = []
    asked = [Deferred.fromCoroutine(world.sts.policy(DOMAIN)) for _ in range(3)]
    for each in asked[1:]:
        each.addCallback(answers.append)
    asked[0].addErrback(lambda _: None)
    asked[0].cancel()  # who asked first does not wait
    waiting.callback(POLICY)
    assert [answer.policy.mode for answer in answers if answer.policy] == [Mode.ENFORCE] * 2
    assert world.hosts.asked == [DOMAIN]


def test_a_store_that_fails_costs_memory_only() -> None:
    world = World()
    world.store.broken = True
    assert world.mode() is Mode.ENFORCE
    assert world.sts.remembered(DOMAIN) is not None
    done(world.sts.refresh())


@pytest.mark.parametrize("days", [-400, 10])
def test_D7_a_clock_that_jumps_neither_loses_a_policy_nor_stops_fetching(days: int) -> None:
    world = World()
    world.look()
    policy = world.hosts.policies[DOMAIN]
    world.hosts.policies[DOMAIN] = FetchFailed(ResultType.STS_POLICY_FETCH_ERROR, "no")
    world.announce("2")
    assert world.mode() is Mode.ENFORCE
    world.now.offset += days * REFRESH_S - (days > 0)
    assert world.mode() is Mode.ENFORCE
    world.hosts.policies[DOMAIN] = policy
    world.now.offset += FAILED_S + 1
    assert world.mode() is Mode.ENFORCE
    assert world.store.kept[DOMAIN].policy_id == "2"
