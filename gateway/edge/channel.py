"""What TLS knows of one connection, for logins: what it can be bound to, whose certificate came.

Owns the reading of pyOpenSSL's connection. Never starts or changes TLS (``tls``), and keeps
nothing: it is asked when somebody logs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from gateway.auth.mechanisms import Channel
from gateway.auth.sasl_scram import Binding
from gateway.edge.tls import AskingConnection

_EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
_EXPORTER_OCTETS = 32


def channel_of(transport: object) -> Channel | None:
    """The TLS of a transport; None when it speaks none that we could ask."""
    get_handle = getattr(transport, "getHandle", None)
    handle = get_handle() if get_handle is not None else None
    return TlsChannel(handle) if isinstance(handle, SSL.Connection) else None


class TlsChannel:
    """One connection after its handshake, on the server's side."""

    __slots__ = ("_tls",)

    def __init__(self, tls: Any) -> None:
        self._tls = tls

    def bindings(self) -> Mapping[str, Binding]:
        """RFC 9266 section 3: with TLS 1.3 tls-exporter takes the place of tls-unique.

        With older TLS the exporter is safe only with an extended master secret (RFC 9266 section
        4.2), which pyOpenSSL does not tell. tls-unique is safe, as sessions are never resumed here.
        """
        found: dict[str, Binding] = {}
        if self._tls.get_protocol_version_name() == "TLSv1.3":
            found["tls-exporter"] = self._exporter
        else:
            found["tls-unique"] = self._unique
        if self._certificate_hash() is not None:
            found["tls-server-end-point"] = self._end_point
        return found

    def client_certificate(self) -> x509.Certificate | None:
        if not isinstance(self._tls, AskingConnection) or not self._tls.client_verified:
            return None
        certificate: x509.Certificate | None = self._tls.get_peer_certificate(as_cryptography=True)
        return certificate

    def _exporter(self) -> bytes | None:
        # RFC 9266 section 2: an empty context, which is not the same as none (RFC 8446 7.5 makes
        # no difference, RFC 5705 does).
        data: bytes = self._tls.export_keying_material(_EXPORTER_LABEL, _EXPORTER_OCTETS, b"")
        return data

    def _unique(self) -> bytes | None:
        # RFC 5929 section 3.1: the first Finished of a full handshake is the client's.
        data: bytes | None = self._tls.get_peer_finished()
        return data

    def _end_point(self) -> bytes | None:
        """RFC 5929 section 4.1: our certificate's hash, by its signature's algorithm."""
        certificate = self._tls.get_certificate(as_cryptography=True)
        algorithm = self._certificate_hash()
        if certificate is None or algorithm is None:
            return None
        digest = hashes.Hash(algorithm)
        digest.update(certificate.public_bytes(Encoding.DER))
        return digest.finalize()

    def _certificate_hash(self) -> hashes.HashAlgorithm | None:
        certificate = self._tls.get_certificate(as_cryptography=True)
        if certificate is None:
            return None
        try:
            algorithm: hashes.HashAlgorithm | None = certificate.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return None
        if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
            return hashes.SHA256()
        return algorithm  # None for Ed25519, for which the RFC defines nothing
