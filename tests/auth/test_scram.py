"""SCRAM-SHA-256 and -PLUS: the RFC's own example, channel binding, downgrades, and bad clients."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from gateway.auth.sasl import (
    IMPOSSIBLE,
    Challenge,
    Exchange,
    Found,
    ProofOffer,
    SecretWanted,
    Step,
)
from gateway.auth.sasl_scram import Scram
from gateway.core.login_secret import LoginSecret, SecretKind, scram_verifier
from tests.auth.worlds import (
    ALICE,
    CHANNEL,
    FULL,
    SECRET,
    FakeChannel,
    ScramClient,
    coded,
    exchange,
    found,
)

PLUS, BARE = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"


def test_the_example_of_rfc_7677_section_3() -> None:
    salt = base64.b64decode(b"W22ZaJ0SNY7soEsUEjb6gQ==")
    nonce = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    scram = Scram(nonce, {}, plus=False)
    assert scram.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == SecretWanted(
        "user", SecretKind.SCRAM
    )
    verifier = scram_verifier(b"pencil", salt, 4096)
    step = scram.told(Found(LoginSecret(ALICE, verifier=verifier), verifier))
    assert step == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    step = scram.next(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert step == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    offer = scram.next(b"")
    assert isinstance(offer, ProofOffer)
    assert (offer.login, offer.account, offer.proof.holds()) == ("user", ALICE, True)


def talk(
    client: ScramClient, mechanism: str = BARE, channel: FakeChannel | None = CHANNEL
) -> tuple[Exchange, Step]:
    """As far as the answer to the client's proof, or as it comes."""
    one = exchange(mechanism, FULL, channel)
    step = one.start(coded(client.first))
    if not isinstance(step, SecretWanted):
        return one, step
    step = one.told(found(step.login))
    assert isinstance(step, Challenge)
    return one, one.respond(coded(client.final(step.octets)))


def accepted(client: ScramClient, mechanism: str = BARE, **more: FakeChannel | None) -> bool:
    one, step = talk(client, mechanism, **more)
    if not isinstance(step, Challenge):
        assert step == IMPOSSIBLE or (isinstance(step, ProofOffer) and not good(step))
        return False
    assert step.octets == client.server_signature
    offer = one.respond(b"")
    assert isinstance(offer, ProofOffer)
    return good(offer)


def good(offer: ProofOffer) -> bool:
    return offer.account is not None and offer.proof.holds()


def test_a_person_who_knows_the_password() -> None:
    assert accepted(ScramClient())


@pytest.mark.parametrize("name", ["tls-exporter", "tls-server-end-point"])
def test_bound_to_the_channel(name: str) -> None:
    header = b"p=%b,," % name.encode()
    assert accepted(ScramClient(header=header, binding=CHANNEL.data[name]), PLUS)
    # Somebody in between has another TLS connection to us than the client has to them.
    assert not accepted(ScramClient(header=header, binding=b"x" * 32), PLUS)


def test_A3_wrong_password_unknown_person_and_a_stolen_name() -> None:
    assert not accepted(ScramClient(password=b"wrong"))
    # The right proof for a verifier that is nobody's.
    assert not accepted(ScramClient(name="nobody"))


def test_A6_somebody_disabled_hears_the_same_as_for_a_wrong_password() -> None:
    client = ScramClient()
    one = exchange(BARE)
    one.start(coded(client.first))
    disabled = LoginSecret(replace(ALICE, enabled=False), password=b"wonderland")
    challenge = one.told(Found(disabled, found("alice").verifier))
    assert isinstance(challenge, Challenge)
    offer = one.respond(coded(client.final(challenge.octets)))
    assert isinstance(offer, ProofOffer) and offer.account == disabled.account


