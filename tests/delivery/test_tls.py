"""Real TLS in memory: whose certificate is believed, for which name, and what is told of it."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from gateway.delivery.targets import Protection, TlsDemand
from gateway.delivery.tls import ClientTls
from tests.support.authority import new_authority
from tests.support.tls_talk import Server, meet, talk, trusting

CA, STRANGER = new_authority(), new_authority("Nobody knows")
SERVER = Server(CA.issue("mx.example.test", "*.wild.test", "192.0.2.1"))
OUTDATED = Server(CA.issue("mx.example.test", expired=True))
FOREIGN = Server(STRANGER.issue("mx.example.test"))
VERIFIED = TlsDemand(Protection.VERIFIED)
TESTED = TlsDemand(Protection.VERIFIED, testing=True)


@pytest.mark.parametrize("host", ["mx.example.test", "one.wild.test", "192.0.2.1"])
def test_a_trusted_certificate_for_the_name_is_believed(host: str) -> None:
    result, talked = meet(trusting(CA), SERVER, VERIFIED, host)
    assert talked and result.proven and not result.failure
    assert (result.protocol, bool(result.cipher)) == ("TLSv1.3", True)


@pytest.mark.parametrize(
    "server, host, failure, words",
    [
        (SERVER, "other.test", "certificate-host-mismatch", "not for other.test"),
        (SERVER, "two.labels.wild.test", "certificate-host-mismatch", "not for"),
        (SERVER, "192.0.2.2", "certificate-host-mismatch", "not for 192.0.2.2"),
        (SERVER, "a_b.example", "certificate-host-mismatch", "not for a_b.example"),
        (FOREIGN, "mx.example.test", "certificate-not-trusted", "issuer"),
        (OUTDATED, "mx.example.test", "certificate-expired", "expired"),
    ],
    ids=["name", "two labels for one", "address", "no host name", "authority", "expired"],
)
@pytest.mark.parametrize("testing", [False, True])
def test_anything_else_is_refused_before_a_word_is_said_unless_it_is_only_tested(
    server: Server, host: str, failure: str, words: str, testing: bool
) -> None:
    result, talked = meet(trusting(CA), server, TESTED if testing else VERIFIED, host)
    assert talked is testing
    assert (result.failure, result.proven) == (failure, False)
    assert words in result.reason


def test_the_systems_authorities_do_not_know_a_stranger() -> None:
    assert meet(ClientTls(), SERVER, VERIFIED)[1] is False


def test_one_of_several_names_is_enough() -> None:
    demand = TlsDemand(Protection.VERIFIED, names=("example.test", "mx.example.test"))
    assert meet(trusting(CA), SERVER, demand, "elsewhere.test")[0].proven


@pytest.mark.parametrize("level", [Protection.OPPORTUNISTIC, Protection.REQUIRED, Protection.DANE])
@pytest.mark.parametrize("host", ["any.example.test", "192.0.2.77", "2001:db8::1"])
def test_tls_that_need_not_prove_anything_encrypts_with_anybody(
    level: Protection, host: str
) -> None:
    # DANE without a usable record is no more than that (RFC 7672 section 2.2).
    result, talked = meet(trusting(CA), OUTDATED, TlsDemand(level), host)
    assert talked and result.protocol and not result.failure


def test_the_server_hears_the_hosts_name_and_never_an_address() -> None:
    server = Server(CA.issue("mx.example.test"))
    for host in ("mx.example.test", "192.0.2.1"):
        meet(trusting(CA), server, TlsDemand(), host)
    # Without the extension OpenSSL asks nobody.
    assert [name for name in server.asked if name] == [b"mx.example.test"]


def test_an_old_protocol_is_no_handshake() -> None:
    old = Server(CA.issue("mx.example.test"), newest=SSL.TLS1_1_VERSION)
    result, talked = meet(trusting(CA), old, TlsDemand())
    assert not talked and result.failure == "validation-failure" and "version" in result.reason


def test_contexts_are_made_once_for_all_connections() -> None:
    tls = trusting(CA)
    shaken = [tls.handshake(f"mx{n}.example.test", VERIFIED) for n in range(3)]
    connections = [each.clientConnectionForTLS(None) for each in shaken]
    assert len({id(each.get_context()) for each in connections}) == 1


def test_a_peer_cannot_agree_on_something_else_later() -> None:
    server = Server(CA.issue("mx.example.test"), newest=SSL.TLS1_2_VERSION)
    handshake = trusting(CA).handshake("mx.example.test", VERIFIED)
    client, other = talk((handshake, server))
    assert client.shaken and other.heard == b"hello"
    assert handshake.result().protocol == "TLSv1.2"
    connection = handshake.clientConnectionForTLS(None)
    assert connection.set_options(0) & SSL.OP_NO_RENEGOTIATION
