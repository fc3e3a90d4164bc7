"""Our certificate: what is refused, what a reload does, and what clients see of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from OpenSSL import SSL

from gateway.core.errors import SettingsError
from gateway.edge.tls import ServerContexts
from gateway.edge.tls_material import CertificateFiles, TlsMaterial
from tests.support.authority import Authority, new_authority
from tests.support.handshake import shake_hands


@pytest.fixture
def authority() -> Authority:
    return new_authority()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> CertificateFiles:
    files = CertificateFiles(tmp_path / "certificate.pem", tmp_path / "key.pem")
    write(files, *authority.issue("mail.example.test"))
    return files


def write(files: CertificateFiles, certificate: bytes, key: bytes) -> None:
    files.certificate.write_bytes(certificate)
    files.key.write_bytes(key)


def serial(client: SSL.Connection) -> int:
    certificate = client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.serial_number


def contexts_of(files: CertificateFiles) -> ServerContexts:
    return ServerContexts(TlsMaterial(files.read()))


def connection_of(contexts: ServerContexts) -> SSL.Connection:
    """What the next connection gets."""
    listener: Any = contexts.for_listener()
    return cast(SSL.Connection, listener.serverConnectionForTLS(None))


def test_the_chain_is_sent_along(files: CertificateFiles, authority: Authority) -> None:
    certificate, key = authority.issue("mail.example.test")
    write(files, certificate + b"\n" + authority.pem, key)
    chain = shake_hands(connection_of(contexts_of(files))).get_peer_cert_chain(as_cryptography=True)
    assert chain is not None and chain[1:] == [authority.certificate]


def test_nothing_older_than_tls_1_2(files: CertificateFiles) -> None:
    contexts = contexts_of(files)
    newer = shake_hands(connection_of(contexts), newest=SSL.TLS1_2_VERSION)
    assert newer.get_protocol_version_name() == "TLSv1.2"
    with pytest.raises(SSL.Error):
        shake_hands(connection_of(contexts), newest=SSL.TLS1_1_VERSION)


@pytest.mark.parametrize("offered", [[b"h2", b"http/1.1"], [b"http/1.0"], [b"imap", b"h2"]])
def test_S19_browsers_get_no_handshake(files: CertificateFiles, offered: list[bytes]) -> None:
    with pytest.raises(SSL.Error):
        shake_hands(connection_of(contexts_of(files)), alpn=offered)


@pytest.mark.parametrize("offered", [None, [b"imap"], [b"pop3", b"x-unknown"]])
def test_S19_mail_clients_do(files: CertificateFiles, offered: list[bytes] | None) -> None:
    client = shake_hands(connection_of(contexts_of(files)), alpn=offered)
    assert serial(client) and client.get_alpn_proto_negotiated() == b""


def problem(files: CertificateFiles) -> tuple[str, str]:
    with pytest.raises(SettingsError) as caught:
        contexts_of(files)
    (found,) = caught.value.problems
    assert "PRIVATE KEY" not in str(found)
    return str(found.key), str(found.found)


def test_a_key_that_does_not_fit(files: CertificateFiles, authority: Authority) -> None:
    files.key.write_bytes(authority.issue("mail.example.test")[1])
    assert problem(files) == (
        "tls.certificate",
        "a certificate that does not fit the key in tls.key",
    )


def test_files_that_are_missing_or_hold_something_else(files: CertificateFiles) -> None:
    good = files.certificate.read_bytes()
    for content in (b"", b"no PEM", good[:200], files.key.read_bytes()):
        files.certificate.write_bytes(content)
        assert problem(files) == ("tls.certificate", "no usable certificate")
    files.certificate.unlink()
    assert problem(files) == ("tls.certificate", "No such file or directory")
    files.certificate.write_bytes(good)
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", good):
        files.key.write_bytes(content)
        assert problem(files) == ("tls.key", "no usable key")


def test_a_reload_is_for_new_connections(files: CertificateFiles, authority: Authority) -> None:
    contexts = contexts_of(files)
    begun = connection_of(contexts)
    old = serial(shake_hands(connection_of(contexts)))
    write(files, *authority.issue("mail.example.test"))
    assert serial(shake_hands(connection_of(contexts))) == old, "nothing changes unasked"
    contexts.use(TlsMaterial(files.read()))
    assert serial(shake_hands(connection_of(contexts))) != old
    assert serial(shake_hands(begun)) == old


def test_D11_a_failed_reload_keeps_the_old_certificate(files: CertificateFiles) -> None:
    contexts = contexts_of(files)
    old = serial(shake_hands(connection_of(contexts)))
    files.certificate.write_bytes(b"half a certif")
    with pytest.raises(SettingsError):
        contexts.use(TlsMaterial(files.read()))
    assert serial(shake_hands(connection_of(contexts))) == old
