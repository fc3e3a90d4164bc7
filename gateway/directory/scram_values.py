"""SCRAM-SHA-256 verifiers as directories keep them.

Owns the forms: RFC 5803's ``authPassword`` (``SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey``),
and the same behind ``{SCRAM-SHA-256}`` in ``userPassword``, where Dovecot writes commas instead.
Never derives a key.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from gateway.core.login_secret import ScramVerifier

SCHEME = "SCRAM-SHA-256"
MIN_ITERATIONS = 4096  # RFC 7677 section 4; clients refuse fewer
MAX_ITERATIONS = 10_000_000
MAX_SALT_OCTETS = 64
_KEY_OCTETS = 32

# RFC 3112 section 2: authPasswordValue = w scheme s authInfo s authValue w; s is a "$" with blanks.
_AUTH_PASSWORD = re.compile(rb" *([A-Z0-9./_-]{1,64}) *\$ *([^$ ]*) *\$ *([^$ ]*) *\Z")


class BadVerifier(ValueError):
    """Not a usable verifier; the text never shows the value."""


def verifier_in(values: Iterable[bytes]) -> ScramVerifier | None:
    """The first usable SCRAM-SHA-256 value of ``authPassword``; others may stand beside it."""
    for value in values:
        found = _AUTH_PASSWORD.match(value)
        if found is not None and found[1] == SCHEME.encode("ascii"):
            try:
                return scram_verifier_from(b"%b$%b" % (found[2], found[3]))
            except BadVerifier:
                continue
    return None


def scram_verifier_from(text: bytes) -> ScramVerifier:
    """``iterations:salt$StoredKey:ServerKey`` or ``iterations,salt,StoredKey,ServerKey``.

    Raises:
        BadVerifier: neither, or out of bounds.
    """
    parts = text.split(b",") if b"," in text else re.split(rb"[:$]", text)
    if len(parts) != 4 or not re.fullmatch(rb"[0-9]{1,8}", parts[0]):
        raise BadVerifier("not iterations, salt, StoredKey and ServerKey")
    iterations = int(parts[0])
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise BadVerifier(f"{iterations} iterations")
    try:
        salt, stored_key, server_key = (base64.b64decode(each, validate=True) for each in parts[1:])
    except binascii.Error:
        raise BadVerifier("not base64") from None
    if not 0 < len(salt) <= MAX_SALT_OCTETS or {len(stored_key), len(server_key)} != {_KEY_OCTETS}:
        raise BadVerifier("a salt or key of the wrong length")
    return ScramVerifier(iterations, salt, stored_key, server_key)
