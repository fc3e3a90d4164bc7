"""Which hosts take a domain's mail, whatever DNS says."""

from __future__ import annotations

from random import Random

import pytest

from gateway.core.queue import Verdict
from gateway.delivery.mx import MAX_HOSTS, MailHosts, MxLookup
from gateway.delivery.targets import NoRoute
from tests.support.dns_fakes import FakeNames, Trouble
from tests.support.pump import Pump


def find(names: FakeNames, domain: str = "x.example", seed: int = 1) -> MailHosts:
    mx = MxLookup(
        names, Random(seed), own_names=["Mail.us.example"], own_addresses=["198.51.100.7"]
    )
    return Pump().wait(mx.find(domain))


def hosts(names: FakeNames, domain: str = "x.example", seed: int = 1) -> list[str]:
    found = find(names, domain, seed).hosts
    return [f"{each.host.name} {' '.join(each.addresses)}" for each in found]


def no_route(names: FakeNames, domain: str = "x.example") -> tuple[Verdict, str]:
    with pytest.raises(NoRoute) as problem:
        find(names, domain)
    assert "example" in problem.value.text or "[" in problem.value.text
    assert problem.value.unreachable is (problem.value.verdict is Verdict.DEFERRED)
    return problem.value.verdict, problem.value.status


def test_hosts_come_by_preference_with_all_their_addresses() -> None:
    names = FakeNames(
        mx={"x.example": [(20, "b.x.example"), (10, "a.x.example")]},
        a={"a.x.example": ["192.0.2.1"], "b.x.example": ["192.0.2.2"]},
        aaaa={"a.x.example": ["2001:db8::1"]},
    )
    assert hosts(names) == ["a.x.example 192.0.2.1 2001:db8::1", "b.x.example 192.0.2.2"]
    assert find(names).by_mx


def test_a_host_that_is_named_twice_counts_once() -> None:
    names = FakeNames(
        mx={"x.example": [(20, "a.x.example"), (10, "a.x.example")]},
        a={"a.x.example": ["192.0.2.1"]},
    )
    (host,) = find(names).hosts
    assert host.host.preference == 10


def test_a_domain_without_mx_is_its_own_host() -> None:
    assert hosts(FakeNames(a={"x.example": ["192.0.2.1"]})) == ["x.example 192.0.2.1"]
    names = FakeNames(aaaa={"x.example": ["2001:db8::1"]})
    assert hosts(names) == ["x.example 2001:db8::1"]
    assert not find(names).by_mx


def test_the_null_mx_fails() -> None:
    names = FakeNames(mx={"x.example": [(0, "")]}, a={"x.example": ["192.0.2.1"]})
    assert no_route(names) == (Verdict.FAILED, "5.1.10")


def test_a_domain_that_does_not_exist_fails() -> None:
    assert no_route(FakeNames()) == (Verdict.FAILED, "5.1.2")


def test_a_domain_without_any_address_fails() -> None:
    assert no_route(FakeNames(a={"x.example": []})) == (Verdict.FAILED, "5.4.4")
    gone = FakeNames(mx={"x.example": [(10, "gone.x.example")]})
    assert no_route(gone) == (Verdict.FAILED, "5.4.4")


def test_an_address_in_an_mx_record_is_no_host() -> None:
    names = FakeNames(mx={"x.example": [(10, "192.0.2.1")]}, a={"192.0.2.1": ["192.0.2.1"]})
    assert no_route(names) == (Verdict.FAILED, "5.4.4")
    names.mx["x.example"] = [(10, "192.0.2.1"), (20, "m.example")]
    names.a["m.example"] = ["192.0.2.2"]
    assert hosts(names) == ["m.example 192.0.2.2"]


def test_dns_trouble_defers_and_is_never_taken_for_no_mx() -> None:
    names = FakeNames(mx={"x.example": Trouble}, a={"x.example": ["192.0.2.1"]})
    assert no_route(names) == (Verdict.DEFERRED, "4.4.3")
    no_mx = FakeNames(a={"x.example": Trouble})
    assert no_route(no_mx) == (Verdict.DEFERRED, "4.4.3")
    host = FakeNames(mx={"x.example": [(10, "m.example")]}, a={"m.example": Trouble})
    assert no_route(host) == (Verdict.DEFERRED, "4.4.3")


def test_trouble_with_one_host_leaves_the_others_and_is_asked_about_again_soon() -> None:
    names = FakeNames(
        mx={"x.example": [(10, "a.example"), (20, "b.example"), (30, "gone.example")]},
        a={"a.example": Trouble, "b.example": ["192.0.2.2"]},
    )
    assert hosts(names) == ["b.example 192.0.2.2"]
    assert find(names).ttl_s == 0
    half = FakeNames(a={"x.example": ["192.0.2.1"]}, aaaa={"x.example": Trouble})
    assert hosts(half) == ["x.example 192.0.2.1"]


