"""TLS and logging in on the way out (SECURITY S18)."""

from __future__ import annotations

import pytest

from tests.support.remote_world import (
    DEFERRED,
    DELIVERED,
    WIRE,
    World,
)
from tests.support.scripted_server import TLS_EHLO, Script


def test_starttls_is_taken_when_offered() -> None:
    world = World()
    world.mx1.ehlo = TLS_EHLO
    assert world.one().verdict is DELIVERED
    assert world.mx1.lines[:3] == ["EHLO mail.x.example", "STARTTLS", "EHLO mail.x.example"]


def test_a_failing_opportunistic_handshake_goes_on_in_clear_text() -> None:
    world = World()
    world.mx1.ehlo, world.mx1.handshake = TLS_EHLO, "fail"
    assert world.one().verdict is DELIVERED
    assert len(world.mx1.connections) == 2 and world.mx1.bodies == [WIRE]


@pytest.mark.parametrize("handshake", ["fail", "hang"])
def test_S18_a_failing_required_handshake_defers(handshake: str) -> None:
    world = World()
    relay = world.network.add("192.0.2.9", Script(ehlo=TLS_EHLO, handshake=handshake))
    outcome = world.one(next_hop="smtp://relay.example?tls=required")
    assert outcome.verdict is DEFERRED
    assert relay.bodies == [] and len(relay.connections) == 1
    if handshake == "fail":
        assert outcome.reply == "TLS failed: certificate verify failed"


def test_S18_a_required_tls_that_is_not_offered_defers() -> None:
    world = World()
    world.network.add("192.0.2.9")
    outcome = world.one(next_hop="smtp://relay.example?tls=required")
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.4")


def test_S18_octets_injected_before_tls_defer() -> None:
    world = World()
    for server in world.mx1, world.mx2:
        server.ehlo = TLS_EHLO
        server.replies["STARTTLS"] = b"220 go\r\n250-evil\r\n250 SIZE 1\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.5")
    assert world.mx1.bodies == []


def test_a_smart_host_gets_the_login_under_tls_only() -> None:
    world = World(smart_host="smtp://me@relay.example:587", password=b"secret")
    relay = world.network.add("192.0.2.9", Script(ehlo=TLS_EHLO, tls_ehlo=TLS_EHLO))
    assert world.one().verdict is DELIVERED
    assert relay.lines[3] == "AUTH PLAIN AG1lAHNlY3JldA=="
    plain = world.network.add("192.0.2.9", Script(ehlo=b"250-x\r\n250 AUTH PLAIN\r\n"))
    assert world.one().verdict is DEFERRED
    assert not any("AUTH" in line for line in plain.lines)


def test_a_wrong_smart_host_password_defers_and_is_not_shown() -> None:
    world = World(smart_host="smtp://me@127.0.0.1", password=b"secret")
    world.network.add(
        "127.0.0.1", Script(ehlo=b"250-x\r\n250 AUTH PLAIN\r\n", replies={"AUTH": b"535 no\r\n"})
    )
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.7.8")
    assert "secret" not in outcome.reply


def test_a_user_without_password_defers() -> None:
    assert World(smart_host="smtp://me@relay.example").one().status == "4.3.5"
