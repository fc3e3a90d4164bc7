"""What mail hosts must prove: DANE before MTA-STS, REQUIRETLS, and never clear text by trouble."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.core.queue import Verdict
from gateway.delivery.sts import StsPolicies
from gateway.delivery.targets import MailHost, NoRoute, Protection, Tlsa, TlsDemand
from gateway.delivery.tls_policies import Policies
from tests.support.tls_fakes import (
    FakeNames,
    FakePolicyHosts,
    FakeStsStore,
    Refusals,
    WallClock,
    done,
)

DOMAIN = "a.example"
MX1, MX2 = MailHost(10, "mx1.a.example", True), MailHost(20, "mx2.b.example", True)
RECORD = bytes([3, 1, 1]) + b"k" * 32
TLSA = Tlsa(3, 1, 1, b"k" * 32)
PLAIN = TlsDemand()


class World:
    def __init__(self, *, proves: bool = True) -> None:
        self.names = FakeNames()
        self.hosts = FakePolicyHosts()
        self.refusals = Refusals()
        sts = StsPolicies(
            self.names,
            self.hosts,
            FakeStsStore(),
            WallClock(),
            lambda *_: None,
            timers=WallClock().clock,
        )
        self.policies = Policies(self.names, proves=proves, sts=sts, refusals=self.refusals)

    def tlsa(self, host: str, *records: bytes, secure: bool = True) -> None:
        self.names.put("TLSA", f"_25._tcp.{host}", *records, secure=secure)

    def sts(self, mode: str, *mx: str) -> None:
        self.names.put("TXT", f"_mta-sts.{DOMAIN}", b"v=STSv1; id=1")
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {each}" for each in mx), "max_age: 9"]
        self.hosts.policies[DOMAIN] = "\n".join(lines).encode()

    def demands(
        self,
        *hosts: MailHost,
        domain: str = DOMAIN,
        secure: bool = True,
        require_tls: bool = False,
    ) -> Sequence[tuple[str, TlsDemand]]:
        found = done(
            self.policies.demands(domain, hosts or (MX1,), secure=secure, require_tls=require_tls)
        )
        return [(host.name, demand) for host, demand in found]

    def refusal(self, *hosts: MailHost, secure: bool = True, require_tls: bool = False) -> NoRoute:
        with pytest.raises(NoRoute) as refused:
            self.demands(*hosts, secure=secure, require_tls=require_tls)
        return refused.value


# -- nothing published


def test_without_policies_tls_is_taken_when_offered_and_counted_for_the_domain() -> None:
    ((_, demand),) = World().demands()
    assert demand == PLAIN and demand.domain == DOMAIN and demand.policy == ""


# -- DANE


def test_dane_binds_each_host_that_has_records() -> None:
    world = World()
    world.tlsa(MX1.name, RECORD)
    first, second = world.demands(MX1, MX2)
    names = (MX1.name, DOMAIN)
    assert first == (MX1.name, TlsDemand(Protection.DANE, names, (TLSA,), "tlsa"))
    assert second == (MX2.name, PLAIN)


def test_dane_looks_behind_an_alias_first_and_tells_that_name_to_the_server() -> None:
    world = World()
    world.names.put("A", MX1.name, texts=("192.0.2.1",), secure=True, alias_of="end.c.example")
    world.tlsa("end.c.example", RECORD)
    ((_, demand),) = world.demands()
    assert demand.names == ("end.c.example", MX1.name, DOMAIN)
    world.names.answers.pop(("TLSA", "_25._tcp.end.c.example"))
    world.tlsa(MX1.name, RECORD)
    assert world.demands()[0][1].names == (MX1.name, DOMAIN)


@pytest.mark.parametrize(
    "proves, secure, host, record_secure",
    [
        (False, True, MX1, True),
        (True, False, MX1, True),
        (True, True, MailHost(10, MX1.name), True),
        (True, True, MX1, False),
    ],
    ids=["servers are not trusted", "MX", "addresses", "TLSA"],
)
def test_records_count_only_where_all_is_proven(
    proves: bool, secure: bool, host: MailHost, record_secure: bool
) -> None:
    world = World(proves=proves)
    world.tlsa(MX1.name, RECORD, secure=record_secure)
    assert world.demands(host, secure=secure) == [(MX1.name, PLAIN)]


def test_a_host_whose_records_nobody_can_tell_is_left_out_for_now() -> None:
    world = World()
    world.names.fail("TLSA", f"_25._tcp.{MX1.name}")
    assert [name for name, _ in world.demands(MX1, MX2)] == [MX2.name]
    assert world.refusals.told == [(DOMAIN, "tlsa", MX1.name, "dnssec-invalid")]
    refused = world.refusal(MX1)
    assert (refused.verdict, refused.status) == (Verdict.DEFERRED, "4.7.5")
    assert "SERVFAIL" in refused.text and refused.unreachable


@pytest.mark.parametrize(
    "records", [(b"\x00\x00\x01" + b"x" * 32,), (b"\x03\x01\x01",), (b"\x03\x01\x01short",)]
)
def test_N6_records_that_are_no_use_demand_encryption_all_the_same(
    records: tuple[bytes, ...],
) -> None:
    world = World()
    world.tlsa(MX1.name, *records)
    assert world.demands() == [(MX1.name, TlsDemand(Protection.REQUIRED))]


# -- MTA-STS


def test_an_enforced_policy_leaves_the_hosts_that_it_names() -> None:
    world = World()
    world.sts("enforce", "*.a.example")
    verified = TlsDemand(Protection.VERIFIED, policy="sts")
    assert world.demands(MX1, MX2) == [(MX1.name, verified)]
    assert world.refusals.told == [(DOMAIN, "sts", MX2.name, "validation-failure")]


def test_mail_waits_where_an_enforced_policy_names_no_host() -> None:
    world = World()
    world.sts("enforce", "mx9.a.example")
    refused = world.refusal(MX1, MX2)
    assert (refused.verdict, refused.status) == (Verdict.DEFERRED, "4.7.5")
    assert "does not name its mail host mx1.a.example" in refused.text


def test_a_policy_on_trial_only_tells() -> None:
    world = World()
    world.sts("testing", MX1.name)
    tested = TlsDemand(Protection.VERIFIED, policy="sts", testing=True)
    assert world.demands(MX1, MX2) == [(MX1.name, tested), (MX2.name, PLAIN)]
    assert world.refusals.told == [(DOMAIN, "sts", MX2.name, "validation-failure")]


def test_a_policy_of_none_is_none() -> None:
    world = World()
    world.sts("none")
    assert world.demands() == [(MX1.name, PLAIN)]


def test_dane_comes_before_mta_sts_host_by_host() -> None:
    world = World()
    world.sts("enforce", MX2.name)
    world.tlsa(MX1.name, RECORD)
    assert [demand.policy for _, demand in world.demands(MX1, MX2)] == ["tlsa", "sts"]
    # What fails in DNSSEC is not made good by MTA-STS (RFC 8461 section 2).
    world.names.fail("TLSA", f"_25._tcp.{MX2.name}")
    assert [name for name, _ in world.demands(MX1, MX2)] == [MX1.name]


def test_address_literals_have_no_policies() -> None:
    world = World()
    host = MailHost(0, "192.0.2.1", True)
    assert world.demands(host, domain="[192.0.2.1]") == [(host.name, PLAIN)]
    assert world.names.asked == []


# -- REQUIRETLS (RFC 8689)


def test_rfc_8689_hosts_must_be_proven_to_be_the_domains() -> None:
    verified = Protection.VERIFIED
    world = World()
    refused = world.refusal(MX1, secure=False, require_tls=True)
    assert (refused.verdict, refused.status) == (Verdict.FAILED, "5.7.30")
    assert "REQUIRETLS" in refused.text and not refused.unreachable
    # By DNSSEC, by the domain's own name, by a policy that is enforced, by TLSA.
    assert world.demands(require_tls=True)[0][1].protection is verified
    own = MailHost(0, DOMAIN)
    assert world.demands(own, secure=False, require_tls=True)[0][1].protection is verified
    world.sts("enforce", MX1.name)
    assert world.demands(secure=False, require_tls=True)[0][1].protection is verified
    world.tlsa(MX1.name, RECORD)
    assert world.demands(require_tls=True)[0][1].protection is Protection.DANE


def test_rfc_8689_a_policy_on_trial_proves_nothing() -> None:
    world = World()
    world.sts("testing", MX1.name)
    assert world.refusal(MX1, secure=False, require_tls=True).status == "5.7.30"
    ((_, demand),) = world.demands(require_tls=True)
    assert demand.protection is Protection.VERIFIED and not demand.testing


def test_rfc_8689_records_that_are_no_use_need_a_certificate() -> None:
    world = World()
    world.tlsa(MX1.name, b"\x00\x00\x01" + b"x" * 32)
    assert world.demands(require_tls=True)[0][1].protection is Protection.VERIFIED


def test_rfc_8689_what_nobody_can_tell_now_waits() -> None:
    world = World()
    world.names.put("TXT", f"_mta-sts.{DOMAIN}", b"v=STSv1; id=1")  # its host does not answer
    assert world.refusal(MX1, secure=False, require_tls=True).verdict is Verdict.DEFERRED
    assert world.demands(secure=False) == [(MX1.name, PLAIN)], "others do not wait for it"
    world.names.fail("TXT", f"_mta-sts.{DOMAIN}")
    assert world.refusal(MX1, secure=False, require_tls=True).verdict is Verdict.DEFERRED
