"""SCRAM towards smart hosts: keys made once, and what is remembered of servers that refuse it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from gateway.auth.sasl import Challenge, Found
from gateway.auth.sasl_scram import Scram as ServersScram
from gateway.core.errors import DirectoryUnavailable
from gateway.core.login_secret import LoginSecret, scram_verifier
from gateway.core.scram import ScramKeys, scram_keys
from gateway.delivery.scram import MAX_KEPT, NONCE_OCTETS, Scram
from gateway.wire.scram_client import KeysWanted, ScramClient
from tests.auth.worlds import ALICE
from tests.support.pump import Pump
from tests.support.remote_world import DEFERRED, DELIVERED, World
from tests.support.scripted_server import HANG

OFFER = b"250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n"


class Threads:
    """Runs work at once, fails, or never ends."""

    def __init__(self) -> None:
        self.made = 0
        self.answer: Callable[[ScramKeys], Deferred[ScramKeys]] = succeed

    def submit(self, work: Callable[[], ScramKeys]) -> Deferred[ScramKeys]:
        self.made += 1
        return self.answer(work())


def said(message: bytes) -> bytes:
    return b"334 " + b64encode(message) + b"\r\n"


def smart_host(threads: Threads) -> World:
    """Who knows the password; every exchange has the same nonces, so that it can be scripted."""
    scram = Scram(threads.submit, bytes)
    world = World(scram=scram)
    client = ScramClient("me", b"secret", scram.nonce())
    server = ServersScram(b"server", {}, plus=False)
    verifier = scram_verifier(b"secret", b"salt", 4096)
    server.first(client.first)
    challenge = server.told(Found(LoginSecret(ALICE, verifier=verifier), verifier))
    assert isinstance(challenge, Challenge)
    client.challenged(challenge.octets)
    final = client.final(scram_keys(b"secret", b"salt", 4096))
    signature = server.next(final)
    assert isinstance(signature, Challenge)
    relay = world.relay
    relay.ehlo = relay.tls_ehlo = OFFER
    relay.replies[f"AUTH SCRAM-SHA-256 {b64encode(client.first).decode()}"] = said(challenge.octets)
    relay.replies[b64encode(final).decode()] = said(signature.octets)
    relay.replies[""] = b"235 welcome\r\n"
    return world


def test_keys_are_made_once_for_a_server_that_keeps_its_salt() -> None:
    threads = Threads()
    world = smart_host(threads)
    for _ in range(3):
        assert world.one(destination="login").verdict is DELIVERED
    assert len(world.relay.connections) == 3 and threads.made == 1
    assert not any("AUTH PLAIN" in line for line in world.relay.lines)


def test_only_so_many_keys_are_kept() -> None:
    threads = Threads()
    scram = Scram(threads.submit, bytes)
    assert len(scram.nonce()) == NONCE_OCTETS * 4 // 3
    for number in (*range(MAX_KEPT), MAX_KEPT - 1, MAX_KEPT, 0):
        Pump().wait(scram.keys(KeysWanted(b"x", b"%d" % number, 1)))
    assert threads.made == MAX_KEPT + 2


def test_a_server_that_refuses_scram_is_not_asked_by_it_for_a_day() -> None:
    """Each try of it would be a refused login, of which some servers take only so many."""
    world = smart_host(Threads())
    relay = world.relay

    def tried(refusals: int) -> list[str]:
        """The mechanisms that a message costs."""
        relay.replies = {"AUTH": [b"535 5.7.8 no\r\n"] * refusals + [b"235 yes\r\n"]}
        relay.lines.clear()
        assert world.one(destination="login").verdict is DELIVERED
        return [line.split()[1] for line in relay.lines if line.startswith("AUTH")]

    assert tried(1) == ["SCRAM-SHA-256", "PLAIN"]
    assert tried(0) == ["PLAIN"]
    world.delivery.forget_refusals("smtp://me@relay.example:25")
    assert tried(1) == ["SCRAM-SHA-256", "PLAIN"]
    assert tried(0) == ["PLAIN"]
    world.clock.advance(86_400)
    assert tried(1) == ["SCRAM-SHA-256", "PLAIN"]


def test_mail_waits_where_keys_cannot_be_made_now() -> None:
    threads = Threads()
    threads.answer = lambda _: fail(DirectoryUnavailable(reason="too many requests are waiting"))
    outcome = smart_host(threads).one(destination="login")
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.3.2")
    assert "secret" not in outcome.reply


@pytest.mark.parametrize("silent", ["threads", "server"])
def test_N1_an_exchange_that_does_not_go_on_ends(silent: str) -> None:
    threads = Threads()
    world = smart_host(threads)
    if silent == "threads":
        threads.answer = lambda _: Deferred()
    else:
        world.relay.replies[""] = HANG
    outcome = world.one(destination="login")
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.4.2")
