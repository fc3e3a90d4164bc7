"""Real TLS in memory: whose certificate is believed, and for which name."""

from __future__ import annotations

import datetime
import ipaddress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.delivery.tls import ClientTls


@implementer(IOpenSSLServerConnectionCreator)
class Server:
    """A certificate with its key, as a server's connection creator."""

    def __init__(self, signed: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.pem = signed.public_bytes(serialization.Encoding.PEM)
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate(signed)
        self._context.use_privatekey(key)

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return SSL.Connection(self._context, None)


def server(*names: str) -> Server:
    """Self-signed, for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    general: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(general), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Server(signed, key)


SERVER = server("mx.example.test", "192.0.2.1")
OTHER = server("mx.example.test")


def trust(of: Server) -> ClientTls:
    return ClientTls(trustRootFromCertificates([Certificate.loadPEM(of.pem)]))


class Hello(Protocol):
    """Says hello; keeps what it heard and how it ended."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = reason


class Hellos(Factory):
    """Gives out one prepared protocol."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello

    def buildProtocol(self, addr: object) -> Hello:
        return self.hello


def talk(creator: Any, other: Any = SERVER) -> tuple[Hello, Hello]:
    """Client and server after all octets have gone to and fro."""
    ends: list[Any] = []
    clock = Clock()  # Twisted gathers small writes till the next turn
    hellos = (Hello(), Hello())
    for is_client, context, hello in ((True, creator, hellos[0]), (False, other, hellos[1])):
        make: Any = TLSMemoryBIOFactory
        factory = make(context, is_client, Hellos(hello), clock)
        protocol: Any = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        ends.append(protocol)
    for _ in range(10):
        clock.advance(1)
        for source, sink in (ends, ends[::-1]):
            data = source.transport.value()
            source.transport.clear()
            if data:
                sink.dataReceived(data)
    for end in ends:
        if end.transport.disconnecting:
            end.connectionLost(Failure(ConnectionError()))
    return hellos


@pytest.mark.parametrize("host", ["mx.example.test", "192.0.2.1"])
def test_a_trusted_certificate_for_the_name_is_believed(host: str) -> None:
    client, server = talk(trust(SERVER).creator(host, verified=True))
    assert (client.heard, server.heard) == (b"hello", b"hello")


@pytest.mark.parametrize(
    "tls, host",
    [
        (trust(SERVER), "other.example.test"),
        (trust(OTHER), "mx.example.test"),
        (ClientTls(), "mx.example.test"),
    ],
    ids=["wrong name", "not trusted", "the system's authorities"],
)
def test_anything_else_is_refused_before_a_word_is_said(tls: ClientTls, host: str) -> None:
    client, server = talk(tls.creator(host, verified=True))
    assert (client.heard, server.heard) == (b"", b"")
    assert client.lost is not None


@pytest.mark.parametrize("host", ["any.example.test", "192.0.2.77", "2001:db8::1"])
def test_unverified_tls_encrypts_with_anybody(host: str) -> None:
    client, server = talk(trust(OTHER).creator(host, verified=False))
    assert (client.heard, server.heard) == (b"hello", b"hello")
