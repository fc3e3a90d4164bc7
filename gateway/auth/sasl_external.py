"""EXTERNAL (RFC 4422 appendix A): who the client is was shown in the TLS handshake.

Owns the one message. Never looks at the certificate: ``checkers`` decides whose it is.
"""

from __future__ import annotations

from cryptography import x509

from gateway.auth.sasl import IMPOSSIBLE, CertificateOffer, OneMessage, Step


class External(OneMessage):
    """One message: who the client wants to be, or nothing.

    Args:
        certificate: the client's, verified.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate

    def next(self, message: bytes) -> Step:
        # Appendix A.1: extern-resp = *( UTF8-char-no-nul )
        if b"\0" in message:
            return IMPOSSIBLE
        try:
            return CertificateOffer(message.decode("utf-8"), self._certificate)
        except UnicodeDecodeError:
            return IMPOSSIBLE
