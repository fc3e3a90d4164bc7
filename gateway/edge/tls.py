"""Our certificate as TLS contexts that can be exchanged while connections live.

Owns the reading and checking of the certificate and key, and the one context in force; never the
choice of where TLS is spoken. A failed reload keeps the old context. TLS 1.2 or newer with
Twisted's choice of ciphers.

Limits: one certificate for all names (SNI comes with the SMTP issue); keys without passphrase.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, PrivateCertificate
from twisted.internet.ssl import TLSVersion as Version
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.core.errors import SettingsError, SettingsProblem

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the certificate followed by its chain, and the private key."""

    certificate: Path
    key: Path


def load_context(files: CertificateFiles) -> SSL.Context:
    """A context with this certificate.

    Raises:
        SettingsError: a file is missing or unreadable, or key and certificate do not fit.
    """
    certificate_pem = _read(files.certificate, "tls.certificate")
    key_pem = _read(files.key, "tls.key")
    blocks = [_BEGIN + block.split(_END)[0] + _END for block in certificate_pem.split(_BEGIN)[1:]]
    if not blocks:
        raise _problem("tls.certificate", files.certificate, "no certificate", "a PEM certificate")
    try:
        key = KeyPair.load(key_pem, 1)
    except Exception:
        raise _problem("tls.key", files.key, "no usable key", "a PEM key, no passphrase") from None
    try:
        chain = [Certificate.loadPEM(block).original for block in blocks]
        own = PrivateCertificate.fromCertificateAndKeyPair(Certificate(chain[0]), key)
        options = CertificateOptions(
            privateKey=own.privateKey.original,
            certificate=chain[0],
            extraCertChain=chain[1:],
            raiseMinimumTo=Version.TLSv1_2,
        )
        context: SSL.Context = options.getContext()
        context.check_privatekey()
    except Exception:
        found = "a certificate that does not fit the key in tls.key"
        raise _problem(
            "tls.certificate", files.certificate, found, "the certificate of that key"
        ) from None
    return context


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

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._context = load_context(files)

    def reload(self) -> None:
        """Take the files' present content for new connections. Raises: SettingsError."""
        self._context = load_context(self._files)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)
