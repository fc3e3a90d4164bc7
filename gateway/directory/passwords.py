"""Passwords as an LDIF file keeps them in ``userPassword``: hashed, or clear.

Owns the storage schemes of RFC 3112 style values that OpenLDAP writes: ``{SHA}``, ``{SSHA}`` and
their SHA-2 kin, ``{ARGON2}``, ``{SCRAM-SHA-256}``, ``{CLEARTEXT}`` and no scheme at
all. A scheme is a row of a table. Never keeps, shows or logs a password. Blocking: Argon2 is meant
to take long.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Protocol

from argon2.exceptions import Argon2Error
from argon2.low_level import Type, verify_secret

from gateway.core.login_secret import ScramVerifier, scram_verifier
from gateway.directory.scram_values import SCHEME as SCRAM
from gateway.directory.scram_values import BadVerifier, scram_verifier_from

_SCHEME = re.compile(rb"\{([A-Za-z0-9/._-]+)\}")
_ARGON2 = re.compile(
    rb"\$(argon2id|argon2i|argon2d)\$v=\d+\$m=(\d{1,7}),t=(\d{1,4}),p=(\d{1,3})"
    rb"\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}\Z"
)
_ARGON2_TYPES = {b"argon2id": Type.ID, b"argon2i": Type.I, b"argon2d": Type.D}
_DIGESTS = {
    "SHA": "sha1",
    "SSHA": "sha1",
    "SHA256": "sha256",
    "SSHA256": "sha256",
    "SHA512": "sha512",
    "SSHA512": "sha512",
}
MAX_ARGON2_MEMORY_KIB = 1024 * 1024


class BadPasswordValue(ValueError):
    """A ``userPassword`` that nobody could ever log in with; the text never shows the value."""


class StoredPassword(Protocol):
    """One value of ``userPassword``."""

    @property
    def cost(self) -> int:
        """Rough work of one ``verify``, to compare values with each other."""
        ...

    def verify(self, password: bytes) -> bool: ...


@dataclass(frozen=True, slots=True)
class Clear:
    """The password itself."""

    password: bytes = field(repr=False)
    cost: int = 0

    def verify(self, password: bytes) -> bool:
        return hmac.compare_digest(self.password, password)


@dataclass(frozen=True, slots=True)
class Digest:
    """``{SSHA}`` and kin: base64 of the digest of password and salt, followed by the salt."""

    algorithm: str
    digest: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    cost: int = 1

    def verify(self, password: bytes) -> bool:
        digest = hashlib.new(self.algorithm, password + self.salt).digest()
        return hmac.compare_digest(self.digest, digest)


@dataclass(frozen=True, slots=True)
class Argon2:
    """``{ARGON2}$argon2id$…`` (RFC 9106, in the PHC string format)."""

    encoded: bytes = field(repr=False)
    kind: Type
    cost: int

    def verify(self, password: bytes) -> bool:
        try:
            return verify_secret(self.encoded, password, self.kind)
        except Argon2Error:  # VerifyMismatchError and anything its library finds wrong
            return False


@dataclass(frozen=True, slots=True)
class Scram:
    """``{SCRAM-SHA-256}`` (RFC 5803): good for SCRAM, and for who sends the password itself."""

    verifier: ScramVerifier

    @property
    def cost(self) -> int:
        # An iteration takes about as long as Argon2 does for one KiB.
        return self.verifier.iterations

    def verify(self, password: bytes) -> bool:
        derived = scram_verifier(password, self.verifier.salt, self.verifier.iterations)
        return hmac.compare_digest(derived.stored_key, self.verifier.stored_key)


def stored_password(value: bytes) -> StoredPassword:
    """A value of ``userPassword``, checked as far as can be without the password.

    Raises:
        BadPasswordValue: unknown scheme or malformed hash.
    """
    found = _SCHEME.match(value)
    if not found:
        if not value:
            raise BadPasswordValue("empty value")
        return Clear(value)
    scheme, rest = found[1].decode("ascii").upper(), value[found.end() :]
    if scheme == "CLEARTEXT" and rest:
        return Clear(rest)
    if scheme == "ARGON2":
        return _argon2(rest)
    if scheme == SCRAM:
        try:
            return Scram(scram_verifier_from(rest))
        except BadVerifier as error:
            raise BadPasswordValue(f"{{{SCRAM}}} value with {error}") from None
    if scheme in _DIGESTS:
        return _digest(scheme, rest)
    known = ", ".join(f"{{{name}}}" for name in (*_DIGESTS, "ARGON2", SCRAM, "CLEARTEXT"))
    raise BadPasswordValue(f"unknown scheme {{{scheme[:20]}}}; known are {known}")


def _argon2(encoded: bytes) -> Argon2:
    found = _ARGON2.match(encoded)
    if not found:
        raise BadPasswordValue("malformed {ARGON2} value")
    memory_kib, passes, lanes = (int(found[group]) for group in (2, 3, 4))
    if memory_kib > MAX_ARGON2_MEMORY_KIB or not memory_kib or not passes or not lanes:
        raise BadPasswordValue(f"{{ARGON2}} parameters m={memory_kib},t={passes},p={lanes}")
    return Argon2(encoded, _ARGON2_TYPES[found[1]], cost=memory_kib * passes)


def _digest(scheme: str, encoded: bytes) -> Digest:
    algorithm = _DIGESTS[scheme]
    length = hashlib.new(algorithm, usedforsecurity=False).digest_size
    try:
        octets = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise BadPasswordValue(f"{{{scheme}}} value is not base64") from None
    salted = scheme.startswith("SS")
    if len(octets) < length or (len(octets) > length) != salted:
        raise BadPasswordValue(f"{{{scheme}}} value has the wrong length")
    return Digest(algorithm, octets[:length], octets[length:])


class Verifier:
    """Checks passwords at one cost for everybody, so that time tells nothing (SECURITY A6).

    Whoever fails costs one verification of the most expensive kind in use: people without a
    password, unknown people and people with a cheap hash get it on top.

    Args:
        stored: all values in use.
    """

    def __init__(self, stored: list[StoredPassword]) -> None:
        self._dearest = max(stored, key=lambda value: value.cost, default=None)

    def verify(self, stored: tuple[StoredPassword, ...], password: bytes) -> bool:
        """Whether the password is one of the person's (any value counts, RFC 4519 2.41)."""
        if any(value.verify(password) for value in stored):
            return True
        dearest = self._dearest
        if dearest is not None and all(value.cost < dearest.cost for value in stored):
            dearest.verify(password)
        return False
