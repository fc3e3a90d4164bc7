"""TLS towards other servers: a handshake for each connection, and what it must prove.

Owns the client contexts, one for each kind and made once, as reading the authorities costs more
than a handshake. What differs between connections (names, TLSA records, whether a failure counts)
travels with the connection. TLS 1.2 is the oldest, and what was agreed is never agreed anew.

Never decides what a connection must prove (``tls_policies`` does), nor goes on in clear text.
Sessions are not resumed: a resumed one shows no certificate to check, and connections are kept.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import platformTrust
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.log_text import escaped
from gateway.core.tls_client import (
    EXPIRED,
    REASON_CHARACTERS,
    client_context,
    failure_words,
    proves_name,
    sent_name,
    verdict_words,
)
from gateway.delivery.dane import DaneFailure, prove
from gateway.delivery.targets import Protection, TlsDemand, TlsResult
from gateway.wire.tlsrpt import ResultType


class Unproven(Exception):
    """The peer did not prove what it must.

    Args:
        kind: for reports.
    """

    def __init__(self, kind: ResultType, text: str) -> None:
        self.kind = kind
        super().__init__(text)


class ClientTls:
    """Begins handshakes.

    Args:
        trust_root: an IOpenSSLTrustRoot such as ``trustRootFromCertificates`` gives; None: the
            system's certificate authorities.
    """

    def __init__(self, trust_root: Any = None) -> None:
        self._trust_root = trust_root if trust_root is not None else platformTrust()
        self._anybody = client_context(None)
        self._authorities: SSL.Context | None = None

    def handshake(self, host: str, demand: TlsDemand) -> Handshake:
        """For one connection to this host (a name or an IP address)."""
        if demand.protection is not Protection.VERIFIED:
            return Handshake(self._anybody, host, demand)
        if self._authorities is None:
            self._authorities = client_context(self._trust_root)
        return Handshake(self._authorities, host, demand)


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """TLS on one connection, and afterwards what became of it."""

    _log = Logger()

    def __init__(self, context: SSL.Context, host: str, demand: TlsDemand) -> None:
        self._context = context
        self._host = host
        self._demand = demand
        self._connection: SSL.Connection | None = None
        self._protocol: Any = None
        self._problem: Unproven | None = None
        self._proves = demand.protection is Protection.VERIFIED or (
            demand.protection is Protection.DANE and bool(demand.tlsa)
        )

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Twisted asks for the connection."""
        self._protocol = tlsProtocol
        self._connection = connection = SSL.Connection(self._context, None)
        # Callbacks of its own, as Twisted puts its protocol where the context's could look for us.
        if self._demand.protection is Protection.VERIFIED:
            connection.set_verify(SSL.VERIFY_PEER, self._certificate_seen)
        if self._proves:
            connection.set_info_callback(self._on_info)
        name = self._sent_name()
        if name:
            connection.set_tlsext_host_name(name)
        return connection

    @property
    def problem(self) -> Unproven | None:
        """What the peer failed to prove, also where that is only noted."""
        return self._problem

    @property
    def refuses(self) -> bool:
        """The peer did not prove what it must: nothing is said on this connection."""
        return self._problem is not None and not self._demand.testing

    def result(self, reason: Failure | None = None) -> TlsResult:
        """What became of it.

        Args:
            reason: why the connection was lost before the handshake was done; None: it is done.
        """
        if self._problem is not None:
            failure, words = self._problem.kind.value, str(self._problem)
        elif reason is not None:
            failure, words = ResultType.VALIDATION_FAILURE.value, words_of(reason)
        else:
            failure = words = ""
        if reason is not None:
            return TlsResult(failure=failure, reason=words)
        protocol, cipher = "TLS", ""
        if self._connection is not None:
            protocol = self._connection.get_protocol_version_name()
            cipher = self._connection.get_cipher_name() or ""
        return TlsResult(
            protocol,
            cipher,
            proven=not failure,
            failure=failure,
            reason=words,
        )

    # -- what OpenSSL reports

    def _certificate_seen(
        self, connection: SSL.Connection, certificate: object, error: int, depth: int, good: int
    ) -> bool:
        """The verdict of the authorities on one certificate of the chain; the first bad one
        counts."""
        if good:
            return True
        if self._problem is None:
            self._problem = _untrusted(error, depth)
        return self._demand.testing

    def _on_info(self, connection: SSL.Connection, where: int, result: int) -> None:
        """The handshake is done as far as OpenSSL is concerned; no data has been passed on yet."""
        if not where & SSL.SSL_CB_HANDSHAKE_DONE:
            return
        try:
            self._prove(connection)
        except Unproven as problem:
            # What the authorities said before says more.
            self._problem = self._problem or problem
        except Exception:
            # OpenSSL would swallow it and go on.
            self._log.failure("the certificate of {host} cannot be judged", host=self._host)
            text = "the certificate was not understood"
            self._problem = Unproven(ResultType.VALIDATION_FAILURE, text)
        if self.refuses:
            self._protocol.failVerification(Failure(self._problem))

    # -- the proof

    def _prove(self, connection: SSL.Connection) -> None:
        """Raises: Unproven."""
        demand = self._demand
        names = demand.names or (self._host,)
        if demand.protection is Protection.VERIFIED:
            _prove_name(connection, names)
            return
        try:
            prove(connection.get_peer_cert_chain() or (), demand.tlsa, names)
        except DaneFailure as problem:
            raise Unproven(problem.kind, str(problem)) from None

    def _sent_name(self) -> bytes:
        """For the server name extension, empty for none.

        With DANE it is the TLSA base domain (RFC 7672 section 8.1), else the host (RFC 8461
        section 4.1 for MTA-STS).
        """
        names = self._demand.names
        dane = self._demand.protection is Protection.DANE
        return sent_name(names[0] if dane and names else self._host)


def words_of(reason: Failure) -> str:
    """A TLS failure in words."""
    if isinstance(reason.value, Unproven):
        return escaped(reason.value, REASON_CHARACTERS)
    return failure_words(reason)


def _untrusted(error: int, depth: int) -> Unproven:
    kind = (
        ResultType.CERTIFICATE_EXPIRED if error in EXPIRED else ResultType.CERTIFICATE_NOT_TRUSTED
    )
    return Unproven(kind, verdict_words(error, depth))


def _prove_name(connection: SSL.Connection, names: tuple[str, ...]) -> None:
    if not proves_name(connection, names):
        text = f"the certificate is not for {' or '.join(names)}"
        raise Unproven(ResultType.CERTIFICATE_HOST_MISMATCH, text)
