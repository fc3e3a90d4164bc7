"""TLS and logging in on the way out (SECURITY S18)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.envelope import MessageOptions
from gateway.core.queue import Trouble
from gateway.delivery.targets import Protection, TlsDemand
from gateway.wire.smtp_client_envelope import Login
from tests.support.remote_world import (
    DEFERRED,
    DELIVERED,
    FAILED,
    MX1,
    RELAY,
    WIRE,
    World,
)
from tests.support.scripted_server import PLAIN_EHLO, TLS_EHLO, Script

REQUIRED = MessageOptions(require_tls=True)
KEEPS_TLS = b"250-mx.y.example\r\n250 REQUIRETLS\r\n"


def test_starttls_is_taken_when_offered() -> None:
    world = World()
    world.mx1.ehlo = TLS_EHLO
    outcome = world.one()
    assert (
        outcome.verdict is DELIVERED and outcome.via == "mx1.y.example[192.0.2.1]:25,TLS,unproven"
    )
    assert world.mx1.lines[:3] == ["EHLO mail.x.example", "STARTTLS", "EHLO mail.x.example"]
    assert world.witness.notes == [("mx1.y.example", "")]


def test_a_failing_opportunistic_handshake_goes_on_in_clear_text() -> None:
    world = World()
    world.mx1.ehlo, world.mx1.handshake = TLS_EHLO, "fail"
    outcome = world.one()
    assert outcome.verdict is DELIVERED and outcome.via == "mx1.y.example[192.0.2.1]:25"
    assert len(world.mx1.connections) == 2 and world.mx1.bodies == [WIRE]
    assert world.witness.notes == [("mx1.y.example", "validation-failure")]


def test_what_was_not_offered_is_told_to_the_witness() -> None:
    world = World()
    world.one()
    assert world.witness.notes == [("mx1.y.example", "starttls-not-supported")]


def test_a_demand_in_testing_is_reported_and_the_mail_goes() -> None:
    world = World()
    testing = TlsDemand(Protection.VERIFIED, policy="sts", domain="y.example", testing=True)
    world.routes.table["y.example"] = (replace(MX1, demand=testing),)
    assert world.one().verdict is DELIVERED
    assert world.witness.notes == [("mx1.y.example", "starttls-not-supported")]


def test_no_tls_at_all_where_none_is_asked_for() -> None:
    world = World()
    world.mx1.ehlo = TLS_EHLO
    world.routes.table["y.example"] = (replace(MX1, demand=TlsDemand(Protection.NONE)),)
    assert world.one().verdict is DELIVERED
    assert "STARTTLS" not in world.mx1.lines and world.witness.notes == []


@pytest.mark.parametrize("protection", [Protection.REQUIRED, Protection.VERIFIED, Protection.DANE])
@pytest.mark.parametrize("handshake", ["fail", "hang"])
def test_S18_a_failing_required_handshake_defers(handshake: str, protection: Protection) -> None:
    world = World()
    world.relay.ehlo, world.relay.handshake = TLS_EHLO, handshake
    world.routes.table["relay"] = (replace(RELAY, demand=TlsDemand(protection)),)
    outcome = world.one(destination="relay")
    assert (outcome.verdict, outcome.trouble) == (DEFERRED, Trouble.DEAD)
    assert world.relay.bodies == [] and len(world.relay.connections) == 1
    if handshake == "fail":
        assert outcome.reply == "TLS failed: certificate verify failed"
    assert world.witness.notes == [("relay.example", "validation-failure")]


@pytest.mark.parametrize("reply", [b"", b"502 no\r\n", b"454 not now\r\n"])
def test_S18_a_required_tls_that_is_not_given_defers(reply: bytes) -> None:
    world = World()
    if reply:
        world.relay.ehlo, world.relay.replies["STARTTLS"] = TLS_EHLO, reply
    outcome = world.one(destination="verified")
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.4")
    assert not any(line.startswith("MAIL") for line in world.relay.lines)


def test_S18_octets_injected_before_tls_defer() -> None:
    world = World()
    for server in world.mx1, world.mx2:
        server.ehlo = TLS_EHLO
        server.replies["STARTTLS"] = b"220 go\r\n250-evil\r\n250 SIZE 1\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.5")
    assert world.mx1.bodies == []


def test_S18_a_connection_in_clear_text_is_never_used_for_mail_that_needs_tls() -> None:
    world = World()
    assert world.send(destination="relay")[0].verdict is DELIVERED
    assert world.send(destination="verified")[0].verdict is DEFERRED
    assert world.send(destination="relay", options=REQUIRED)[0].verdict is FAILED
    assert len(world.relay.connections) == 3
    assert len(world.relay.bodies) == 1


# -- REQUIRETLS (RFC 8689)


def test_requiretls_goes_to_a_server_that_keeps_it() -> None:
    world = World()
    world.relay.ehlo, world.relay.tls_ehlo = TLS_EHLO, KEEPS_TLS
    (outcome,) = world.attempt(destination="relay", options=REQUIRED)
    assert outcome.verdict is DELIVERED
    assert "MAIL FROM:<a@x.example> REQUIRETLS" in world.relay.lines


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(ehlo=TLS_EHLO),
        Script(ehlo=TLS_EHLO, tls_ehlo=KEEPS_TLS, handshake="fail"),
        Script(ehlo=TLS_EHLO, replies={"STARTTLS": b"502 no\r\n"}),
    ],
    ids=["no TLS", "does not keep it", "certificate", "refused"],
)
def test_requiretls_comes_back_where_no_server_keeps_it(script: Script) -> None:
    world = World()
    for ip in ("192.0.2.1", "192.0.2.2"):
        world.network.add(ip, script)
    (outcome,) = world.attempt(options=REQUIRED)
    assert (outcome.verdict, outcome.status) == (FAILED, "5.7.30")
    assert outcome.trouble is Trouble.NONE, "other mail for them may pass"
    assert not any(line.startswith(("MAIL", "RCPT")) for line in script.lines), script.lines
    assert script.bodies == []


def test_requiretls_tries_the_next_host() -> None:
    world = World()
    world.network.add("192.0.2.2", Script(ehlo=TLS_EHLO, tls_ehlo=KEEPS_TLS))
    assert world.attempt(options=REQUIRED)[0].verdict is DELIVERED
    assert world.mx1.bodies == []


def test_requiretls_waits_for_what_may_pass() -> None:
    world = World()
    world.network.add("192.0.2.1", Script(ehlo=TLS_EHLO, replies={"STARTTLS": b"454 soon\r\n"}))
    assert world.attempt(options=REQUIRED)[0].verdict is DEFERRED
    del world.network.scripts["192.0.2.1"]  # refuses connections; the other offers no TLS
    assert world.attempt(options=REQUIRED)[0].verdict is DEFERRED


def test_a_report_about_it_rather_goes_without_than_not_at_all() -> None:
    world = World()
    assert world.one(options=REQUIRED, sender=None).verdict is DELIVERED
    world.network.add("192.0.2.1", Script(ehlo=TLS_EHLO, tls_ehlo=KEEPS_TLS))
    assert world.one(options=REQUIRED, sender=None).verdict is DELIVERED
    assert "MAIL FROM:<> REQUIRETLS" in world.network.scripts["192.0.2.1"].lines


# -- logging in


def test_a_smart_host_gets_the_login_under_tls_only() -> None:
    world = World()
    world.relay.ehlo = world.relay.tls_ehlo = TLS_EHLO
    assert world.one(destination="login").verdict is DELIVERED
    assert world.relay.lines[3] == "AUTH PLAIN AG1lAHNlY3JldA=="
    plain = world.network.add("192.0.2.9", Script(ehlo=b"250-x\r\n250 AUTH PLAIN\r\n"))
    assert world.one(destination="login").verdict is DEFERRED
    assert not any("AUTH" in line for line in plain.lines)


@pytest.mark.parametrize("ip, says_it", [("127.0.0.1", True), ("192.0.2.9", False)])
def test_a_password_goes_in_clear_text_where_nobody_can_listen(ip: str, says_it: bool) -> None:
    world = World()
    server = world.network.add(ip, Script(ehlo=b"250-x\r\n250 AUTH PLAIN\r\n"))
    named = replace(RELAY, ip=ip, login=Login("me", b"secret"))
    world.routes.table["relay"] = (named,)
    assert (world.one(destination="relay").verdict is DELIVERED) is says_it
    assert any("AUTH" in line for line in server.lines) is says_it


def test_a_wrong_password_is_not_tried_for_every_message_and_not_shown() -> None:
    world = World()
    relay = world.relay
    relay.ehlo = relay.tls_ehlo = TLS_EHLO
    relay.replies["AUTH"] = [b"535 5.7.8 no\r\n", b"235 yes\r\n"]
    for _ in range(3):
        outcome = world.one(destination="login")
        assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.8")
        assert outcome.trouble is Trouble.DEAD
        assert "secret" not in outcome.reply and "535 5.7.8 no" in outcome.reply
    assert len(relay.connections) == 1
    world.clock.advance(300)
    assert world.one(destination="login").verdict is DELIVERED


def test_a_refused_login_is_tried_at_once_where_an_administrator_says_so() -> None:
    chain = "smtp://first.example smtp://me@relay.example:25"
    world = World()
    relay = world.relay
    world.routes.table[chain] = world.routes.table["login"]
    relay.ehlo = relay.tls_ehlo = TLS_EHLO
    relay.replies["AUTH"] = [b"535 5.7.8 no\r\n", b"235 yes\r\n"]
    assert world.one(destination=chain).status == "4.7.8"
    for other in (
        "y.example",
        "smtp://you@relay.example:25",
        "smtp://me@relay.example:587",
        "x://",
    ):
        world.delivery.forget_refusals(other)
    assert world.one(destination=chain).status == "4.7.8"
    assert len(relay.connections) == 1
    world.delivery.forget_refusals(chain)
    assert world.one(destination=chain).verdict is DELIVERED


def test_a_login_that_cannot_be_checked_now_is_tried_again() -> None:
    world = World()
    relay = world.relay
    relay.ehlo = relay.tls_ehlo = TLS_EHLO
    relay.replies["AUTH"] = [b"454 4.7.0 later\r\n", b"235 yes\r\n"]
    assert world.one(destination="login").verdict is DEFERRED
    assert world.one(destination="login").verdict is DELIVERED


def test_the_offer_inside_tls_counts() -> None:
    world = World()
    world.mx1.ehlo = TLS_EHLO.replace(b"250-STARTTLS", b"250-SIZE 1\r\n250-STARTTLS")
    world.mx1.tls_ehlo = PLAIN_EHLO
    assert world.one().verdict is DELIVERED
