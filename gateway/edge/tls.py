"""Our certificate as TLS contexts that can be exchanged while connections live.

Owns the reading and checking of the certificate and key, and the one context in force; never the
choice of where TLS is spoken. A failed reload keeps the old context. TLS 1.2 or newer with
Twisted's choice of ciphers. Who asks for HTTP by ALPN gets no handshake (ALPACA: a browser must not
be led to take a mail server for a web site that shares the certificate); no ALPN is needed.

Limits: one certificate for all names; keys without passphrase.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.internet.ssl import TLSVersion as Version
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.core.errors import SettingsError, SettingsProblem


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate and its key as they were read, with the names of their files."""

    files: CertificateFiles
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def read(self) -> Pem:
        return self


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the certificate followed by its chain, and the private key."""

    certificate: Path
    key: Path

    def read(self) -> Pem:
        """Their present content. Raises: SettingsError."""
        return Pem(self, _read(self.certificate, "tls.certificate"), _read(self.key, "tls.key"))


def load_context(source: CertificateFiles | Pem) -> SSL.Context:
    """A context with this certificate.

    Raises:
        SettingsError: a file is missing or unreadable, or key and certificate do not fit.
    """
    pem = source.read()
    files = pem.files
    try:
        key = serialization.load_pem_private_key(pem.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _problem("tls.key", files.key, "no usable key", "a PEM key, no passphrase") from None
    try:
        own, *chain = x509.load_pem_x509_certificates(pem.certificate)
    except ValueError:
        found = "no usable certificate"
        raise _problem(
            "tls.certificate", files.certificate, found, "PEM: the certificate, then its chain"
        ) from None
    # Twisted's choice of protocol options and ciphers; the certificate is put in here, because
    # Twisted would do it through pyOpenSSL's deprecated X509 class.
    context: SSL.Context = CertificateOptions(raiseMinimumTo=Version.TLSv1_2).getContext()
    context.set_alpn_select_callback(_refuse_browsers)
    try:
        context.use_certificate(own)
        for issuer in chain:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(key)  # type: ignore[arg-type]  # other kinds end in the except
        context.check_privatekey()
    except (SSL.Error, TypeError):
        found = "a certificate that does not fit the key in tls.key"
        raise _problem(
            "tls.certificate", files.certificate, found, "the certificate of that key"
        ) from None
    return context


def _refuse_browsers(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """ALPN (RFC 7301): HTTP is answered with a fatal alert, anything else not at all (S19)."""
    if any(name == b"h2" or name.startswith(b"http/") for name in offered):
        raise SSL.Error([("", "", "a client of another protocol")])
    return SSL.NO_OVERLAPPING_PROTOCOLS


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise _problem(setting, path, reason, "a readable PEM file") from None


def _problem(setting: str, path: Path, found: str, expected: str) -> SettingsError:
    return SettingsError([SettingsProblem(str(path), setting, found, expected)])


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """The context in force, for implicit TLS and STARTTLS alike."""

    def __init__(self, source: CertificateFiles | Pem) -> None:
        self._context = load_context(source)

    def use(self, source: CertificateFiles | Pem) -> None:
        """Take this certificate for new connections. Raises: SettingsError."""
        self._context = load_context(source)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)


def tls_in_words(transport: Any) -> str:
    """Version and cipher of a connection whose handshake is done, for people."""
    handle = getattr(transport, "getHandle", lambda: None)()
    if not isinstance(handle, SSL.Connection):
        return ""
    return f"{handle.get_protocol_version_name()} {handle.get_cipher_name() or ''}".rstrip()
