"""Our certificate: what is refused, what a reload does, and what clients see of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from OpenSSL import SSL

from gateway.core.errors import SettingsError
from gateway.edge.tls import CertificateFiles, ServerContexts, load_context
from tests.support.authority import Authority, new_authority


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


def shake_hands(
    context: SSL.Context, *, alpn: list[bytes] | None = None, newest: int = SSL.TLS1_3_VERSION
) -> SSL.Connection:
    """The client's side after a handshake in memory. Raises: SSL.Error."""
    theirs = SSL.Context(SSL.TLS_CLIENT_METHOD)
    theirs.set_max_proto_version(newest)
    if alpn is not None:
        theirs.set_alpn_protos(alpn)
    client, server = SSL.Connection(theirs, None), SSL.Connection(context, None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for end, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                end.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(65_536))
    return client


def serial(client: SSL.Connection) -> int:
    certificate = client.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.serial_number


def connection_of(contexts: Any) -> SSL.Context:
    """The context that the next connection gets."""
    return cast(SSL.Context, contexts.serverConnectionForTLS(None).get_context())


def test_the_chain_is_sent_along(files: CertificateFiles, authority: Authority) -> None:
    certificate, key = authority.issue("mail.example.test")
    write(files, certificate + b"\n" + authority.pem, key)
    chain = shake_hands(load_context(files)).get_peer_cert_chain(as_cryptography=True)
    assert chain is not None and chain[1:] == [authority.certificate]


def test_nothing_older_than_tls_1_2(files: CertificateFiles) -> None:
    context = load_context(files)
    newer = shake_hands(context, newest=SSL.TLS1_2_VERSION)
    assert newer.get_protocol_version_name() == "TLSv1.2"
    with pytest.raises(SSL.Error):
        shake_hands(context, newest=SSL.TLS1_1_VERSION)


@pytest.mark.parametrize("offered", [[b"h2", b"http/1.1"], [b"http/1.0"], [b"imap", b"h2"]])
def test_S19_browsers_get_no_handshake(files: CertificateFiles, offered: list[bytes]) -> None:
    with pytest.raises(SSL.Error):
        shake_hands(load_context(files), alpn=offered)


@pytest.mark.parametrize("offered", [None, [b"imap"], [b"pop3", b"x-unknown"]])
def test_S19_mail_clients_do(files: CertificateFiles, offered: list[bytes] | None) -> None:
    client = shake_hands(load_context(files), alpn=offered)
    assert serial(client) and client.get_alpn_proto_negotiated() == b""


def problem(files: CertificateFiles) -> tuple[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_context(files)
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
    contexts: Any = ServerContexts(files)
    before = connection_of(contexts)
    old = serial(shake_hands(before))
    write(files, *authority.issue("mail.example.test"))
    assert serial(shake_hands(connection_of(contexts))) == old, "nothing changes unasked"
    contexts.use(files)
    assert serial(shake_hands(connection_of(contexts))) != old
    assert serial(shake_hands(before)) == old


def test_D11_a_failed_reload_keeps_the_old_certificate(files: CertificateFiles) -> None:
    contexts: Any = ServerContexts(files)
    old = serial(shake_hands(connection_of(contexts)))
    files.certificate.write_bytes(b"half a certif")
    with pytest.raises(SettingsError):
        contexts.use(files)
    assert serial(shake_hands(connection_of(contexts))) == old
