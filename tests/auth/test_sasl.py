"""The envelope of every exchange, PLAIN and LOGIN, as a hostile client drives them (A2, A3)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.mechanisms import NAMES, Means
from gateway.auth.sasl import (
    IMPOSSIBLE,
    MAX_LINE_OCTETS,
    Challenge,
    Exchange,
    PasswordOffer,
    SaslCancelled,
    SaslMalformed,
    SaslUnknownMechanism,
    SecretWanted,
)
from tests.auth.worlds import FULL, begun, coded, exchange

PLAIN = coded(b"\0alice\0wonderland")
ALICE = PasswordOffer("alice", b"wonderland")
CLIENT_FIRST = [name for name in NAMES if name not in ("LOGIN", "CRAM-MD5")]


def test_plain_with_an_initial_response() -> None:
    assert exchange("PLAIN").start(PLAIN) == ALICE


def test_plain_without_an_initial_response() -> None:
    plain = exchange("plain")
    assert plain.start(None) == Challenge(b"")
    assert plain.respond(PLAIN) == ALICE


def test_login_asks_twice() -> None:
    login = exchange("LOGIN")
    assert login.start(None) == Challenge(b"Username:")
    assert login.respond(coded(b"alice")) == Challenge(b"Password:")
    assert login.respond(coded(b"wonderland")) == ALICE


def test_login_with_the_user_name_as_initial_response() -> None:
    login = exchange("login")
    assert login.start(coded(b"alice")) == Challenge(b"Password:")
    assert login.respond(coded(b"wonderland")) == ALICE


@pytest.mark.parametrize("mechanism", ["", "DIGEST-MD5", "PLAIN ", "PLAIN\0", "NTLM", "pläin"])
def test_A2_unknown_mechanisms(mechanism: str) -> None:
    with pytest.raises(SaslUnknownMechanism):
        exchange(mechanism)


def test_what_cannot_work_is_unknown() -> None:
    for name in NAMES:
        if name in ("PLAIN", "LOGIN"):
            continue
        with pytest.raises(SaslUnknownMechanism):
            exchange(name, Means())


@pytest.mark.parametrize("mechanism", NAMES)
def test_A2_cancelled(mechanism: str) -> None:
    with pytest.raises(SaslCancelled):
        begun(mechanism).respond(b"*")


def test_A2_login_cancelled_at_the_password() -> None:
    login = begun("LOGIN")
    login.respond(coded(b"alice"))
    with pytest.raises(SaslCancelled):
        login.respond(b"*")


BAD_BASE64 = [
    b"!",
    b"A",
    b"AA",
    b"AAA",
    b"AAAA=",
    b"=AAA",
    b"==",
    b"A===",
    b" " + PLAIN,
    PLAIN + b" ",
    PLAIN[:4] + b" " + PLAIN[4:],
    PLAIN[:4] + b"\n" + PLAIN[4:],
    PLAIN + b"\r",
    PLAIN + b"\0",
    PLAIN + PLAIN,  # padding in the middle
    PLAIN.rstrip(b"="),
    b"AGFsaWNlAHdvbmRlcmxhbmR=",  # stray bits behind the last octet
    b"_-==",
    b"\xff\xff\xff\xff",
]


@pytest.mark.parametrize("line", BAD_BASE64)
@pytest.mark.parametrize("mechanism", NAMES)
def test_A2_bad_base64(mechanism: str, line: bytes) -> None:
    with pytest.raises(SaslMalformed) as first:
        exchange(mechanism).start(line)
    with pytest.raises(SaslMalformed) as second:
        begun(mechanism).respond(line)
    for error in (first.value, second.value):
        assert "AGFs" not in str(error)


@pytest.mark.parametrize("mechanism", NAMES)
def test_A2_an_over_long_line(mechanism: str) -> None:
    with pytest.raises(SaslMalformed):
        begun(mechanism).respond(coded(b"\0a\0" + b"x" * 9_300))


def test_A2_the_longest_line() -> None:
    fits = coded(b"\0a\0" + b"x" * 9_000)
    assert len(fits) <= MAX_LINE_OCTETS
    assert exchange("PLAIN").start(fits) == PasswordOffer("a", b"x" * 9_000)


def test_A2_an_empty_initial_response() -> None:
    assert exchange("PLAIN").start(b"=") == IMPOSSIBLE
    assert exchange("LOGIN").start(b"=") == Challenge(b"Password:")
    # Only an initial response is written as "="; later an empty line is empty.
    with pytest.raises(SaslMalformed):
        begun("PLAIN").respond(b"=")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"alice",
        b"alice\0wonderland",
        b"\0alice\0wonder\0land",
        b"\0\0alice\0wonderland",
        b"\0alice\0wonderland\0",
        b"\0\0wonderland",
        b"\0alice\0",
        b"\0\0",
        b"bob\0alice\0wonderland",
        b"ALICE\0alice\0wonderland",
        b" \0alice\0wonderland",
        b"\0\xff\xfe\0wonderland",
        b"\0\xc0\xafalice\0wonderland",
        b"\0\xed\xa0\x80\0wonderland",
    ],
)
def test_A3_messages_that_are_no_login(message: bytes) -> None:
    assert exchange("PLAIN").start(coded(message)) == IMPOSSIBLE


@pytest.mark.parametrize("mechanism", CLIENT_FIRST)
@pytest.mark.parametrize(
    "message",
    [b"\0", b"\0\0\0", b"\xff\xfe", b"n,,n=a\xff,r=b", b"n,,", b"user=\xff\x01\x01", b"\x01" * 90],
)
def test_A3_what_is_no_login_for_any_mechanism(mechanism: str, message: bytes) -> None:
    step = exchange(mechanism).start(coded(message))
    if mechanism == "EXTERNAL" and step != IMPOSSIBLE:
        assert message in (b"n,,", b"\x01" * 90)  # a name all the same; it is nobody's
    else:
        assert step == IMPOSSIBLE


def test_A3_the_own_name_as_authorization_identity() -> None:
    assert exchange("PLAIN").start(coded(b"alice\0alice\0wonderland")) == ALICE


def test_A3_a_password_may_be_any_octets_but_nul() -> None:
    offer = exchange("PLAIN").start(coded(b"\0alice\0p\xe4ss w\xf6rd\r\n"))
    assert offer == PasswordOffer("alice", b"p\xe4ss w\xf6rd\r\n")


@pytest.mark.parametrize(
    ("username", "password"),
    [(b"", b"x"), (b"a", b""), (b"a\0b", b"x"), (b"a", b"x\0y"), (b"\xff", b"x")],
)
def test_A3_login_with_impossible_parts(username: bytes, password: bytes) -> None:
    login = begun("LOGIN")
    assert isinstance(login.respond(coded(username)), Challenge)
    assert login.respond(coded(password)) == IMPOSSIBLE


def test_A9_the_password_is_in_no_repr() -> None:
    assert "wonderland" not in repr(ALICE)


@given(st.sampled_from(NAMES), st.lists(st.binary(max_size=40), max_size=3))
def test_any_octets_end_in_an_offer_or_an_error(mechanism: str, lines: list[bytes]) -> None:
    one: Exchange = exchange(mechanism, FULL)
    step = one.start(None)
    for line in lines:
        if not isinstance(step, Challenge):
            assert not isinstance(step, SecretWanted) or mechanism[:4] in ("SCRA", "CRAM")
            break
        try:
            step = one.respond(line)
        except (SaslMalformed, SaslCancelled):
            break


@given(st.binary(min_size=1, max_size=80))
def test_only_canonical_base64_is_taken(octets: bytes) -> None:
    """Every other spelling of the same octets is refused, so that nothing depends on it."""
    password = octets.replace(b"\0", b"0")
    text = coded(b"\0u\0" + password)
    assert exchange("PLAIN").start(text) == PasswordOffer("u", password)
    for other in (text + b"=", text.rstrip(b"=") + b"\n" * text.count(b"="), text + b"\r\n"):
        if other != text:
            with pytest.raises(SaslMalformed):
                exchange("PLAIN").start(other)


def test_a_challenge_is_sent_in_base64() -> None:
    assert Challenge(b"Username:").line == base64.b64encode(b"Username:")
