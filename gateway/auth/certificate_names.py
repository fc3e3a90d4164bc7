"""What of a client certificate names its owner, by the administrator's choice.

Owns the reading. Never verifies a certificate (TLS has) and never looks anybody up. A certificate
whose extensions cannot be read names nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

MAX_NAMES = 10

Names = Callable[[x509.Certificate], Sequence[str]]


def _emails(certificate: x509.Certificate) -> Sequence[str]:
    """RFC 5280 section 4.1.2.6: rfc822Name, and only without any the older subject attribute."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.RFC822Name)
    except x509.ExtensionNotFound:
        found = []
    return found or _of_subject(certificate, NameOID.EMAIL_ADDRESS)


def _common_names(certificate: x509.Certificate) -> Sequence[str]:
    return _of_subject(certificate, NameOID.COMMON_NAME)


def _fingerprint(certificate: x509.Certificate) -> Sequence[str]:
    """SHA-256 in hexadecimal, as ``openssl x509 -fingerprint -sha256`` without its colons."""
    return (certificate.fingerprint(hashes.SHA256()).hex(),)


def _of_subject(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> Sequence[str]:
    values = (each.value for each in certificate.subject.get_attributes_for_oid(oid))
    return [value for value in values if isinstance(value, str)]


_RULES: Mapping[str, Names] = {
    "email": _emails,
    "common_name": _common_names,
    "fingerprint": _fingerprint,
}


def names_by(rule: str) -> Names:
    """The rule of this name: ``email``, ``common_name`` or ``fingerprint``."""
    read = _RULES[rule]

    def names(certificate: x509.Certificate) -> Sequence[str]:
        try:
            found = [name for name in dict.fromkeys(read(certificate)) if name]
        except ValueError:  # extensions or names that are not DER, or twice the same
            return ()
        # One that names a crowd names nobody.
        return found if len(found) <= MAX_NAMES else ()

    return names
