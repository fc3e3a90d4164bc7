"""TLS as a client: contexts, the proof of a name, and OpenSSL's complaints in words.

Owns what every kind of client here shares: TLS 1.2 is the oldest, what was agreed is never agreed
anew, no session is resumed (a resumed one shows no certificate to check), and names are looked for
where RFC 6125 section 6.4.4 wants them, in subjectAltName, never in the common name. Never decides
what a peer must prove.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.python.failure import Failure

from gateway.core.hosts import parse_ip
from gateway.core.log_text import escaped

EXPIRED = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED"""

REASON_CHARACTERS = 200
_NO_PROOF = (VerificationError, CertificateError, ValueError)
"""Another name, none at all, names that cannot be read, or a host name that only DNS allows."""

_X509_WORDS = {
    2: "the issuer of the certificate is not known",
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the chain ends in a self-signed certificate that is not trusted",
    20: "the issuer of the certificate is not known",
    21: "the certificate is signed by nobody we know",
    23: "the certificate was revoked",
    26: "the certificate is not for servers",
}


def client_context(trust_root: Any) -> SSL.Context:
    """Args: trust_root: an IOpenSSLTrustRoot; None: OpenSSL judges no certificate."""
    options = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2, trustRoot=trust_root)
    context: SSL.Context = options.getContext()
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context


def verdict_words(error: int, depth: int) -> str:
    """Why OpenSSL trusts a chain not.

    Args:
        error: X509_V_ERR_…
        depth: of the certificate; 0: the server's own.
    """
    words = _X509_WORDS.get(error, f"error {error} of the certificate's verification")
    return words + ("" if depth == 0 else f" (the certificate {depth} above the server's)")


def proves_name(connection: SSL.Connection, names: Sequence[str]) -> bool:
    """Whether one of the names or addresses is in the peer's certificate (RFC 6125; ``*.`` there
    stands for one label)."""
    for name in names:
        try:
            if parse_ip(name) is None:
                verify_hostname(connection, name)
            else:
                verify_ip_address(connection, str(ipaddress.ip_address(name)))
        except _NO_PROOF:
            continue
        return True
    return False


def sent_name(host: str) -> bytes:
    """For the server name extension, empty for none. RFC 6066 section 3: never an IP address."""
    return b"" if parse_ip(host) is not None else host.encode("ascii", "replace")


def failure_words(reason: Failure) -> str:
    """A TLS failure in words; OpenSSL's are (library, function, reason) triples in a list."""
    value = reason.value
    args = getattr(value, "args", ())
    triples = args[0] if args and isinstance(args[0], list) else []
    words = ", ".join(str(triple[-1]) for triple in triples if isinstance(triple, tuple) and triple)
    return escaped(words or type(value).__name__, REASON_CHARACTERS)
