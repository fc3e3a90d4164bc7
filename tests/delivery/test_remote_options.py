"""What senders ask for, on the way to two hosts by script: each host's offer decides for itself."""

from __future__ import annotations

import pytest

from gateway.core.address import Address
from gateway.core.envelope import DeliverBy, MessageOptions
from tests.support.remote_world import (
    DEFERRED,
    DELIVERED,
    FAILED,
    World,
)
from tests.support.scripted_server import Script

TLS_OFFER = b"250-mx.y.example\r\n250 STARTTLS\r\n"
KEEPS_TLS = b"250-mx.y.example\r\n250 REQUIRETLS\r\n"
REQUIRED = MessageOptions(require_tls=True)
AT_DOMAIN = "b@z.example"  # which has no MX record, so its own hosts take its mail


def keeper() -> Script:
    return Script(ehlo=TLS_OFFER, tls_ehlo=KEEPS_TLS)


def test_requiretls_goes_verified_to_a_server_that_keeps_it() -> None:
    world = World()
    world.network.add("192.0.2.1", keeper())
    (outcome,) = world.attempt(AT_DOMAIN, options=REQUIRED)
    assert outcome.verdict is DELIVERED
    mx1 = world.network.scripts["192.0.2.1"]
    assert "MAIL FROM:<a@x.example> REQUIRETLS" in mx1.lines
    assert type(mx1.creators[0]).__name__ == "ClientTLSOptions", "the one that verifies"


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(ehlo=TLS_OFFER),
        Script(ehlo=TLS_OFFER, tls_ehlo=KEEPS_TLS, handshake="fail"),
        Script(ehlo=TLS_OFFER, replies={"STARTTLS": b"502 no\r\n"}),
    ],
    ids=["no TLS", "does not keep it", "certificate", "refused"],
)
def test_requiretls_comes_back_where_no_server_keeps_it(script: Script) -> None:
    world = World()
    for ip in ("192.0.2.1", "192.0.2.2"):
        world.network.add(ip, script)
    (outcome,) = world.attempt(AT_DOMAIN, options=REQUIRED)
    assert (outcome.verdict, outcome.status) == (FAILED, "5.7.30")
    assert not any(line.startswith(("MAIL", "RCPT")) for line in script.lines), script.lines
    assert script.bodies == []


def test_requiretls_tries_the_next_host() -> None:
    world = World()
    world.network.add("192.0.2.2", keeper())
    assert world.attempt(AT_DOMAIN, options=REQUIRED)[0].verdict is DELIVERED
    assert world.mx1.bodies == []


def test_requiretls_waits_for_what_may_pass() -> None:
    world = World()
    world.network.add("192.0.2.1", Script(ehlo=TLS_OFFER, replies={"STARTTLS": b"454 soon\r\n"}))
    assert world.attempt(AT_DOMAIN, options=REQUIRED)[0].verdict is DEFERRED
    del world.network.scripts["192.0.2.1"]  # refuses connections; the other offers no TLS
    assert world.attempt(AT_DOMAIN, options=REQUIRED)[0].verdict is DEFERRED


def test_S18_requiretls_believes_no_mx_record() -> None:
    """RFC 8689 section 4.2.1: whoever forges the record has a valid certificate as well."""
    world = World()
    for ip in ("192.0.2.1", "192.0.2.2", "192.0.2.9"):
        world.network.add(ip, keeper())
    outcome = world.one(options=REQUIRED)
    assert (outcome.verdict, outcome.status) == (FAILED, "5.7.30")
    assert "mx1.y.example" in outcome.reply and "MX record" in outcome.reply
    assert world.network.tried == []
    to_relay = world.one(next_hop="smtp://relay.example:25", options=REQUIRED)
    assert to_relay.verdict is DELIVERED, "the administrator has named it"


def test_requiretls_prefers_the_domain_itself_to_hosts_that_only_mx_records_name() -> None:
    world = World()
    world.delivery._mx._resolver.mx["both.example"] = [(10, "mx1.y.example"), (20, "both.example")]  # type: ignore[attr-defined]
    world.delivery._mx._resolver.a["both.example"] = ["192.0.2.2"]  # type: ignore[attr-defined]
    world.network.add("192.0.2.2", keeper())
    (outcome,) = world.attempt("b@both.example", options=REQUIRED)
    assert outcome.verdict is DELIVERED and world.mx1.bodies == []


def test_a_report_about_it_rather_goes_without_than_not_at_all() -> None:
    world = World()
    assert world.one(options=REQUIRED, sender=None).verdict is DELIVERED
    world.network.add("192.0.2.1", keeper())
    assert world.one(options=REQUIRED, sender=None).verdict is DELIVERED
    assert "MAIL FROM:<> REQUIRETLS" in world.network.scripts["192.0.2.1"].lines


def test_no_certificate_can_be_for_some_names() -> None:
    world = World()
    world.delivery._mx._resolver.a["a_b.example"] = ["192.0.2.1"]  # type: ignore[attr-defined]
    (outcome,) = world.attempt("b@a_b.example", options=REQUIRED)
    assert (outcome.verdict, outcome.status) == (FAILED, "5.7.30")
    assert "no certificate" in outcome.reply


# -- DELIVERBY, DSN


def test_the_time_that_is_left_counts_from_the_attempt() -> None:
    world = World()
    offer = b"250-mx.y.example\r\n250-DELIVERBY\r\n250 DSN\r\n"
    script = world.network.add("192.0.2.1", Script(ehlo=offer))
    world.clock.advance(100)
    outcome = world.one(options=MessageOptions(deliver_by=DeliverBy(160, or_return=True)))
    assert "MAIL FROM:<a@x.example> BY=60;R" in script.lines
    assert outcome.timed and outcome.reports_on
    plain = world.network.add("192.0.2.1")
    late = MessageOptions(deliver_by=DeliverBy(160, or_return=False))
    outcome = world.one(options=late)
    assert outcome.verdict is DELIVERED and not outcome.timed and not outcome.reports_on
    assert "MAIL FROM:<a@x.example> SIZE=29" in plain.lines


# -- content


def test_S31_each_recipient_needs_utf8_by_itself() -> None:
    world = World()
    told = world.attempt("b@y.example", "grün@y.example")
    assert [(each.verdict, each.status) for each in told] == [
        (DELIVERED, "2.0.0"),
        (FAILED, "5.6.7"),
    ]
    sender = world.one(sender=Address("grün", "x.example"))
    assert (sender.verdict, sender.status) == (FAILED, "5.6.7")
