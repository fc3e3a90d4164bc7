"""From a destination to addresses in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock

from gateway.core.address import Address
from gateway.core.envelope import MessageOptions
from gateway.core.queue import Verdict
from gateway.delivery.by_domain import ByDomain
from gateway.delivery.demands import at_least
from gateway.delivery.mx import MxLookup
from gateway.delivery.reachability import FAMILY_S, Reachability
from gateway.delivery.routes import KEEP_S, MAX_TARGETS, MailRoutes, TlsRules
from gateway.delivery.targets import MailHost, NoRoute, Protection, Target, TlsDemand
from gateway.wire.smtp_client_envelope import Login
from tests.support.dns_fakes import FakeNames, Trouble
from tests.support.pump import Pump
from tests.support.remote_world import item_of, recipients_of


class FakePolicies:
    """Demands by host; hosts that are not there may not be used."""

    def __init__(self) -> None:
        self.demanded: dict[str, TlsDemand] = {}
        self.asked: list[tuple[str, bool, bool]] = []

    async def demands(
        self, domain: str, hosts: Sequence[MailHost], *, secure: bool, require_tls: bool
    ) -> Sequence[tuple[MailHost, TlsDemand]]:
        self.asked.append((domain, secure, require_tls))
        if self.demanded:
            return [(h, self.demanded[h.name]) for h in hosts if h.name in self.demanded]
        return [(host, TlsDemand()) for host in hosts]


class World:
    def __init__(self, names: FakeNames | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.names = names or FakeNames(
            mx={"y.example": [(10, "a.example"), (20, "b.example")]},
            a={"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2"], "z.example": ["192.0.2.3"]},
        )
        self.policies = FakePolicies()
        self.reachability = Reachability(self.clock)
        self.routes = MailRoutes(
            MxLookup(self.names, Random(1), own_names=["mail.x.example"]),
            self.policies,
            timers=self.clock,
            random=Random(1),
            reachability=self.reachability,
            **options,
        )

    def targets(self, destination: str, **options: Any) -> list[Target]:
        item = item_of(recipients_of("b@y.example"), options=MessageOptions(**options))
        item = replace(item, destination=destination)
        return list(Pump().wait(self.routes.targets(item)))

    def ips(self, destination: str) -> list[str]:
        return [each.ip for each in self.targets(destination)]

    def no_route(self, destination: str) -> NoRoute:
        with pytest.raises(NoRoute) as problem:
            self.targets(destination)
        return problem.value


def test_a_known_destination_asks_nothing_till_its_time_is_over() -> None:
    world = World()
    assert world.ips("y.example") == ["192.0.2.1", "192.0.2.2"]
    asked = len(world.names.asked)
    assert world.ips("y.example") == ["192.0.2.1", "192.0.2.2"]
    assert (len(world.names.asked), len(world.policies.asked)) == (asked, 1)
    world.names.a["a.example"] = ["192.0.2.9"]
    world.clock.advance(60)
    assert world.ips("y.example") == ["192.0.2.9", "192.0.2.2"]
    world.names.ttl_s = 86_400
    world.clock.advance(60)
    world.ips("y.example")
    asked = len(world.names.asked)
    world.clock.advance(KEEP_S)
    world.ips("y.example")
    assert len(world.names.asked) > asked, "whatever DNS says"


def test_families_and_equal_hosts_take_turns() -> None:
    names = FakeNames(
        mx={"y.example": [(10, "a.example"), (10, "b.example"), (20, "c.example")]},
        a={
            host: [f"192.0.2.{n}{m}" for m in range(5)]
            for n, host in enumerate(["a.example", "b.example", "c.example"], 1)
        },
        aaaa={"a.example": ["2001:db8::1"], "b.example": ["2001:db8::2"]},
    )
    world = World(names)
    first = set()
    for _ in range(30):
        ips = world.ips("y.example")
        assert len(ips) == MAX_TARGETS
        assert {ip[:8] for ip in ips[:2]} == {"192.0.2.1"[:8]}, "IPv4 of both hosts"
        assert set(ips[2:4]) == {"2001:db8::1", "2001:db8::2"}, "then IPv6 of both"
        assert all(ip.startswith("192.0.2.3") for ip in ips[8:]), "the less preferred last"
        first.add(ips[0])
    assert len(first) > 5


def test_what_could_not_be_reached_comes_last_for_a_while() -> None:
    names = FakeNames(a={"y.example": ["192.0.2.1"]}, aaaa={"y.example": ["2001:db8::1"]})
    world = World(names)
    world.reachability.failed("192.0.2.1")
    assert world.ips("y.example") == ["2001:db8::1", "192.0.2.1"]
    world.reachability.worked("192.0.2.1")
    assert world.ips("y.example") == ["192.0.2.1", "2001:db8::1"]
    both = World(
        FakeNames(
            mx={"y.example": [(1, "a.example"), (2, "b.example")]},
            aaaa={"a.example": ["2001:db8::1"]},
            a={"b.example": ["192.0.2.1"]},
        )
    )
    both.reachability.failed("2001:db8::77", no_way=True)
    assert both.ips("y.example") == ["192.0.2.1", "2001:db8::1"], "there is no IPv6 here"
    both.clock.advance(FAMILY_S)
    assert both.ips("y.example") == ["2001:db8::1", "192.0.2.1"]


def test_a_chain_of_servers_is_tried_in_its_order() -> None:
    world = World(passwords={"me@b.example:465": b"secret"})
    one, two, three = world.targets(
        "smtp://a.example:2525?tls=required smtps://me@b.example:465 lmtp://127.0.0.1:24"
    )
    assert (one.ip, one.port, one.demand.protection) == ("192.0.2.1", 2525, Protection.REQUIRED)
    assert (two.implicit_tls, two.login) == (True, Login("me", b"secret"))
    assert two.demand == TlsDemand(Protection.VERIFIED)
    assert (three.protocol, three.ip, three.port) == ("lmtp", "127.0.0.1", 24)
    assert three.demand == TlsDemand()
    assert [each.preference for each in (one, two, three)] == [0, 1, 2]
    assert all(each.named for each in (one, two, three))
    assert not world.policies.asked
    world.reachability.failed("192.0.2.1")
    assert world.ips("smtp://a.example smtp://b.example") == ["192.0.2.2", "192.0.2.1"]


def test_a_server_that_dns_does_not_know_leaves_the_rest_of_its_chain() -> None:
    world = World()
    world.names.a["c.example"] = Trouble
    assert world.ips("smtp://c.example smtp://gone.example smtp://a.example") == ["192.0.2.1"]
    for text, words in (
        ("smtp://gone.example", "no address"),
        ("smtp://c.example", "at the moment"),
    ):
        problem = world.no_route(text)
        assert (problem.verdict, problem.status) == (Verdict.DEFERRED, "4.4.3")
        assert problem.unreachable
        assert words in problem.text


def test_a_named_server_may_be_on_this_machine() -> None:
    world = World(hosts_file=lambda name: ["10.0.0.7"] if name == "exchange" else [])
    assert world.ips("smtp://localhost:26") == ["127.0.0.1", "::1"]
    assert world.ips("smtp://[::1]:26") == ["::1"]
    assert world.ips("smtp://exchange:26") == ["10.0.0.7"], "its table of hosts comes first"


def test_a_socket_of_this_machine_needs_no_names_and_no_tls() -> None:
    world = World(own_door=lambda _ip, port: port == 24)
    one, two = world.targets("lmtp+unix:///run/dovecot/lmtp smtp://a.example:2525")
    assert str(one) == "localhost[/run/dovecot/lmtp]"
    assert (one.socket, one.ip, one.protocol, one.named) == ("/run/dovecot/lmtp", "", "lmtp", True)
    assert one.demand == TlsDemand(Protection.NONE)
    assert (two.ip, two.socket) == ("192.0.2.1", "")
    world.names.mx["y.example"] = [(10, "lmtp+unix:///run/dovecot/lmtp")]
    problem = world.no_route("y.example")
    assert problem.verdict is Verdict.FAILED, "DNS names no socket"


def test_S34_a_named_server_that_is_this_gateway_lets_mail_wait() -> None:
    doors = [("192.0.2.3", 25), ("127.0.0.1", 25)]
    world = World(own_door=lambda ip, port: (ip, port) in doors)
    for chain in ("smtp://z.example:25", "smtp://z.example:25 smtp://localhost:25"):
        none = world.no_route(chain)
        assert (none.verdict, none.status, none.unreachable) == (Verdict.DEFERRED, "4.4.6", True)
        assert "is this gateway itself" in none.text
    for chain in ("smtp://z.example:25 smtp://b.example:25", "smtp://b.example smtp://localhost"):
        assert [target.host for target in world.targets(chain)] == ["b.example"]
    assert [target.host for target in world.targets("smtp://z.example:2525")] == ["z.example"]


@pytest.mark.parametrize("text", ["smtp://me@a.example", "smtp://x?y=z", "http://x"])
def test_an_unusable_next_hop_waits_for_the_administrator(text: str) -> None:
    problem = World().no_route(text)
    assert (problem.verdict, problem.status) == (Verdict.DEFERRED, "4.3.5")


def test_a_password_is_for_its_port_where_one_is_named() -> None:
    world = World(passwords={"me@a.example:587": b"one", "me@a.example": b"two"})
    (one,) = world.targets("smtp://me@a.example:587")
    (two,) = world.targets("smtps://me@a.example")
    assert one.login is not None
    assert two.login is not None
    assert (one.login.password, two.login.password) == (b"one", b"two")


def test_addresses_without_a_domain_and_domains_called_local() -> None:
    assert World().no_route("").status == "5.1.3"
    world = World(FakeNames(a={"local": ["192.0.2.1"]}))
    assert world.ips("local.") == ["192.0.2.1"]


def demanded(world: World, destination: str, **options: Any) -> list[str]:
    return [each.demand.protection.value for each in world.targets(destination, **options)]


def test_the_stricter_of_settings_and_policies_counts() -> None:
    levels = ByDomain({"z.example": "none", "*.example": "verified"})
    world = World(tls=TlsRules("required", levels))  # type: ignore[arg-type]
    assert demanded(world, "y.example") == ["verified", "verified"]
    assert demanded(world, "z.example") == ["none"]
    assert [domain for domain, *_ in world.policies.asked] == ["y.example"], "none is an order"
    plain = World()
    dane = TlsDemand(Protection.DANE, policy="tlsa", domain="y.example")
    plain.policies.demanded = {"b.example": dane}
    (only,) = plain.targets("y.example")
    assert (only.host, only.demand) == ("b.example", dane), "hosts may be left out"


def test_requiretls_asks_policies_and_named_servers_for_proof() -> None:
    world = World(tls=TlsRules("none"))
    demanded(world, "y.example", require_tls=True)
    assert world.policies.asked == [("y.example", False, True)]
    assert demanded(world, "smtp://a.example", require_tls=True) == ["verified"]
    assert demanded(world, "smtp://a.example") == ["opportunistic"]
    item = item_of(
        recipients_of("b@y.example"), sender=None, options=MessageOptions(require_tls=True)
    )
    (target,) = Pump().wait(world.routes.targets(replace(item, destination="smtp://a.example")))
    assert target.demand.protection is Protection.OPPORTUNISTIC, "RFC 8689 section 5: a report"
    assert Address("b", "y.example") == item.recipients[0].address


def test_a_policy_on_trial_lets_nothing_through_that_the_settings_forbid() -> None:
    trial = TlsDemand(Protection.VERIFIED, ("*.y.example",), policy="sts", testing=True)
    assert at_least(trial, "opportunistic") is trial
    assert at_least(trial, "required") == TlsDemand(Protection.REQUIRED)
    unproven = TlsDemand(Protection.DANE, policy="tlsa")
    assert at_least(unproven, "verified").protection is Protection.VERIFIED
    assert at_least(unproven, "required") is unproven
    assert at_least(TlsDemand(), "verified").protection is Protection.VERIFIED