@pytest.mark.parametrize(
    ("mechanism", "header"),
    [
        (BARE, b"y,,"),  # we have offered -PLUS, and the client has not seen it
        (BARE, b"p=tls-exporter,,"),
        (PLUS, b"n,,"),
        (PLUS, b"y,,"),
        (PLUS, b"p=tls-unique,,"),  # not on this connection
        (PLUS, b"p=no-such,,"),
        (BARE, b"n,a=bob,"),
        (BARE, b"n,a=ALICE,"),
        (BARE, b"n,b=alice,"),
        (BARE, b"n,m=ext,"),
        (BARE, b"x,,"),
        (BARE, b",,"),
        (BARE, b"n,a=,"),
        (BARE, b"n,a=al=ice,"),
    ],
)
def test_downgrades_and_other_peoples_names_are_refused(mechanism: str, header: bytes) -> None:
    binding = CHANNEL.data["tls-exporter"] if header.startswith(b"p") else b""
    assert not accepted(ScramClient(header=header, binding=binding), mechanism)


def test_a_client_may_say_that_we_offered_no_binding_when_we_did_not() -> None:
    assert accepted(ScramClient(header=b"y,,"), BARE, channel=FakeChannel(bound=False))
    assert accepted(ScramClient(header=b"n,a=alice,"))


def test_a_binding_in_the_last_message_must_be_that_of_the_first() -> None:
    client = ScramClient()
    one = exchange(BARE)
    step = one.start(coded(client.first))
    assert isinstance(step, SecretWanted)
    challenge = one.told(found("alice"))
    assert isinstance(challenge, Challenge)
    client.header = b"y,,"
    assert one.respond(coded(client.final(challenge.octets))) == IMPOSSIBLE


@pytest.mark.parametrize(
    "change",
    [
        lambda final: final.replace(b"r=client-nonce", b"r=client-nonc3"),
        lambda final: final + b"x",
        lambda final: final.rpartition(b",p=")[0],
        lambda final: final.replace(b"c=", b"c=="),
        lambda final: final.rpartition(b",p=")[0] + b",p=AAAA",
        lambda final: b"",
        lambda final: final + b"\0",
    ],
)
def test_A2_last_messages_that_are_none(change: object) -> None:
    client = ScramClient()
    one = exchange(BARE)
    one.start(coded(client.first))
    challenge = one.told(found("alice"))
    assert isinstance(challenge, Challenge) and callable(change)
    step = one.respond(coded(change(client.final(challenge.octets))))
    assert step == IMPOSSIBLE or (isinstance(step, ProofOffer) and not step.proof.holds())


def test_nothing_follows_our_signature() -> None:
    one, step = talk(ScramClient())
    assert isinstance(step, Challenge)
    assert one.respond(coded(b"more")) == IMPOSSIBLE


@pytest.mark.parametrize(
    ("message", "login"),
    [
        (b"n,,n=a=2Cb=3Dc,r=x", "a,b=c"),
        (b"n,,n=alice,r=x,e=extension", "alice"),
        ("n,,n=j\u00fcrgen,r=x".encode(), "j\u00fcrgen"),
        (b"n,,n=a=2cb,r=x", None),
        (b"n,,n=a=b,r=x", None),
        (b"n,,m=must,n=alice,r=x", None),
        (b"n,,n=,r=x", None),
        (b"n,,n=alice,r=", None),
        (b"n,,n=alice,r=x y", None),
        (b"n,,n=al\0ice,r=x", None),
        (b"n,,r=x,n=alice", None),
        (b"n,,n=alice,r=" + b"x" * 513, None),
        (b"n,,n=alice", None),
    ],
)
def test_names_and_nonces(message: bytes, login: str | None) -> None:
    step = exchange(BARE).start(coded(message))
    assert step == (SecretWanted(login, SecretKind.SCRAM) if login is not None else IMPOSSIBLE)


def test_every_exchange_has_a_nonce_of_its_own() -> None:
    challenges = set()
    for _ in range(50):
        one = exchange(BARE)
        one.start(coded(ScramClient().first))
        step = one.told(Found(SECRET, found("alice").verifier))
        assert isinstance(step, Challenge)
        challenges.add(step.octets)
    assert len(challenges) == 50


def test_A9_keys_and_proofs_are_in_no_repr() -> None:
    one, _ = talk(ScramClient())
    offer = one.respond(b"")
    assert isinstance(offer, ProofOffer)
    verifier = found("alice").verifier
    assert verifier is not None and "key" not in repr(verifier)
    assert "wonderland" not in repr(SECRET) + repr(offer)
