"""Our certificates as TLS contexts that can be exchanged while connections live.

Owns the checking of certificates, keys and authorities, the choice among them by the name that a
client asks for (SNI), and the contexts in force; never the choice of where TLS is spoken. A failed
reload keeps the old ones. TLS 1.2 or newer with Twisted's choice of ciphers; no session is resumed
and no ticket is good anywhere (SECURITY S19). Who asks for HTTP by ALPN on a mail port gets no
handshake (ALPACA: a browser must not be led to take a mail server for a web site that shares the
certificate); no ALPN is needed.

A client may be asked for a certificate and never has to show one: what it shows is noted as
verified or not, and whoever wants to rely on it looks (``channel``).

Limits: keys without passphrase; nothing is kept for names that clients make up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.internet.ssl import TLSVersion as Version
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from gateway.edge.tls_material import NamedPem, Pem, TlsMaterial, problem

_VERSIONS = {"1.2": Version.TLSv1_2, "1.3": Version.TLSv1_3}


@dataclass(frozen=True, slots=True)
class Listening:
    """What of a listener decides about its contexts.

    Args:
        client_ca_file: a name of ``TlsMaterial.authorities``; empty: no certificate is asked for.
        web: HTTP is spoken there, and ALPN may say so.
    """

    client_ca_file: str = ""
    web: bool = False


MAIL = Listening()


class AskingConnection(SSL.Connection):
    """A connection whose client is asked for a certificate, and what came of it."""

    client_verified = True


@dataclass(frozen=True, slots=True)
class Contexts:
    """The contexts of one kind of listener."""

    default: SSL.Context
    named: Mapping[bytes, SSL.Context]


def contexts_for(listening: Listening, material: TlsMaterial) -> Contexts:
    """Contexts of these certificates.

    Raises:
        SettingsError: something in a file cannot be used, or does not fit the rest.
    """
    named: dict[bytes, SSL.Context] = {}
    for each in material.named:
        _check_names(each)
        context = _context(each.pem, listening, material)
        named.update((name.encode("ascii"), context) for name in each.names)
    default = _context(material.default, listening, material)
    if named:
        default.set_tlsext_servername_callback(_chooser(named))
    return Contexts(default, named)


def _chooser(named: Mapping[bytes, SSL.Context]) -> Callable[[SSL.Connection], None]:
    """SNI (RFC 6066 section 3): an unknown name gets the default, as no name does.

    The dot behind a name, which the RFC leaves out, is there when people type it and their program
    does not look.
    """

    def choose(connection: SSL.Connection) -> None:
        name = (connection.get_servername() or b"").lower().rstrip(b".")
        context = named.get(name)
        if context is None:
            # As certificates have it (RFC 6125 section 6.4.3): one label in place of the star.
            context = named.get(b"*." + name.partition(b".")[2])
        if context is not None:
            connection.set_context(context)

    return choose


def _context(pem: Pem, listening: Listening, material: TlsMaterial) -> SSL.Context:
    files, setting = pem.files, pem.files.setting
    try:
        key = serialization.load_pem_private_key(pem.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise problem(
            f"{setting}.key", files.key, "no usable key", "a PEM key, no passphrase"
        ) from None
    own, *chain = _certificates(pem)
    # Twisted's choice of protocol options and ciphers, and no sessions; the certificate is put in
    # here, because Twisted would do it through pyOpenSSL's deprecated X509 class.
    options = CertificateOptions(raiseMinimumTo=_VERSIONS[material.minimum_version])
    context: SSL.Context = options.getContext()
    context.set_alpn_select_callback(_select_http if listening.web else _refuse_browsers)
    if listening.client_ca_file:
        _ask_for_certificate(context, listening.client_ca_file, material)
    try:
        context.use_certificate(own)
        for issuer in chain:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(key)  # type: ignore[arg-type]  # other kinds end in the except
        context.check_privatekey()
    except (SSL.Error, TypeError):
        found = f"a certificate that does not fit the key in {setting}.key"
        raise problem(
            f"{setting}.certificate", files.certificate, found, "the certificate of that key"
        ) from None
    return context


def _certificates(pem: Pem) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.certificate)
    except ValueError:
        expected = "PEM: the certificate, then its chain"
        setting, path = f"{pem.files.setting}.certificate", pem.files.certificate
        raise problem(setting, path, "no usable certificate", expected) from None


def _check_names(named: NamedPem) -> None:
    """Every name must be one that clients find in the certificate."""
    pem = named.pem
    try:
        extension = _certificates(pem)[0].extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        known = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    except (x509.ExtensionNotFound, ValueError):
        known = set()
    for name in named.names:
        wildcard = "*." + name.partition(".")[2]
        if name not in known and wildcard not in known:
            found = f"a certificate for {', '.join(sorted(known)) or 'no host name'}"
            expected = f"one for {name}, as {pem.files.setting}.names has it"
            setting = f"{pem.files.setting}.certificate"
            raise problem(setting, pem.files.certificate, found, expected)


def _ask_for_certificate(context: SSL.Context, file: str, material: TlsMaterial) -> None:
    try:
        authorities = x509.load_pem_x509_certificates(material.authorities[file])
    except ValueError:
        found, expected = "no usable certificate", "PEM: certificates of authorities"
        raise problem("listen.client_ca_file", Path(file), found, expected) from None
    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
        context.add_client_ca(authority)
    context.set_verify(SSL.VERIFY_PEER, _note_verdict)


def _note_verdict(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    """Never ends a handshake: a mail server that shows some certificate of its own is welcome."""
    if not isinstance(connection, AskingConnection):
        return False  # nobody would look at the verdict
    if not ok:
        connection.client_verified = False
    return True


def _refuse_browsers(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """ALPN (RFC 7301): HTTP is answered with a fatal alert, anything else not at all (S19)."""
    if any(name == b"h2" or name.startswith(b"http/") for name in offered):
        raise SSL.Error([("", "", "a client of another protocol")])
    return SSL.NO_OVERLAPPING_PROTOCOLS


def _select_http(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


class ServerContexts:
    """The contexts in force, for all listeners.

    Raises:
        SettingsError: as ``contexts_for``.
    """

    def __init__(self, material: TlsMaterial) -> None:
        self._material = material
        self._contexts = {MAIL: contexts_for(MAIL, material)}

    def for_listener(self, listening: Listening = MAIL) -> ListenerContexts:
        """What its connections get, now and after every reload. Raises: SettingsError."""
        if listening not in self._contexts:
            self._contexts[listening] = contexts_for(listening, self._material)
        return ListenerContexts(self._contexts, listening)

    def use(self, material: TlsMaterial) -> None:
        """Take these certificates for new connections. Raises: SettingsError (nothing changes)."""
        made = {listening: contexts_for(listening, material) for listening in self._contexts}
        self._material = material
        self._contexts.update(made)


@implementer(IOpenSSLServerConnectionCreator)
class ListenerContexts:
    """One listener's side of ServerContexts, for implicit TLS and STARTTLS alike."""

    def __init__(self, contexts: Mapping[Listening, Contexts], listening: Listening) -> None:
        self._contexts = contexts
        self._listening = listening

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        kind = AskingConnection if self._listening.client_ca_file else SSL.Connection
        return kind(self._contexts[self._listening].default, None)


def tls_in_words(transport: Any) -> str:
    """Version and cipher of a connection whose handshake is done, for people."""
    handle = getattr(transport, "getHandle", lambda: None)()
    if not isinstance(handle, SSL.Connection):
        return ""
    return f"{handle.get_protocol_version_name()} {handle.get_cipher_name() or ''}".rstrip()
