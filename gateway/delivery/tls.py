"""TLS towards other servers: whose certificate is believed, and for which name.

Owns the two kinds of client contexts. Without ``verified`` the peer's name is only told to it
(SNI) and nothing is checked: between strangers' servers encryption without proof is still better
than clear text (RFC 7435), and most of their certificates prove nothing. TLS 1.2 is the oldest.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    CertificateOptions,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
)
from zope.interface import implementer

MAX_VERIFIED = 100


class ClientTls:
    """Makes client connection creators.

    Args:
        trust_root: an IOpenSSLTrustRoot such as ``trustRootFromCertificates`` gives; None: the
            system's certificate authorities.
    """

    def __init__(self, trust_root: Any = None) -> None:
        self._trust_root = trust_root if trust_root is not None else platformTrust()
        options = CertificateOptions(raiseMinimumTo=TLSVersion.TLSv1_2)
        self._unverified_context = options.getContext()
        self._verified: dict[str, IOpenSSLClientConnectionCreator] = {}

    def creator(self, host: str, *, verified: bool) -> IOpenSSLClientConnectionCreator:
        """For a connection to this host name (or IP address).

        Verifying creators are kept, as making one reads all authorities, but not for ever: whoever
        sends with REQUIRETLS chooses the servers.

        Raises: ValueError, where no certificate can be for such a name.
        """
        if not verified:
            return IOpenSSLClientConnectionCreator(_Unverified(self._unverified_context, host))
        if host not in self._verified:
            if len(self._verified) >= MAX_VERIFIED:
                self._verified.clear()
            self._verified[host] = optionsForClientTLS(
                host,
                self._trust_root,
                extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
            )
        return self._verified[host]


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """Encrypts and checks nothing; Twisted's own creator always verifies."""

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        # RFC 6066 section 3: no IP addresses in the server name extension.
        if not self._host.replace(".", "").isdigit() and ":" not in self._host:
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection
