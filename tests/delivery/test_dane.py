"""DANE over real handshakes in memory: which certificate a TLSA record lets pass (RFC 7672)."""

from __future__ import annotations

from hashlib import sha256, sha512

import pytest

from gateway.delivery.dane import usable
from gateway.delivery.targets import Protection, Tlsa, TlsDemand
from tests.support.authority import new_authority
from tests.support.tls_talk import Server, key_of, meet, trusting, whole

HOST = "mx.example.test"
CA, OTHER_CA = new_authority("CA"), new_authority("Another")
SHOWN = CA.issue(HOST)
SERVER = Server(SHOWN, CA.certificate)
WRONG_NAME = Server(CA.issue("other.test"), CA.certificate)
OUTDATED = Server(CA.issue(HOST, expired=True), CA.certificate)
UNSIGNED = Server(OTHER_CA.issue(HOST), CA.certificate)
TLS = trusting(OTHER_CA)


def tlsa(usage: int, selector: int, matching: int, server: Server, *, anchor: bool = False) -> Tlsa:
    certificate = CA.certificate if anchor else server.certificate
    data = key_of(certificate) if selector else whole(certificate)
    digest = {0: lambda octets: octets, 1: _sha256, 2: _sha512}[matching]
    return Tlsa(usage, selector, matching, digest(data))


def _sha256(octets: bytes) -> bytes:
    return sha256(octets).digest()


def _sha512(octets: bytes) -> bytes:
    return sha512(octets).digest()


def demand(*records: Tlsa, names: tuple[str, ...] = (HOST,), testing: bool = False) -> TlsDemand:
    return TlsDemand(Protection.DANE, names, records, "tlsa", "example.test", testing)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_dane_ee_binds_the_servers_own_certificate_or_key(selector: int, matching: int) -> None:
    result, talked = meet(TLS, SERVER, demand(tlsa(3, selector, matching, SERVER)))
    assert talked and result.proven and result.protocol


@pytest.mark.parametrize("server", [WRONG_NAME, OUTDATED], ids=["name", "expired"])
def test_dane_ee_asks_neither_for_the_name_nor_for_the_date(server: Server) -> None:
    assert meet(TLS, server, demand(tlsa(3, 1, 1, server)))[0].proven


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_dane_ta_binds_a_certificate_above_it(selector: int, matching: int) -> None:
    record = tlsa(2, selector, matching, SERVER, anchor=True)
    assert meet(TLS, SERVER, demand(record))[0].proven


def test_a_whole_trust_anchor_need_not_be_sent() -> None:
    alone = Server(SHOWN)
    assert meet(TLS, alone, demand(tlsa(2, 0, 0, alone, anchor=True)))[0].proven
    assert not meet(TLS, alone, demand(tlsa(2, 0, 1, alone, anchor=True)))[0].proven


@pytest.mark.parametrize(
    "server, failure",
    [
        (WRONG_NAME, "certificate-host-mismatch"),
        (OUTDATED, "certificate-expired"),
        (UNSIGNED, "certificate-not-trusted"),
    ],
    ids=["name", "expired", "not signed by it"],
)
def test_dane_ta_asks_for_the_name_the_date_and_the_signature(server: Server, failure: str) -> None:
    result, talked = meet(TLS, server, demand(tlsa(2, 1, 1, server, anchor=True)))
    assert (talked, result.failure) == (False, failure)


def test_dane_ta_takes_the_next_hops_name_too() -> None:
    record = tlsa(2, 1, 1, WRONG_NAME, anchor=True)
    assert meet(TLS, WRONG_NAME, demand(record, names=(HOST, "other.test")))[0].proven


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(3, 1, 1, b"\0" * 32),
        tlsa(2, 1, 1, SERVER),  # the server's own certificate is no anchor
        tlsa(3, 1, 1, SERVER, anchor=True),  # the authority's is not the server's
        tlsa(3, 0, 1, SERVER, anchor=True),
        Tlsa(2, 0, 0, b"no certificate"),
    ],
)
@pytest.mark.parametrize("testing", [False, True])
def test_what_no_record_names_is_refused_before_a_word_is_said(record: Tlsa, testing: bool) -> None:
    result, talked = meet(TLS, SERVER, demand(record, testing=testing))
    assert (talked, result.failure) == (testing, "validation-failure")
    assert "TLSA" in result.reason


def test_one_fitting_record_among_others_is_enough() -> None:
    records = (Tlsa(3, 1, 1, b"\0" * 32), tlsa(2, 1, 1, SERVER, anchor=True))
    assert meet(TLS, SERVER, demand(*records))[0].proven


def test_authorities_have_no_say_under_dane() -> None:
    server = Server(OTHER_CA.issue(HOST), OTHER_CA.certificate)
    assert not meet(TLS, server, demand(Tlsa(3, 1, 1, b"\1" * 32)))[0].proven


def test_the_server_hears_the_base_domain() -> None:
    server = Server(SHOWN)
    meet(TLS, server, demand(tlsa(3, 1, 1, server), names=("base.example", HOST)))
    assert b"base.example" in server.asked


@pytest.mark.parametrize(
    "record, good",
    [
        (Tlsa(3, 1, 1, b"x" * 32), True),
        (Tlsa(2, 0, 2, b"x" * 64), True),
        (Tlsa(2, 0, 0, b"x"), True),
        (Tlsa(0, 0, 1, b"x" * 32), False),
        (Tlsa(1, 1, 1, b"x" * 32), False),
        (Tlsa(4, 1, 1, b"x" * 32), False),
        (Tlsa(255, 1, 1, b"x" * 32), False),
        (Tlsa(3, 2, 1, b"x" * 32), False),
        (Tlsa(3, 1, 3, b"x" * 32), False),
        (Tlsa(3, 1, 1, b"x" * 31), False),
        (Tlsa(3, 1, 2, b"x" * 32), False),
        (Tlsa(3, 1, 0, b""), False),
    ],
)
def test_records_that_can_prove_something_to_mail(record: Tlsa, good: bool) -> None:
    assert usable(record) is good
