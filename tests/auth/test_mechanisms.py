"""Which mechanisms are offered where, and the small ones: CRAM-MD5, tokens, EXTERNAL."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace

import pytest

from gateway.auth.mechanisms import MECHANISMS, NAMES, Means, offered
from gateway.auth.sasl import (
    IMPOSSIBLE,
    CertificateOffer,
    Challenge,
    Found,
    ProofOffer,
    SaslMalformed,
    SecretWanted,
    TokenOffer,
)
from gateway.auth.sasl_cram import CramMd5, CramProof
from gateway.core.login_secret import LoginSecret, SecretKind
from tests.auth.worlds import (
    ALICE,
    CERTIFICATE,
    CHANNEL,
    FULL,
    FakeChannel,
    FakeSecrets,
    begun,
    coded,
    exchange,
)

PLAIN_ONES = ("PLAIN", "LOGIN")


def test_everything_is_offered_where_everything_can_work() -> None:
    assert offered(FULL, CHANNEL, over_tls=True) == NAMES
    assert len(set(NAMES)) == len(MECHANISMS) == 8
    assert all(row.rfc for row in MECHANISMS)


def test_passwords_alone_by_default() -> None:
    assert offered(Means(), CHANNEL, over_tls=True) == PLAIN_ONES
    assert offered(Means(), None, over_tls=False) == PLAIN_ONES


def test_A1_nothing_that_needs_tls_without_it() -> None:
    assert set(NAMES) - set(offered(FULL, None, over_tls=False)) == {
        "SCRAM-SHA-256-PLUS",
        "EXTERNAL",
        "OAUTHBEARER",
        "XOAUTH2",
    }


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ((SecretKind.SCRAM,), {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}),
        ((SecretKind.PASSWORD,), {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5"}),
    ],
)
def test_what_the_directory_can_tell_decides(
    kinds: tuple[SecretKind, ...], names: set[str]
) -> None:
    means = Means(secrets=FakeSecrets(*kinds))
    assert set(offered(means, CHANNEL, over_tls=True)) == {*PLAIN_ONES, *names}
    nothing = FakeSecrets()
    nothing.known = nothing.common = frozenset()
    assert offered(Means(secrets=nothing), CHANNEL, over_tls=True) == PLAIN_ONES


def test_what_only_some_people_could_use_has_to_be_named() -> None:
    """Or the mail programs of the others would choose it and fail."""
    some = FakeSecrets()
    some.common = frozenset()
    assert offered(Means(secrets=some), CHANNEL, over_tls=True) == PLAIN_ONES
    named = Means(secrets=some, allowed=frozenset({"PLAIN", "SCRAM-SHA-256", "CRAM-MD5"}))
    assert offered(named, CHANNEL, over_tls=True) == ("SCRAM-SHA-256", "PLAIN", "CRAM-MD5")
    some.common = frozenset({SecretKind.SCRAM})
    with_plus = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", *PLAIN_ONES)
    assert offered(Means(secrets=some), CHANNEL, over_tls=True) == with_plus


def test_binding_and_certificate_are_the_connections() -> None:
    names = offered(FULL, FakeChannel(shown=False, bound=False), over_tls=True)
    assert set(NAMES) - set(names) == {"SCRAM-SHA-256-PLUS", "EXTERNAL"}
    without = replace(FULL, certificates=False)
    assert "EXTERNAL" not in offered(without, CHANNEL, over_tls=True)


def test_the_administrator_may_want_fewer() -> None:
    means = replace(FULL, allowed=frozenset({"PLAIN", "SCRAM-SHA-256"}))
    assert offered(means, CHANNEL, over_tls=True) == ("SCRAM-SHA-256", "PLAIN")
    # A client that says "you do not offer -PLUS" is right then.
    one = exchange("SCRAM-SHA-256", means)
    assert isinstance(one.start(coded(b"y,,n=alice,r=x")), SecretWanted)


# -- CRAM-MD5


def test_the_example_of_rfc_2195() -> None:
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    digest = b"b913a602c7eda7a495b4e6e7334d3890"
    assert CramProof(b"tanstaaftanstaaf", challenge, digest).holds()
    assert not CramProof(b"tanstaaftanstaa", challenge, digest).holds()


def cram(login: bytes, password: bytes, found: Found) -> ProofOffer:
    one = CramMd5(b"nonce", "mail.example.test")
    challenge = one.first(None)
    assert challenge == Challenge(b"<nonce@mail.example.test>")
    digest = hmac.new(password, b"<nonce@mail.example.test>", "md5").hexdigest().encode()
    assert one.next(login + b" " + digest) == SecretWanted(login.decode(), SecretKind.PASSWORD)
    offer = one.told(found)
    assert isinstance(offer, ProofOffer)
    return offer


def test_cram_md5() -> None:
    secret = LoginSecret(ALICE, password=b"wonderland")
    offer = cram(b"alice", b"wonderland", Found(secret))
    assert offer.proof.holds() and offer.account == ALICE
    assert not cram(b"alice", b"wrong", Found(secret)).proof.holds()
    # RFC 2195 has the name in front of the last blank.
    assert cram(b"alice l", b"wonderland", Found(secret)).login == "alice l"


def test_A6_cram_md5_for_people_without_a_password_of_that_kind() -> None:
    for found in (Found(None), Found(LoginSecret(ALICE))):
        # Not even who computes with no password at all gets in.
        assert cram(b"alice", b"", found).account is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"alice",
        b"alice " + b"0" * 31,
        b"alice " + b"A" * 32,
        b"alice " + b"0" * 33,
        b" " + b"0" * 32,
        b"al\0ice " + b"0" * 32,
        b"\xff " + b"0" * 32,
        b"0" * 32,
    ],
)
def test_A3_cram_md5_answers_that_are_none(answer: bytes) -> None:
    assert begun("CRAM-MD5").respond(coded(answer)) == IMPOSSIBLE


def test_A2_cram_md5_has_no_initial_response() -> None:
    for initial in (b"=", coded(b"alice")):
        with pytest.raises(SaslMalformed):
            exchange("CRAM-MD5").start(initial)


# -- tokens


def bearer(message: bytes) -> object:
    return exchange("OAUTHBEARER").start(coded(message))


def test_the_example_of_rfc_7628_section_4_1() -> None:
    token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    message = (
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    assert bearer(message) == TokenOffer("user@example.com", token)


@pytest.mark.parametrize(
    ("message", "offer"),
    [
        (b"n,,\x01auth=bearer a.b.c\x01\x01", TokenOffer("", "a.b.c")),
        (b"y,a=a=2Cb,\x01auth=Bearer x\x01\x01", TokenOffer("a,b", "x")),
        (b"p=tls-exporter,,\x01auth=Bearer x\x01\x01", IMPOSSIBLE),
        (b"n,,\x01auth=Bearer x\x01", IMPOSSIBLE),
        (b"n,,\x01auth=Basic x\x01\x01", IMPOSSIBLE),
        (b"n,,\x01auth=Bearer \x01\x01", IMPOSSIBLE),
        (b"n,,\x01auth=Bearer x y\x01\x01", IMPOSSIBLE),
        (b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", IMPOSSIBLE),
        (b"n,,\x01Auth=Bearer x\x01auth=Bearer y\x01\x01", IMPOSSIBLE),
        (b"n,,\x01auth=Bearer x\0\x01\x01", IMPOSSIBLE),
        (b"n,a=a=b,\x01auth=Bearer x\x01\x01", IMPOSSIBLE),
        (b"n,,\x01\x01", IMPOSSIBLE),  # RFC 7628 section 4.3: a client that asks what is needed
        (b"\xff,,\x01auth=Bearer x\x01\x01", IMPOSSIBLE),
    ],
)
def test_A3_oauthbearer_messages(message: bytes, offer: object) -> None:
    assert bearer(message) == offer


@pytest.mark.parametrize(
    ("message", "offer"),
    [
        (b"user=a@b\x01auth=Bearer t\x01\x01", TokenOffer("a@b", "t")),
        (b"user=\x01auth=Bearer t\x01\x01", IMPOSSIBLE),
        (b"auth=Bearer t\x01\x01", IMPOSSIBLE),
        (b"user=a\x01user=b\x01auth=Bearer t\x01\x01", IMPOSSIBLE),
        (b"user=a\x01auth=Bearer t\x01", IMPOSSIBLE),
        (b"user=a\0b\x01auth=Bearer t\x01\x01", IMPOSSIBLE),
    ],
)
def test_A3_xoauth2_messages(message: bytes, offer: object) -> None:
    assert exchange("XOAUTH2").start(coded(message)) == offer


def test_a_refused_token_is_explained_in_json() -> None:
    challenge = exchange("OAUTHBEARER").refused()
    assert challenge is not None
    assert json.loads(challenge.octets) == {
        "status": "invalid_token",
        "openid-configuration": "https://issuer.test/.well-known/openid-configuration",
    }
    bare = exchange("OAUTHBEARER", replace(FULL, discovery="")).refused()
    assert bare is not None and json.loads(bare.octets) == {"status": "invalid_token"}
    old = exchange("XOAUTH2").refused()
    assert old is not None and json.loads(old.octets)["status"] == "401"
    for name in set(NAMES) - {"OAUTHBEARER", "XOAUTH2"}:
        assert exchange(name).refused() is None


def test_A9_a_token_is_in_no_repr() -> None:
    assert "s3cret" not in repr(TokenOffer("a", "s3cret"))


# -- EXTERNAL


def test_external() -> None:
    assert exchange("EXTERNAL").start(b"=") == CertificateOffer("", CERTIFICATE)
    assert exchange("EXTERNAL").start(coded(b"alice")) == CertificateOffer("alice", CERTIFICATE)
    assert begun("EXTERNAL").respond(b"") == CertificateOffer("", CERTIFICATE)
    for wrong in (b"a\0b", b"\xff"):
        assert exchange("EXTERNAL").start(coded(wrong)) == IMPOSSIBLE
