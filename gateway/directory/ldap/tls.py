"""TLS towards the directory's servers: what they must prove, and what they showed.

Owns one client context with the authorities in force and, where a server asks for it, our own
certificate; and for each connection the proof that the server is the one that was meant (SECURITY
L7): a chain to an authority, the time, and the name or address as subjectAltName. A proof that
fails ends the connection before anything is said on it, and its reason says which certificate,
which names were found and which was expected. What was shown is kept, also then, for warnings of
expiry and for the doctor.

Never reads a file, never goes on in clear text, never weakens a check.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.log_text import escaped
from gateway.core.tls_client import (
    client_context,
    failure_words,
    proves_name,
    sent_name,
    verdict_words,
)

_MOST_NAMES = 10
_NAME_CHARACTERS = 80
_KEPT_CERTIFICATES = 64  # the same few at each connection


class UnusablePem(ValueError):
    """PEM that is not what it should be; the text says what was found."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate that a server showed.

    Args:
        names: of subjectAltName: host names and addresses.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime

    def __str__(self) -> str:
        named = ", ".join(self.names[:_MOST_NAMES]) or "no name"
        return (
            f"certificate {self.subject} for {named}, issued by {self.issuer}, valid from"
            f" {self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d}"
        )


@dataclass(frozen=True, slots=True)
class Protection:
    """What became of TLS on one connection.

    Args:
        protocol: ``TLSv1.3``; empty: there is no TLS (yet).
        chain: the server's own certificate first.
        problem: what it failed to prove; empty: nothing.
    """

    protocol: str = ""
    cipher: str = ""
    chain: tuple[Shown, ...] = ()
    problem: str = ""


class Unproven(Exception):
    """The server did not prove that it is the one that was meant."""


class LdapTls:
    """Begins handshakes; made anew when one of its files has changed.

    Args:
        authorities: PEM of those that may sign servers' certificates; None: the system's.
        certificate: PEM of our own with its chain, for servers that ask; empty: none.
        key: its private key in PEM, no passphrase.

    Raises:
        UnusablePem: naming the argument.
    """

    def __init__(
        self, authorities: bytes | None = None, *, certificate: bytes = b"", key: bytes = b""
    ) -> None:
        trust: Any = platformTrust() if authorities is None else _trust(authorities)
        self._context = client_context(trust)
        if certificate or key:
            _use_own(self._context, certificate, key)

    def handshake(self, server_name: str) -> Handshake:
        """For one connection to the server of this name (or IP address)."""
        return Handshake(self._context, server_name)


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """TLS on one connection, and afterwards what became of it."""

    def __init__(self, context: SSL.Context, server_name: str) -> None:
        self._context = context
        self._server_name = server_name
        self._connection: SSL.Connection | None = None
        self._protocol: Any = None
        self._seen: list[Shown] = []
        self._problem = ""
        self._proven = False

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Twisted asks for the connection."""
        self._protocol = tlsProtocol
        self._connection = connection = SSL.Connection(self._context, None)
        # Callbacks of its own, as Twisted puts its protocol where the context's could look for us.
        connection.set_verify(SSL.VERIFY_PEER, self._certificate_seen)
        connection.set_info_callback(self._on_info)
        name = sent_name(self._server_name)
        if name:
            connection.set_tlsext_host_name(name)
        return connection

    @property
    def proven(self) -> bool:
        """The handshake is done, and the server is the one that was meant."""
        return self._proven

    def protection(self) -> Protection:
        """As far as it has come."""
        connection = self._connection
        if connection is None:
            return Protection()
        chain = _chain(connection)
        if not self._proven:
            return Protection(chain=chain or tuple(self._seen), problem=self._problem)
        return Protection(
            connection.get_protocol_version_name(), connection.get_cipher_name() or "", chain
        )

    def why(self, reason: Failure) -> str:
        """Why the connection was lost before the handshake was done."""
        return self._problem or f"TLS: {failure_words(reason)}"

    # -- what OpenSSL reports

    def _certificate_seen(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        """The authorities' verdict on one certificate of the chain; the first bad one counts."""
        if ok:
            return True
        words = verdict_words(error, depth)
        try:
            shown = _shown(certificate.to_cryptography())
        except Exception:  # whatever strangers put into certificates
            self._problem = self._problem or f"{words}; it cannot be read"
            return False
        self._seen.append(shown)
        self._problem = self._problem or f"{words}: {shown}"
        return False

    def _on_info(self, connection: SSL.Connection, where: int, result: int) -> None:
        """The handshake is done as far as OpenSSL is concerned; no data has been passed on yet."""
        if not where & SSL.SSL_CB_HANDSHAKE_DONE or self._problem:
            return
        try:
            self._proven = proves_name(connection, (self._server_name,))
            if not self._proven:
                own = connection.get_peer_certificate(as_cryptography=True)
                shown = "none was shown" if own is None else _shown(own)
                self._problem = f"the certificate is not for {self._server_name}: {shown}"
        except Exception as error:
            # OpenSSL would swallow it and go on.
            self._proven = False
            self._problem = f"the certificate was not understood: {type(error).__name__}"
        if self._problem:
            self._protocol.failVerification(Failure(Unproven(self._problem)))


# --- certificates --------------------------------------------------------------------------------


def _chain(connection: SSL.Connection) -> tuple[Shown, ...]:
    """What the server showed, as far as it can be read."""
    try:
        return tuple(map(_shown, connection.get_peer_cert_chain(as_cryptography=True) or ()))
    except Exception:  # whatever strangers put into certificates
        return ()


@lru_cache(_KEPT_CERTIFICATES)
def _shown(certificate: x509.Certificate) -> Shown:
    return Shown(
        escaped(certificate.subject.rfc4514_string() or "without a subject", _NAME_CHARACTERS),
        escaped(certificate.issuer.rfc4514_string(), _NAME_CHARACTERS),
        _names(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except Exception:  # there are none, or they cannot be read
        return ()
    names: Sequence[object] = (
        *extension.value.get_values_for_type(x509.DNSName),
        *extension.value.get_values_for_type(x509.IPAddress),
    )
    return tuple(escaped(name, _NAME_CHARACTERS) for name in names)


def _trust(pem: bytes) -> Any:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise UnusablePem("authorities: no usable certificate in it") from None
    encoded = (each.public_bytes(serialization.Encoding.PEM) for each in found)
    return trustRootFromCertificates([Certificate.loadPEM(each) for each in encoded])


def _use_own(context: SSL.Context, certificate: bytes, key: bytes) -> None:
    try:
        own, *chain = x509.load_pem_x509_certificates(certificate)
    except ValueError:
        raise UnusablePem("certificate: no usable certificate in it") from None
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusablePem("key: no usable key without passphrase in it") from None
    try:
        context.use_certificate(own)
        for issuer in chain:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(private)  # type: ignore[arg-type]  # other kinds end in the except
        context.check_privatekey()
    except (SSL.Error, TypeError):
        raise UnusablePem("certificate: it does not fit the key") from None
