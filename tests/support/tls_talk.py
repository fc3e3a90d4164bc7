"""TLS in memory: a server that shows a chain of the tests' own, and a client of delivery's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.delivery.targets import TlsDemand, TlsResult
from gateway.delivery.tls import ClientTls
from tests.support.authority import Authority


@implementer(IOpenSSLServerConnectionCreator)
class Server:
    """Shows a certificate and those above it; keeps the name that was asked for."""

    def __init__(
        self,
        shown: tuple[bytes, bytes],
        *above: x509.Certificate,
        newest: int = SSL.TLS1_3_VERSION,
    ) -> None:
        self.certificate = x509.load_pem_x509_certificate(shown[0])
        self.asked: list[bytes | None] = []
        self._context = context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(self.certificate)
        key: Any = load_pem_private_key(shown[1], None)
        context.use_privatekey(key)
        for each in above:
            context.add_extra_chain_cert(each)
        context.set_max_proto_version(newest)
        context.set_tlsext_servername_callback(
            lambda connection: self.asked.append(connection.get_servername())
        )

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return SSL.Connection(self._context, None)


def trusting(*authorities: Authority) -> ClientTls:
    return ClientTls(
        trustRootFromCertificates([Certificate.loadPEM(each.pem) for each in authorities])
    )


def whole(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def key_of(certificate: x509.Certificate) -> bytes:
    """As selector 1 of TLSA has it."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@implementer(IHandshakeListener)
class Hello(Protocol):
    """Says hello; keeps what it heard and how it ended."""

    def __init__(self) -> None:
        self.heard = b""
        self.shaken = False
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"hello")

    def handshakeCompleted(self) -> None:
        self.shaken = True

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = reason


class _Hellos(Factory):
    def __init__(self, hello: Hello) -> None:
        self.hello = hello

    def buildProtocol(self, addr: object) -> Hello:
        return self.hello


def talk(creators: Sequence[Any]) -> tuple[Hello, Hello]:
    """Client and server after all octets have gone to and fro."""
    ends: list[Any] = []
    clock = Clock()  # Twisted gathers small writes till the next turn
    hellos = (Hello(), Hello())
    for is_client, creator, hello in zip((True, False), creators, hellos, strict=True):
        make: Any = TLSMemoryBIOFactory
        factory = make(creator, is_client, _Hellos(hello), clock)
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


def meet(
    tls: ClientTls, server: Server, demand: TlsDemand, host: str = "mx.example.test"
) -> tuple[TlsResult, bool]:
    """What became of TLS, and whether words were exchanged."""
    handshake = tls.handshake(host, demand)
    client, other = talk((handshake, server))
    talked = (client.heard, other.heard) == (b"hello", b"hello")
    if talked:
        return handshake.result(), True
    assert (client.heard, other.heard) == (b"", b""), "something was said before the proof"
    assert client.lost is not None
    return handshake.result(client.lost), False
