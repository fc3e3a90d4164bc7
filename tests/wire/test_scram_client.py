"""The client's side of SCRAM-SHA-256: the RFC's own example, our own server, and bad servers."""

from __future__ import annotations

import base64

import pytest

from gateway.auth.sasl import Challenge, Found, ProofOffer, SecretWanted
from gateway.auth.sasl_scram import Scram
from gateway.core.login_secret import LoginSecret, scram_verifier
from gateway.core.scram import as_saslname, from_saslname, scram_keys
from gateway.wire.scram_client import MAX_ITERATIONS, KeysWanted, ScramClient, ScramRefused
from tests.auth.worlds import ALICE

NONCE = b"rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def client() -> ScramClient:
    return ScramClient("user", b"pencil", NONCE)


def proven() -> ScramClient:
    """As far as its last message."""
    one = client()
    wanted = one.challenged(FIRST)
    one.final(scram_keys(wanted.password, wanted.salt, wanted.iterations))
    return one


def test_the_example_of_rfc_7677_section_3() -> None:
    one = client()
    assert one.first == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    wanted = one.challenged(FIRST)
    salt = base64.b64decode(b"W22ZaJ0SNY7soEsUEjb6gQ==")
    assert wanted == KeysWanted(b"pencil", salt, 4096) and "pencil" not in repr(wanted)
    assert one.final(scram_keys(b"pencil", salt, 4096)) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert one.is_proven(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert one.is_proven(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=more")


@pytest.mark.parametrize(
    "user, password, right",
    [
        ("a,b=c", b"secret", True),
        ("j\u00fcrgen", "pa\u00adss-w\u00f6rd".encode(), True),
        ("alice", b"\xff\xfe", True),
        ("alice", b"wrong", False),
    ],
)
def test_our_own_server_takes_it(user: str, password: bytes, right: bool) -> None:
    server = Scram(b"server", {}, plus=False)
    one = ScramClient(user, password, b"client")
    step = server.first(one.first)
    assert isinstance(step, SecretWanted) and step.login == user
    verifier = scram_verifier(password if right else b"another", b"salt", 4096)
    step = server.told(Found(LoginSecret(ALICE, verifier=verifier), verifier))
    assert isinstance(step, Challenge)
    wanted = one.challenged(step.octets)
    step = server.next(one.final(scram_keys(wanted.password, wanted.salt, wanted.iterations)))
    if right:
        assert isinstance(step, Challenge) and one.is_proven(step.octets)
        step = server.next(b"")
    assert isinstance(step, ProofOffer) and step.proof.holds() is right


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=%b,s=c2FsdA==,i=4096" % NONCE,
        b"r=another,s=c2FsdA==,i=4096",
        b"m=x," + FIRST,
        b"r=%bx,s=c2FsdA==,i=0" % NONCE,
        b"r=%bx,s=c2FsdA==,i=-1" % NONCE,
        b"r=%bx,s=c2FsdA==,i=%d" % (NONCE, MAX_ITERATIONS + 1),
        b"r=%bx,s=c2FsdA==,i=9999999999" % NONCE,
        b"r=%bx,s=c2FsdA,i=4096" % NONCE,
        b"r=%bx,i=4096" % NONCE,
        FIRST + b"\n",
        FIRST + b",no",
    ],
)
def test_what_is_no_challenge_is_refused(message: bytes) -> None:
    with pytest.raises(ScramRefused) as refused:
        client().challenged(message)
    assert "pencil" not in str(refused.value)


def test_S18_a_server_that_does_not_know_the_password_proves_nothing() -> None:
    assert not proven().is_proven(b"v=" + base64.b64encode(bytes(32)))
    assert not proven().is_proven(b"v=AAAA")
    for message in (b"", b"e=other-error", b"v=", b"v=A", b"6rriTRBi23WpRR"):
        with pytest.raises(ScramRefused):
            proven().is_proven(message)


def test_names_are_written_so_that_commas_end_nothing() -> None:
    for name in ("a,b=c", "=2C", "plain", "j\u00fcrgen"):
        assert b"," not in as_saslname(name)
        assert from_saslname(as_saslname(name)) == name
    assert from_saslname(b"a=b") is None and from_saslname(b"\xff") is None
