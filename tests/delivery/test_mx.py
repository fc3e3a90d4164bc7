"""Which hosts take a domain's mail, whatever DNS says."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.names.error import DNSQueryRefusedError, DNSServerError, ResolverError

from gateway.core.queue import Verdict
from gateway.delivery.mx import MAX_TARGETS, MxLookup, NoRoute, Target
from tests.support.fake_resolver import FakeResolver
from tests.support.pump import Pump


def lookup(resolver: FakeResolver, seed: int = 1) -> MxLookup:
    return MxLookup(
        resolver, Random(seed), own_names=["mail.us.example"], own_addresses=["198.51.100.7"]
    )


def targets(resolver: FakeResolver, domain: str = "x.example", seed: int = 1) -> list[str]:
    found = Pump().wait(lookup(resolver, seed).targets(domain))
    assert all(target.port == 25 for target in found)
    return [f"{target.host} {target.ip}" for target in found]


def no_route(resolver: FakeResolver, domain: str = "x.example") -> tuple[Verdict, str]:
    with pytest.raises(NoRoute) as problem:
        targets(resolver, domain)
    assert "example" in problem.value.text or "[" in problem.value.text
    return problem.value.verdict, problem.value.status


def test_hosts_come_by_preference_and_ipv4_before_ipv6() -> None:
    resolver = FakeResolver(
        mx={"x.example": [(20, "b.x.example"), (10, "A.x.example")]},
        a={"a.x.example": ["192.0.2.1"], "b.x.example": ["192.0.2.2"]},
        aaaa={"a.x.example": ["2001:db8::1"]},
    )
    assert targets(resolver) == [
        "a.x.example 192.0.2.1",
        "a.x.example 2001:db8::1",
        "b.x.example 192.0.2.2",
    ]


def test_equal_hosts_are_shuffled() -> None:
    hosts = [f"h{n}.x.example" for n in range(4)]
    resolver = FakeResolver(
        mx={"x.example": [(10, host) for host in hosts]},
        a={host: [f"192.0.2.{n}"] for n, host in enumerate(hosts, 1)},
    )
    assert len({tuple(targets(resolver, seed=seed)) for seed in range(20)}) > 4


def test_a_domain_without_mx_is_its_own_host() -> None:
    assert targets(FakeResolver(a={"x.example": ["192.0.2.1"]})) == ["x.example 192.0.2.1"]
    assert targets(FakeResolver(aaaa={"x.example": ["2001:db8::1"]})) == ["x.example 2001:db8::1"]


def test_the_null_mx_fails() -> None:
    resolver = FakeResolver(mx={"x.example": [(0, "")]}, a={"x.example": ["192.0.2.1"]})
    assert no_route(resolver) == (Verdict.FAILED, "5.1.10")


def test_a_domain_that_does_not_exist_fails() -> None:
    assert no_route(FakeResolver()) == (Verdict.FAILED, "5.1.2")


def test_a_domain_without_any_address_fails() -> None:
    assert no_route(FakeResolver(a={"x.example": []})) == (Verdict.FAILED, "5.4.4")
    gone = FakeResolver(mx={"x.example": [(10, "gone.x.example")]})
    assert no_route(gone) == (Verdict.FAILED, "5.4.4")


TROUBLE = [
    DNSServerError(),
    DNSQueryRefusedError(),
    DeferredTimeout(),
    ResolverError(),
    ValueError("a resolver that chokes on the answer"),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda e: type(e).__name__)
def test_dns_trouble_defers(trouble: Exception) -> None:
    assert no_route(FakeResolver(mx={"x.example": trouble})) == (Verdict.DEFERRED, "4.4.3")
    no_mx = FakeResolver(a={"x.example": trouble}, aaaa={"x.example": []})
    assert no_route(no_mx) == (Verdict.DEFERRED, "4.4.3")
    with pytest.raises(NoRoute) as problem:
        targets(FakeResolver(mx={"x.example": [(10, "m.example")]}, a={"m.example": trouble}))
    assert problem.value.verdict is Verdict.DEFERRED


def test_trouble_with_one_host_leaves_the_others() -> None:
    resolver = FakeResolver(
        mx={"x.example": [(10, "a.example"), (20, "b.example"), (30, "gone.example")]},
        a={"a.example": DNSServerError(), "b.example": ["192.0.2.2"]},
    )
    assert targets(resolver) == ["b.example 192.0.2.2"]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "224.0.0.1", "198.51.100.7"],
)
def test_S34_hosts_that_lead_back_to_us_fail(address: str) -> None:
    resolver = FakeResolver(mx={"x.example": [(10, "m.example")]}, a={"m.example": [address]})
    assert no_route(resolver) == (Verdict.FAILED, "5.4.6")
    assert no_route(FakeResolver(a={"x.example": [address]})) == (Verdict.FAILED, "5.4.6")
    assert no_route(FakeResolver(), f"[{address}]") == (Verdict.FAILED, "5.4.6")


@pytest.mark.parametrize("address", ["::1", "::", "::ffff:127.0.0.1", "::ffff:198.51.100.7"])
def test_S34_the_same_in_ipv6(address: str) -> None:
    assert no_route(FakeResolver(aaaa={"x.example": [address]})) == (Verdict.FAILED, "5.4.6")
    assert no_route(FakeResolver(), f"[ipv6:{address}]") == (Verdict.FAILED, "5.4.6")


def test_S34_we_and_what_is_less_preferred_are_left_out() -> None:
    resolver = FakeResolver(
        mx={"x.example": [(10, "a.example"), (20, "mail.us.example"), (30, "c.example")]},
        a={
            "a.example": ["192.0.2.1"],
            "mail.us.example": ["192.0.2.9"],
            "c.example": ["192.0.2.3"],
        },
    )
    assert targets(resolver) == ["a.example 192.0.2.1"]
    equal = FakeResolver(
        mx={"x.example": [(10, "a.example"), (10, "mail.us.example")]},
        a={"a.example": ["192.0.2.1"], "mail.us.example": ["192.0.2.9"]},
    )
    assert no_route(equal) == (Verdict.FAILED, "5.4.6")


def test_S34_a_better_host_in_trouble_defers_though_we_are_the_backup() -> None:
    resolver = FakeResolver(
        mx={"x.example": [(10, "a.example"), (20, "mail.us.example")]},
        a={"a.example": DNSServerError(), "mail.us.example": ["192.0.2.9"]},
    )
    assert no_route(resolver) == (Verdict.DEFERRED, "4.4.3")


def test_N6_huge_answers_are_cut() -> None:
    hosts = [f"h{n}.example" for n in range(10_000)]
    resolver = FakeResolver(
        mx={"x.example": [(10, host) for host in hosts]},
        a={host: [f"192.0.2.{n % 250}" for n in range(150)] for host in hosts[:200]},
    )
    assert len(targets(resolver)) == MAX_TARGETS
    assert len(resolver.asked) < 30
    empty = FakeResolver(mx={"x.example": [(10, host) for host in hosts]})
    assert no_route(empty) == (Verdict.FAILED, "5.4.4")
    assert len(empty.asked) < 30


def test_S9_host_names_with_strange_octets_are_not_used() -> None:
    resolver = FakeResolver(mx={"x.example": [(10, "a\r\nb.example"), (20, "m.example")]})
    resolver.a = {"a\r\nb.example": ["192.0.2.1"], "m.example": ["192.0.2.2"]}
    assert targets(resolver) == ["m.example 192.0.2.2"]


def test_address_literals_need_no_dns() -> None:
    resolver = FakeResolver()
    assert targets(resolver, "[192.0.2.1]") == ["192.0.2.1 192.0.2.1"]
    assert targets(resolver, "[ipv6:2001:db8::1]") == ["2001:db8::1 2001:db8::1"]
    assert resolver.asked == []
    assert no_route(resolver, "[x]") == (Verdict.FAILED, "5.1.2")


def test_a_named_server_may_be_loopback_and_never_fails_for_good() -> None:
    resolver = FakeResolver(a={"relay.example": ["127.0.0.1"], "empty.example": []})
    mx = lookup(resolver)
    pump = Pump()
    assert pump.wait(mx.explicit("relay.example", 2525)) == [
        Target("relay.example", "127.0.0.1", 2525)
    ]
    assert pump.wait(mx.explicit("127.0.0.1", 26)) == [Target("127.0.0.1", "127.0.0.1", 26)]
    assert [t.ip for t in pump.wait(mx.explicit("localhost", 26))] == ["127.0.0.1", "::1"]
    for host in ("gone.example", "empty.example"):
        with pytest.raises(NoRoute) as problem:
            pump.wait(mx.explicit(host, 25))
        assert problem.value.verdict is Verdict.DEFERRED
