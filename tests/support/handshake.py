"""TLS handshakes in memory between pyOpenSSL connections, or with the standard library's client."""

from __future__ import annotations

import ssl
from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL


def shake_hands(
    server: SSL.Connection,
    *,
    alpn: list[bytes] | None = None,
    newest: int = SSL.TLS1_3_VERSION,
    name: str | None = None,
    shows: tuple[bytes, bytes] | None = None,
) -> SSL.Connection:
    """The client's side after a handshake in memory.

    Args:
        name: asked for by SNI.
        shows: the client's certificate and key in PEM.

    Raises:
        SSL.Error: there was none.
    """
    theirs = SSL.Context(SSL.TLS_CLIENT_METHOD)
    theirs.set_max_proto_version(newest)
    if alpn is not None:
        theirs.set_alpn_protos(alpn)
    if shows is not None:
        theirs.use_certificate(x509.load_pem_x509_certificate(shows[0]))
        key = load_pem_private_key(shows[1], None)
        theirs.use_privatekey(key)  # type: ignore[arg-type]  # the tests' keys are of no odd kind
    client = SSL.Connection(theirs, None)
    if name is not None:
        client.set_tlsext_host_name(name.encode("ascii"))
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(4):
        for end, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                end.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(end.bio_read(65_536))
    return client


def say_something(client: SSL.Connection, server: SSL.Connection) -> None:
    """An octet from the client; the server reads it."""
    client.send(b"x")
    server.bio_write(client.bio_read(65_536))
    assert server.recv(1) == b"x"


def resumes(servers: tuple[SSL.Connection, SSL.Connection], newest: ssl.TLSVersion) -> bool:
    """Whether a client that comes back to the second server with the first one's session can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    session: ssl.SSLSession | None = None
    for server in servers:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, session=session)
        server.set_accept_state()
        for _ in range(4):
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
            if octets := outgoing.read():
                server.bio_write(octets)
            with suppress(SSL.WantReadError):
                server.do_handshake()
            with suppress(SSL.WantReadError):
                incoming.write(server.bio_read(65_536))
        server.send(b"x")  # tickets of TLS 1.3 come with the first octets
        incoming.write(server.bio_read(65_536))
        assert client.read(1) == b"x"
        if session is not None:
            return bool(client.session_reused)
        session = client.session
    return False  # there was no session to come back with
