"""DNS lists, reverse DNS and sender domains, as checks judge them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.names.error import DNSServerError

from gateway.core.networks import Networks
from gateway.policy.dns import Dns
from gateway.policy.dns_lists import DnsListCheck, Thresholds
from gateway.policy.dns_zones import SICK_AFTER, SICK_S, Zone, ZoneSettings, reversed_ip
from gateway.policy.ground import Ground, at
from gateway.policy.reverse_dns import ReverseDnsCheck
from gateway.policy.sender_domain import SenderDomainCheck
from gateway.policy.verdicts import Action, Stage, Verdict
from tests.policy.facts import ALICE, facts, now
from tests.support.fake_resolver import FakeResolver

LISTED = "9.2.0.192"  # 192.0.2.9


class World:
    def __init__(
        self, *zones: tuple[str, str, float, str], defers: bool = False, **tables: Any
    ) -> None:
        self.clock = Clock()
        self.resolver = FakeResolver(**tables)
        self.timers: Any = self.clock
        self.dns = Dns(self.resolver, self.timers)
        self.ground = Ground("dns", Networks(["10.0.0.0/8"]), defers)
        self.zones = [
            Zone(
                ZoneSettings(zone, of, weight, (ipaddress.IPv4Network(answers),)),
                self.dns,
                self.timers,
            )
            for zone, of, weight, answers in zones
        ]

    def lists(self, reject: float = 1, tag: float = 0) -> DnsListCheck:
        return DnsListCheck(
            self.ground,
            self.zones,
            self.dns,
            self.timers,
            thresholds=Thresholds(reject, 0, 0, tag),
            stages=at("connect"),
            list_timeout_s=3,
            timeout_s=5,
        )


BAD = ("bad.test", "ip", 1.0, "127.0.0.0/8")
WORSE = ("worse.test", "ip", 2.0, "127.0.0.2/32")
GOOD = ("good.test", "ip", -2.0, "127.0.0.0/8")


def test_who_is_listed_is_refused_with_the_lists_text() -> None:
    world = World(
        BAD,
        a={f"{LISTED}.bad.test": ["127.0.0.4"]},
        txt={f"{LISTED}.bad.test": ["see https://bad.test/\x1b192.0.2.9"]},
    )
    verdict = now(world.lists(), facts(), Stage.CONNECT)
    assert verdict is not None and verdict.action is Action.REJECT
    assert verdict.text == "192.0.2.9 is listed by bad.test: see https://bad.test/\\x1b192.0.2.9"
    assert verdict.inputs[f"{LISTED}.bad.test"] == "127.0.0.4 (+1)"
    assert verdict.inputs["score"] == "1"


@pytest.mark.parametrize(
    ("listed_by", "action"),
    [
        ((), None),
        (("bad",), Action.TAG),
        (("worse",), Action.TAG),
        (("bad", "worse"), Action.REJECT),
        (("bad", "worse", "good"), Action.TAG),
        (("worse", "good"), Action.PASS),
    ],
)
def test_weights_are_added_up(listed_by: tuple[str, ...], action: Action | None) -> None:
    world = World(
        BAD, WORSE, GOOD, a={f"{LISTED}.{each}.test": ["127.0.0.2"] for each in listed_by}
    )
    verdict = now(world.lists(reject=3, tag=1), facts(), Stage.CONNECT)
    assert (verdict.action if verdict else None) is action


def test_only_the_answers_that_count_count() -> None:
    world = World(WORSE, a={f"{LISTED}.worse.test": ["127.0.0.3", "192.0.2.1"]})
    assert now(world.lists(), facts(), Stage.CONNECT) is None


def test_addresses_are_written_as_RFC_5782_says() -> None:
    assert reversed_ip("192.0.2.99") == "99.2.0.192"
    assert reversed_ip("::ffff:192.0.2.99") == "99.2.0.192"
    assert reversed_ip("2001:db8:1:2:3:4:567:89ab") == (
        "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
    )
    assert reversed_ip("local") == ""


def test_lists_of_names_are_asked_for_what_they_list() -> None:
    zones = [("dbl.test", of, 1.0, "127.0.0.0/8") for of in ("sender_domain", "helo", "host_name")]
    world = World(*zones)
    about = facts(sender="a@Far.test", hello="mx.far.test", host_name="h.far.test")
    now(world.lists(), about, Stage.SENDER)
    asked = {name for _, name in world.resolver.asked}
    assert {"far.test.dbl.test", "mx.far.test.dbl.test", "h.far.test.dbl.test"} <= asked
    literal = facts(sender="", hello="[192.0.2.9]")
    assert now(World(*zones).lists(), literal, Stage.SENDER) is None


def test_a_list_that_lists_everything_is_left_out_until_it_does_not() -> None:
    everything: Any = {f"{LISTED}.bad.test": ["127.0.0.2"], "1.0.0.127.bad.test": ["127.0.0.2"]}
    world = World(BAD, a=everything)
    with capturedLogs() as events:
        for _ in range(3):
            verdict = now(world.lists(), facts(), Stage.CONNECT)
            assert verdict is not None and verdict.action is Action.PASS
    assert len(events) == 1 and events[0]["zone"] == "bad.test"
    del everything["1.0.0.127.bad.test"]
    world.clock.advance(3600)
    verdict = now(world.lists(), facts(), Stage.CONNECT)
    assert verdict is not None and verdict.action is Action.REJECT


def test_a_list_that_refuses_questions_is_trouble_not_a_listing() -> None:
    world = World(BAD, a={f"{LISTED}.bad.test": ["127.255.255.254"]})
    verdict = now(world.lists(), facts(), Stage.CONNECT)
    assert verdict is not None and verdict.action is Action.PASS
    assert "refuses" in verdict.inputs["trouble"]


def test_a_list_that_fails_counts_nothing_or_defers_if_it_is_said_to() -> None:
    broken: Any = {f"{LISTED}.bad.test": DNSServerError("x")}
    passed = now(World(BAD, a=broken).lists(), facts(), Stage.CONNECT)
    assert passed is not None and passed.action is Action.PASS
    deferred = now(World(BAD, a=broken, defers=True).lists(), facts(), Stage.CONNECT)
    assert deferred is not None and deferred.action is Action.DEFER


def test_a_list_that_keeps_failing_is_not_asked_for_a_while() -> None:
    world = World(BAD)
    check = world.lists()
    for number in range(SICK_AFTER):
        world.resolver.a[f"{number}.2.0.192.bad.test"] = DNSServerError("x")
        now(check, facts(f"192.0.2.{number}"), Stage.CONNECT)
    world.resolver.asked.clear()
    now(check, facts("192.0.2.77"), Stage.CONNECT)
    assert world.resolver.asked == []
    world.clock.advance(SICK_S)
    now(check, facts("192.0.2.77"), Stage.CONNECT)
    assert ("A", "77.2.0.192.bad.test") in world.resolver.asked


def test_all_lists_are_asked_at_once_and_the_slow_ones_in_bounded_time() -> None:
    world = World(BAD, WORSE, GOOD)
    world.resolver.held = []
    outcome: list[Verdict | None] = []
    answer: Any = world.lists().judge(Stage.CONNECT, facts())
    answer.addCallback(outcome.append)
    assert len(world.resolver.asked) == 6  # each list and its test point
    world.clock.advance(3)
    assert len(outcome) == 1 and outcome[0] is not None and outcome[0].action is Action.PASS
    assert outcome[0].inputs["trouble"].count("no answer in 3 s") == 3


@pytest.mark.parametrize(
    "about", [facts("10.0.0.1"), facts(account=ALICE), facts(may_relay=True)], ids=str
)
def test_known_clients_are_not_asked_about(about: Any) -> None:
    world = World(BAD)
    assert now(world.lists(), about, Stage.CONNECT) is None and world.resolver.asked == []


def reverse(world: World) -> ReverseDnsCheck:
    return ReverseDnsCheck(
        world.ground,
        world.dns,
        world.timers,
        no_name=Action.REJECT,
        mismatch=Action.TAG,
        stages=at("connect"),
        timeout_s=5,
    )


PTR = f"{LISTED}.in-addr.arpa"


def test_a_name_that_leads_back_becomes_the_clients() -> None:
    world = World(
        ptr={PTR: ["other.test", "MX.far.test"]},
        a={"other.test": ["192.0.2.1"], "mx.far.test": ["192.0.2.8", "192.0.2.9"]},
    )
    about = facts()
    assert now(reverse(world), about, Stage.CONNECT) is None
    assert about.client.host_name == "mx.far.test"


@pytest.mark.parametrize(
    ("tables", "action", "status"),
    [
        ({}, Action.REJECT, "7.25"),
        ({"ptr": {PTR: ["mx.far.test"]}}, Action.TAG, "7.25"),
        ({"ptr": {PTR: ["evil\r\nX: y"]}}, Action.REJECT, "7.25"),
        ({"ptr": {PTR: DNSServerError("x")}}, Action.PASS, "7.1"),
        ({"ptr": {PTR: ["a.test"]}, "a": {"a.test": DNSServerError("x")}}, Action.PASS, "7.1"),
    ],
)
def test_A9_addresses_without_a_good_name(tables: Any, action: Action, status: str) -> None:
    about = facts()
    verdict = now(reverse(World(**tables)), about, Stage.CONNECT)
    assert verdict is not None and (verdict.action, verdict.status) == (action, status)
    assert about.client.host_name == ""


@pytest.mark.parametrize(
    ("tables", "action", "status"),
    [
        ({"mx": {"far.test": [(10, "mx.far.test")]}}, None, ""),
        ({"a": {"far.test": ["192.0.2.1"]}}, None, ""),
        ({"aaaa": {"far.test": ["2001:db8::1"]}}, None, ""),
        ({}, Action.REJECT, "1.8"),
        ({"mx": {"far.test": [(0, "")]}, "a": {"far.test": ["192.0.2.1"]}}, Action.DEFER, "7.27"),
        ({"mx": {"far.test": DNSServerError("x")}}, Action.PASS, "7.1"),
    ],
)
def test_sender_domains(tables: Any, action: Action | None, status: str) -> None:
    world = World(**tables)
    check = SenderDomainCheck(
        world.ground, world.dns, world.timers,
        missing=Action.REJECT, null_mx=Action.DEFER, timeout_s=5,
    )  # fmt: skip
    verdict = now(check, facts(), Stage.SENDER)
    assert (verdict.action if verdict else None) is action
    assert verdict is None or verdict.status == status
    assert now(check, facts(sender=""), Stage.SENDER) is None
    assert now(check, facts(sender="a@[192.0.2.1]"), Stage.SENDER) is None
