"""Whether a server's certificate is the one that its TLSA records name (RFC 7671, RFC 7672).

Owns that judgement alone; the records come from ``tlsa``, and whether they may be believed is known
before. Usages 0 and 1 are none for mail (RFC 7672 section 3.1.3), and 255 is private: such records
are not usable, like those with other selectors or matchings (RFC 7671 section 4.1).

Limits: MAX_CHAIN certificates are looked at. The trust anchor of usage 2 must be in the server's
chain, as RFC 7672 section 3.1.2 demands of servers, or whole in its record.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256, sha512

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from OpenSSL import crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import DNS_ID, verify_service_identity

from gateway.delivery.targets import Tlsa
from gateway.wire.tlsrpt import ResultType

DANE_TA = 2
DANE_EE = 3
WHOLE = 0
MAX_CHAIN = 10
_SIZES = {1: 32, 2: 64}  # of the digests
_EXPIRED = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_NO_PROOF = (VerificationError, CertificateError, ValueError)
"""Another name, none at all, names that cannot be read, or a host name that only DNS allows."""


class DaneFailure(Exception):
    """No record of the server's fits what it shows.

    Args:
        kind: for reports.
    """

    def __init__(self, kind: ResultType, text: str) -> None:
        self.kind = kind
        super().__init__(text)


def usable(record: Tlsa) -> bool:
    """Whether a record can prove anything to a mail server."""
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (0, 1):
        return False
    if record.matching == WHOLE:
        return bool(record.data)
    return len(record.data) == _SIZES.get(record.matching)


def prove(chain: Sequence[crypto.X509], records: Sequence[Tlsa], names: Sequence[str]) -> None:
    """One record must fit.

    Args:
        chain: as the server sent it, its own certificate first.
        records: usable ones.
        names: for which a certificate under DANE-TA may be.

    Raises:
        DaneFailure: none does; it tells of the one that came closest.
    """
    if not chain:
        raise DaneFailure(ResultType.VALIDATION_FAILURE, "the server showed no certificate")
    shown = [each.to_cryptography() for each in chain[:MAX_CHAIN]]
    for record in records:
        # RFC 7672 section 3.1.1: neither names nor dates count; the record binds and ends it.
        if record.usage == DANE_EE and _fits(shown[0], record):
            return
    failure = DaneFailure(ResultType.VALIDATION_FAILURE, "the certificate fits no TLSA record")
    for anchor in _anchors(chain[:MAX_CHAIN], shown, records):
        try:
            _prove_below(chain[:MAX_CHAIN], anchor)
            _prove_name(shown[0], names)
        except DaneFailure as problem:
            failure = problem
        else:
            return
    raise failure


def _anchors(
    chain: Sequence[crypto.X509], shown: Sequence[x509.Certificate], records: Sequence[Tlsa]
) -> list[crypto.X509]:
    """Certificates above the server's own that a DANE-TA record names."""
    found: list[crypto.X509] = []
    for record in records:
        if record.usage != DANE_TA:
            continue
        found += [
            sent for sent, each in zip(chain[1:], shown[1:], strict=True) if _fits(each, record)
        ]
        if record.matching == WHOLE and record.selector == 0:
            try:
                found.append(crypto.load_certificate(crypto.FILETYPE_ASN1, record.data))
            except crypto.Error:
                continue
    return found


def _fits(certificate: x509.Certificate, record: Tlsa) -> bool:
    try:
        octets = (
            certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            if record.selector == 1
            else certificate.public_bytes(Encoding.DER)
        )
    except (ValueError, UnsupportedAlgorithm):
        return False  # a kind of key that nobody here knows
    if record.matching == 1:
        octets = sha256(octets).digest()
    elif record.matching == 2:
        octets = sha512(octets).digest()
    return hmac.compare_digest(octets, record.data)


def _prove_below(chain: Sequence[crypto.X509], anchor: crypto.X509) -> None:
    """The server's certificate must lead up to the anchor, all of it valid now. Raises:
    DaneFailure."""
    store = crypto.X509Store()
    store.add_cert(anchor)
    # The anchor need not be signed by itself (RFC 7671 section 5.2).
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    try:
        crypto.X509StoreContext(store, chain[0], list(chain[1:])).verify_certificate()
    except crypto.X509StoreContextError as error:
        expired = error.errors[0] in _EXPIRED
        kind = ResultType.CERTIFICATE_EXPIRED if expired else ResultType.CERTIFICATE_NOT_TRUSTED
        text = f"the chain to the certificate that TLSA names is not valid: {error}"
        raise DaneFailure(kind, text) from None


def _prove_name(certificate: x509.Certificate, names: Sequence[str]) -> None:
    """RFC 7672 section 3.2.2. Raises: DaneFailure."""
    try:
        usages = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    except x509.ExtensionNotFound:
        pass
    else:
        allowed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
        assert isinstance(usages.value, x509.ExtendedKeyUsage)
        if not any(usage in usages.value for usage in allowed):
            text = "the certificate is not for servers"
            raise DaneFailure(ResultType.CERTIFICATE_NOT_TRUSTED, text)
    for name in names:
        try:
            verify_service_identity(extract_patterns(certificate), [DNS_ID(name)], [])
        except _NO_PROOF:
            continue
        return
    text = f"the certificate is not for {' or '.join(names)}"
    raise DaneFailure(ResultType.CERTIFICATE_HOST_MISMATCH, text)
