"""Logging in at another server by SCRAM-SHA-256, and what follows where that is refused."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest

from gateway.auth.sasl import Challenge, Found, ProofOffer
from gateway.auth.sasl_scram import Scram
from gateway.core.login_secret import LoginSecret, scram_verifier
from gateway.core.queue import Verdict
from gateway.core.scram import scram_keys
from gateway.wire.scram_client import KeysWanted
from gateway.wire.smtp_client_envelope import Login
from gateway.wire.smtp_client_plan import Obstacle, Stage, TlsRule
from tests.auth.worlds import ALICE
from tests.wire.test_smtp_client import PLAN, Peer

LOGIN = Login("me", b"pass word")
OFFER = b"AUTH LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256"


class Server:
    """Our own, which knows a password, at the other end of a session."""

    def __init__(self, offer: bytes = OFFER, password: bytes = LOGIN.password) -> None:
        plan = replace(PLAN, secure=True, tls=TlsRule.REQUIRED, login=LOGIN, nonce=b"client")
        self.peer = Peer(plan)
        self.scram = Scram(b"server", {}, plus=False)
        self.verifier = scram_verifier(password, b"salt", 4096)
        self.line = self.peer.opens(b"250-mx\r\n250 " + offer + b"\r\n")

    def challenges(self) -> bytes:
        """As far as the proof; returns the line with it."""
        assert self.line.startswith(b"AUTH SCRAM-SHA-256 ")
        self.scram.first(b64decode(self.line.split()[2]))
        step = self.scram.told(Found(LoginSecret(ALICE, verifier=self.verifier), self.verifier))
        assert isinstance(step, Challenge)
        assert self.says(step.octets) == b"", "keys are made first"
        (wanted,) = [each for each in self.peer.others if isinstance(each, KeysWanted)]
        keys = scram_keys(wanted.password, wanted.salt, wanted.iterations)
        return self.peer.take(self.peer.session.keys_made(keys))

    def says(self, message: bytes) -> bytes:
        return self.peer.says(b"334 " + b64encode(message) + b"\r\n")

    def signature(self, proof: bytes) -> bytes:
        step = self.scram.next(b64decode(proof))
        assert isinstance(step, Challenge)
        return step.octets


def test_scram_comes_before_plain_and_the_server_proves_itself() -> None:
    server = Server()
    assert server.says(server.signature(server.challenges())) == b"\r\n"
    assert server.peer.says(b"235 welcome\r\n").startswith(b"MAIL FROM:")
    said = b"".join(b64decode(line.split()[-1]) for line in server.peer.sent.splitlines()[1:3])
    assert LOGIN.password not in server.peer.sent + said
    assert not server.peer.session.scram_refused


def test_a_refused_proof_is_followed_by_plain_on_the_same_connection() -> None:
    """The server may keep a hash of this user's password that is no good for SCRAM."""
    server = Server(password=b"another")
    step = server.scram.next(b64decode(server.challenges()))
    assert isinstance(step, ProofOffer) and not step.proof.holds()
    line = server.peer.says(b"535 5.7.8 no\r\n")
    assert b64decode(line.removeprefix(b"AUTH PLAIN ")) == b"\0me\0pass word"
    assert server.peer.says(b"235 welcome\r\n").startswith(b"MAIL FROM:")
    assert server.peer.session.scram_refused


def test_refused_by_both_it_is_a_refused_login() -> None:
    server = Server(b"AUTH SCRAM-SHA-256 LOGIN")
    assert server.peer.says(b"535 no\r\n") == b"AUTH LOGIN\r\n"
    server.peer.answers(b"334 x", b"334 x", b"535 5.7.8 wrong")
    end = server.peer.not_opened
    assert (end.obstacle, end.problem.status) == (Obstacle.LOGIN, "4.7.8")
    assert server.peer.session.scram_refused


def test_where_only_scram_is_offered_its_refusal_counts() -> None:
    server = Server(b"AUTH SCRAM-SHA-256")
    server.peer.says(b"535 5.7.8 no\r\n")
    assert server.peer.not_opened.obstacle is Obstacle.LOGIN
    assert "535 5.7.8 no" in server.peer.not_opened.problem.text


def test_what_cannot_be_checked_now_is_not_tried_otherwise() -> None:
    server = Server()
    server.peer.says(b"454 4.7.0 the directory is down\r\n")
    assert server.peer.not_opened.obstacle is Obstacle.REFUSAL
    assert b"PLAIN" not in server.peer.sent


@pytest.mark.parametrize("answer", [b"334 " + b64encode(b"v=" + b64encode(bytes(32))), b"235 ok"])
def test_S18_a_server_that_proves_nothing_hears_no_password(answer: bytes) -> None:
    server = Server()
    server.challenges()
    server.peer.answers(answer)
    end = server.peer.not_opened
    assert (end.obstacle, end.problem.verdict) == (Obstacle.LOGIN, Verdict.DEFERRED)
    assert "did not prove that it knows our password" in end.problem.text
    assert b"PLAIN" not in server.peer.sent and b"MAIL" not in server.peer.sent


@pytest.mark.parametrize(
    "message, words",
    [
        (b"r=another,s=c2FsdA==,i=4096", "another exchange"),
        (b"r=clientx,s=c2FsdA==,i=9000000", "9000000 iterations"),
        (b"what", "no challenge"),
    ],
)
def test_a_broken_exchange_is_cancelled_and_plain_is_tried(message: bytes, words: str) -> None:
    server = Server()
    assert server.says(message) == b"*\r\n"
    assert server.peer.says(b"501 cancelled\r\n").startswith(b"AUTH PLAIN ")
    alone = Server(b"AUTH SCRAM-SHA-256")
    alone.says(message)
    alone.peer.says(b"501 5.7.0 cancelled\r\n")
    assert alone.peer.not_opened.obstacle is Obstacle.REFUSAL
    assert words in alone.peer.not_opened.problem.text


def test_challenges_that_are_not_base64_or_have_no_end_are_cancelled() -> None:
    server = Server()
    assert server.peer.says(b"334 %%%\r\n") == b"*\r\n"
    server = Server()
    server.challenges()
    assert server.says(b"e=invalid-proof") == b"*\r\n"
    assert server.peer.says(b"535 no\r\n").startswith(b"AUTH PLAIN ")
    server = Server()
    final = server.signature(server.challenges())
    assert server.says(final) == b"\r\n"
    assert server.says(final) == b"*\r\n"
    server.peer.says(b"501 cancelled\r\n")
    assert server.peer.not_opened.problem.verdict is Verdict.DEFERRED
    assert b"PLAIN" not in server.peer.sent, "it was right already"


def test_S18_answers_to_what_is_not_said_yet_end_it() -> None:
    server = Server()
    server.says(b"r=clientx,s=c2FsdA==,i=4096")
    assert server.peer.session.stage is Stage.AUTH
    assert server.peer.says(b"235 welcome\r\n") == b""
    assert server.peer.not_opened.obstacle is Obstacle.SILENCE
    keys = scram_keys(b"x", b"salt", 1)
    assert server.peer.take(server.peer.session.keys_made(keys)) == b"", "too late"


def test_without_a_nonce_it_is_not_used() -> None:
    plan = replace(PLAN, secure=True, tls=TlsRule.REQUIRED, login=LOGIN)
    assert Peer(plan).opens(b"250-mx\r\n250 " + OFFER + b"\r\n").startswith(b"AUTH PLAIN ")