def test_what_dnssec_proves_is_told_by_domain_and_by_host() -> None:
    names = FakeNames(
        mx={"x.example": [(10, "a.example"), (20, "b.example")]},
        a={"a.example": ["192.0.2.1"], "b.example": ["192.0.2.2"]},
    )
    names.proven = {"x.example", "a.example"}
    found = find(names)
    assert found.secure
    assert [each.host.secure for each in found.hosts] == [True, False]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "224.0.0.1", "198.51.100.7"],
)
def test_S34_hosts_that_lead_back_to_us_fail(address: str) -> None:
    names = FakeNames(mx={"x.example": [(10, "m.example")]}, a={"m.example": [address]})
    assert no_route(names) == (Verdict.FAILED, "5.4.6")
    assert no_route(FakeNames(a={"x.example": [address]})) == (Verdict.FAILED, "5.4.6")
    assert no_route(FakeNames(), f"[{address}]") == (Verdict.FAILED, "5.4.6")


@pytest.mark.parametrize("address", ["::1", "::", "::ffff:127.0.0.1", "::ffff:198.51.100.7"])
def test_S34_the_same_in_ipv6(address: str) -> None:
    assert no_route(FakeNames(aaaa={"x.example": [address]})) == (Verdict.FAILED, "5.4.6")
    assert no_route(FakeNames(), f"[ipv6:{address}]") == (Verdict.FAILED, "5.4.6")


def test_S34_what_our_own_name_leads_to_is_ours() -> None:
    names = FakeNames(
        mx={"x.example": [(10, "a.example"), (20, "mx2.us.example"), (30, "c.example")]},
        a={
            "a.example": ["192.0.2.1"],
            "mx2.us.example": ["203.0.113.9"],
            "c.example": ["192.0.2.3"],
            "mail.us.example": ["203.0.113.9"],
        },
    )
    assert hosts(names) == ["a.example 192.0.2.1"]
    assert find(names).left_out == ("mx2.us.example", "c.example")


def test_S34_we_and_what_is_less_preferred_are_left_out() -> None:
    names = FakeNames(
        mx={"x.example": [(10, "a.example"), (20, "mail.us.example"), (30, "c.example")]},
        a={
            "a.example": ["192.0.2.1"],
            "mail.us.example": ["192.0.2.9"],
            "c.example": ["192.0.2.3"],
        },
    )
    assert hosts(names) == ["a.example 192.0.2.1"]
    equal = FakeNames(
        mx={"x.example": [(10, "a.example"), (10, "mail.us.example")]},
        a={"a.example": ["192.0.2.1"], "mail.us.example": ["192.0.2.9"]},
    )
    assert no_route(equal) == (Verdict.FAILED, "5.4.6")


def test_S34_a_better_host_in_trouble_defers_though_we_are_the_backup() -> None:
    names = FakeNames(
        mx={"x.example": [(10, "a.example"), (20, "mail.us.example")]},
        a={"a.example": Trouble, "mail.us.example": ["192.0.2.9"]},
    )
    assert no_route(names) == (Verdict.DEFERRED, "4.4.3")


def test_N6_huge_answers_are_cut_by_preference_and_lot() -> None:
    many = [f"h{n}.example" for n in range(10_000)]
    names = FakeNames(
        mx={"x.example": [(10, host) for host in many]},
        a={host: [f"192.0.2.{n % 250}" for n in range(150)] for host in many},
    )
    found = find(names)
    assert len(found.hosts) == MAX_HOSTS
    assert max(len(each.addresses) for each in found.hosts) <= 8
    assert len(names.asked) < 30
    assert hosts(names, seed=2) != hosts(names, seed=3)
    empty = FakeNames(mx={"x.example": [(10, host) for host in many]})
    assert no_route(empty) == (Verdict.FAILED, "5.4.4")


def test_S9_host_names_with_strange_octets_are_not_used() -> None:
    names = FakeNames(mx={"x.example": [(10, "a\r\nb.example"), (20, "m.example")]})
    names.a = {"a\r\nb.example": ["192.0.2.1"], "m.example": ["192.0.2.2"]}
    assert hosts(names) == ["m.example 192.0.2.2"]


def test_address_literals_need_no_mx() -> None:
    names = FakeNames()
    assert hosts(names, "[192.0.2.1]") == ["192.0.2.1 192.0.2.1"]
    assert hosts(names, "[ipv6:2001:db8::1]") == ["2001:db8::1 2001:db8::1"]
    assert not [kind for kind, _ in names.asked if kind == "MX"]
    assert no_route(names, "[x]") == (Verdict.FAILED, "5.1.2")
