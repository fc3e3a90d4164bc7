"""Opening connections on real sockets: TLS that is proven, or nothing is said."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import CancelledError

from gateway.directory.ldap.asking import BindAnswer, LdapFailed
from gateway.directory.ldap.opening import Limits, Opened, Opener, Place, Security, TlsFailed
from gateway.directory.ldap.tls import LdapTls
from gateway.wire.ldap.messages import BindRequest, ExtendedRequest
from tests.directory.bad_server import (
    BIND_RESPONSE,
    EXTENDED,
    EXTENDED_RESPONSE,
    BadServer,
    Dialogue,
    Script,
    result,
    serve_alice,
)
from tests.directory.tls_listener import TlsListener
from tests.support.authority import DAYS_LEFT, new_authority
from tests.support.own_reactor import OwnReactor
from tests.support.slapd import READER_DN, READER_PASSWORD, Slapd

WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"  # RFC 4532
# Longer than a server on a busy machine needs.
LIMITS = Limits(connect_timeout_s=25.0, deadline_s=25.0, message_limit_octets=100_000)
READER = BindRequest(READER_DN, READER_PASSWORD.encode())


def tls_of(slapd: Slapd) -> LdapTls:
    return LdapTls(slapd.ca_file.read_bytes())


def place(port: int, security: Security, host: str = "127.0.0.1", **names: str) -> Place:
    return Place("ldap://server", host, port, security, **names)


def open_it(
    own: OwnReactor,
    where: Place,
    tls: LdapTls | None,
    limits: Limits = LIMITS,
    who: BindRequest = READER,
) -> tuple[Opened, BindAnswer]:
    opened = own.wait(Opener(own.reactor, tls).open(where, limits))
    return opened, own.wait_for(opened.dialogue.bind(who, deadline_s=limits.deadline_s))


def failure(
    own: OwnReactor, where: Place, tls: LdapTls | None, limits: Limits = LIMITS
) -> LdapFailed:
    with pytest.raises(LdapFailed) as error:
        open_it(own, where, tls, limits)
    assert READER_PASSWORD not in error.value.reason
    return error.value


# --- what works ----------------------------------------------------------------------------------


@pytest.mark.parametrize("security", Security)
def test_a_connection_is_opened_protected_and_bound(
    slapd: Slapd, own: OwnReactor, security: Security
) -> None:
    port = slapd.tls_port if security is Security.TLS else slapd.port
    opened, answer = open_it(own, place(port, security, "localhost"), tls_of(slapd))
    assert answer.result.code == 0
    who = own.wait_for(opened.dialogue.extended(ExtendedRequest(WHO_AM_I), deadline_s=25))
    assert who.value == f"dn:{READER_DN}".encode()
    opened.dialogue.close()
    if security is Security.CLEAR:
        assert opened.protection.protocol == ""
        return
    assert opened.protection.protocol == "TLSv1.3"
    shown = opened.protection.chain[0]
    assert shown.names == ("localhost", "127.0.0.1")
    assert (shown.subject, shown.issuer) == ("CN=localhost", "CN=Test CA")
    assert (shown.not_after - shown.not_before).days == 1 + DAYS_LEFT


def test_a_wrong_password_is_an_answer(slapd: Slapd, own: OwnReactor) -> None:
    wrong = BindRequest(READER_DN, b"wrong")
    opened, answer = open_it(own, place(slapd.port, Security.CLEAR), None, who=wrong)
    assert answer.result.code == 49
    opened.dialogue.close()


def test_the_expected_name_may_be_another_than_the_hosts(slapd: Slapd, own: OwnReactor) -> None:
    where = place(slapd.tls_port, Security.TLS, "127.0.0.2", server_name="localhost")
    # Nobody listens there; what matters is which name is asked for and looked for.
    assert "refused" in failure(own, where, tls_of(slapd)).reason
    there = place(slapd.tls_port, Security.TLS, server_name="localhost")
    open_it(own, there, tls_of(slapd))[0].dialogue.close()
    other = failure(own, place(slapd.tls_port, Security.TLS, server_name="dc1"), tls_of(slapd))
    assert "the certificate is not for dc1: certificate CN=localhost for localhost, 127.0.0.1" in (
        other.reason
    )


# --- certificates --------------------------------------------------------------------------------


@pytest.mark.parametrize("security", [Security.TLS, Security.START_TLS])
@pytest.mark.parametrize("own_authority", [True, False], ids=["another CA", "the system's"])
def test_L7_a_certificate_of_another_authority_is_refused(
    slapd: Slapd, own: OwnReactor, security: Security, own_authority: bool
) -> None:
    port = slapd.tls_port if security is Security.TLS else slapd.port
    tls = LdapTls(new_authority().pem if own_authority else None)
    failed = failure(own, place(port, security), tls)
    assert isinstance(failed, TlsFailed)
    # Which certificate, and whose it is: what an administrator must know after a rotation.
    assert "certificate CN=" in failed.reason
    assert "issued by CN=Test CA" in failed.reason
    assert failed.protection.problem in failed.reason
    assert "CN=localhost" in [shown.subject for shown in failed.protection.chain]


@pytest.mark.parametrize(
    ("names", "expired", "words"),
    [
        (["other.example.test"], False, "is not for {host}: certificate CN=other.example.test for"),
        (["CN=127.0.0.1"], False, "is not for {host}: certificate CN=127.0.0.1 for no name"),
        (["CN=localhost", "a.example.test"], False, "CN=localhost for a.example.test"),
        (["127.0.0.1", "localhost"], True, "the certificate has expired: certificate CN=127.0.0.1"),
    ],
    ids=["other name", "common name only", "common name beside others", "expired"],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_L7_a_certificate_for_another_name_or_time_is_refused(
    own: OwnReactor, tmp_path: Path, host: str, names: list[str], expired: bool, words: str
) -> None:
    authority = new_authority()
    certificate, key = authority.issue(*names, expired=expired)
    with TlsListener(certificate, key, tmp_path) as listener:
        failed = failure(own, place(listener.port, Security.TLS, host), LdapTls(authority.pem))
    assert words.format(host=host) in failed.reason
    assert listener.received == b""


def test_L7_a_certificate_that_cannot_be_read_is_refused(own: OwnReactor, tmp_path: Path) -> None:
    authority = new_authority()
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    # subjectAltName with a DNS name that is no ASCII.
    names = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.5.29.17"), bytes.fromhex("3004 8202 ffff")
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, False)
        .sign(authority.key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    with TlsListener(pem, private, tmp_path) as listener:
        failed = failure(own, place(listener.port, Security.TLS), LdapTls(authority.pem))
    assert isinstance(failed, TlsFailed)
    assert "certificate" in failed.reason
    assert listener.received == b""


def test_the_service_account_may_be_its_certificate(own: OwnReactor, tmp_path: Path) -> None:
    """SASL EXTERNAL (RFC 4513 section 5.2.3): no password anywhere."""
    server = Slapd(tmp_path / "slapd", "")
    mapped = f'TLSVerifyClient demand\nauthz-regexp "^cn=gateway$" "{READER_DN}"\ndatabase mdb'
    lines = server.config.read_text().replace("database mdb", mapped, 1)
    ca = f"TLSCACertificateFile {server.directory}/ca.pem"
    server.config.write_text(lines if ca in lines else f"{ca}\n{lines}")
    certificate, key = server.authority.issue("CN=gateway")
    server.start()
    try:
        tls = LdapTls(server.authority.pem, certificate=certificate, key=key)
        external = BindRequest("", mechanism="EXTERNAL", credentials=b"")
        where = place(server.tls_port, Security.TLS)
        opened, answer = open_it(own, where, tls, who=external)
        assert answer.result.code == 0
        who = own.wait_for(opened.dialogue.extended(ExtendedRequest(WHO_AM_I), deadline_s=25))
        assert who.value == f"dn:{READER_DN}".encode()
        opened.dialogue.close()
        # Without one the server refuses, which with TLS 1.3 is after our side of the handshake.
        refused = failure(own, where, LdapTls(server.authority.pem)).reason
        assert "the connection was lost" in refused
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"authorities": b""}, "authorities: no usable certificate"),
        ({"authorities": b"-----BEGIN CERTIFICATE-----\nx\n"}, "authorities: no usable"),
        ({"certificate": b"x", "key": b"x"}, "certificate: no usable certificate"),
        ({"certificate": "good", "key": b""}, "key: no usable key without passphrase"),
        ({"certificate": "good", "key": "other"}, "certificate: it does not fit the key"),
    ],
)
def test_L7_pem_that_cannot_be_used_is_named(arguments: dict[str, Any], words: str) -> None:
    authority = new_authority()
    certificate, _ = authority.issue("gateway")
    pem = {"good": certificate, "other": authority.issue("other")[1]}
    given = {name: pem.get(value, value) for name, value in arguments.items()}
    with pytest.raises(ValueError, match=words) as error:
        LdapTls(**given)
    assert "BEGIN" not in str(error.value)


# --- TLS that does not come ----------------------------------------------------------------------


def starttls_answer(code: int, *behind: bytes, kind: int = EXTENDED_RESPONSE) -> Script:
    def script(dialogue: Dialogue) -> None:
        request = dialogue.must_come()
        dialogue.send(result(request.number, kind, code, "no TLS"), *behind)
        dialogue.wait_for_end()

    return script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (starttls_answer(2), "StartTLS was refused: result code 2, no TLS"),
        (starttls_answer(52), "StartTLS was refused: result code 52"),
        (starttls_answer(0, kind=BIND_RESPONSE), "BindResponse is no answer to StartTLS"),
        (starttls_answer(0, result(2, BIND_RESPONSE, 0)), "octets behind the answer to StartTLS"),
        (starttls_answer(0, b"\x30"), "octets behind the answer to StartTLS"),
        (starttls_answer(0, b"garbage"), "octets behind the answer to StartTLS"),
    ],
)
def test_L8_without_tls_nothing_is_asked(
    own: OwnReactor, slapd: Slapd, script: Script, words: str
) -> None:
    with BadServer(script) as server:
        failed = failure(own, place(server.port, Security.START_TLS), tls_of(slapd))
        own.until(lambda: server.ended)
        assert words in failed.reason
        assert server.kinds() == [EXTENDED]


def test_L8_octets_that_follow_the_answer_to_starttls_later_are_no_answers(
    own: OwnReactor, slapd: Slapd
) -> None:
    """Into the handshake: the TLS layer reads them, and they are no TLS."""

    def script(dialogue: Dialogue) -> None:
        request = dialogue.must_come()
        dialogue.send(result(request.number, EXTENDED_RESPONSE, 0))
        dialogue.peer.recv(1)  # the client's hello
        dialogue.send(result(2, BIND_RESPONSE, 0))
        while dialogue.peer.recv(4096):
            pass

    with BadServer(script) as server:
        failed = failure(own, place(server.port, Security.START_TLS), tls_of(slapd))
        assert isinstance(failed, TlsFailed)
        own.until(lambda: server.ended)


def test_L8_a_server_that_speaks_no_tls_gets_no_password(own: OwnReactor, slapd: Slapd) -> None:
    failed = failure(own, place(slapd.port, Security.TLS), tls_of(slapd))
    assert isinstance(failed, TlsFailed)


def test_L8_tls_that_was_demanded_needs_settings(own: OwnReactor, slapd: Slapd) -> None:
    with BadServer(serve_alice) as server:
        assert "no TLS settings" in failure(own, place(server.port, Security.TLS), None).reason
        assert server.connections == 0


def swallow(dialogue: Dialogue) -> None:
    """Take a TLS handshake's octets and say nothing."""
    while dialogue.peer.recv(4096):
        pass


@pytest.mark.parametrize("security", [Security.TLS, Security.START_TLS])
def test_L10_a_handshake_or_starttls_that_hangs_is_cut_off(
    own: OwnReactor, slapd: Slapd, security: Security
) -> None:
    with BadServer(swallow) as server:
        limits = Limits(connect_timeout_s=3.0, deadline_s=0.2, message_limit_octets=1000)
        failed = failure(own, place(server.port, security), tls_of(slapd), limits)
        assert "in 0." in failed.reason
        own.until(lambda: server.ended)


def test_who_does_not_wait_any_more_leaves_no_connection(own: OwnReactor, slapd: Slapd) -> None:
    with BadServer(swallow) as server:
        opener = Opener(own.reactor, tls_of(slapd))
        opening = own.start(opener.open(place(server.port, Security.TLS), LIMITS))
        own.until(lambda: server.connections)
        opening.cancel()
        with pytest.raises(CancelledError):
            own.wait_for(opening)
        own.until(lambda: server.ended)
