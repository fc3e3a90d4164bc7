"""The arithmetic of SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677) that both ends share.

Owns keys, proofs, signatures and the spelling of names. Never parses a message, never compares a
password; repr leaves keys out.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from gateway.core.saslprep import prepared_password

MECHANISM = "SCRAM-SHA-256"


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What both ends derive from a password; who has ``client_key`` can log in."""

    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def stored_key(self) -> bytes:
        return hashlib.sha256(self.client_key).digest()


def scram_keys(password: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """Takes milliseconds, on purpose: not for the reactor's thread."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared_password(password), salt, iterations)
    return ScramKeys(
        hmac.digest(salted, b"Client Key", "sha256"), hmac.digest(salted, b"Server Key", "sha256")
    )


def client_proof(keys: ScramKeys, auth_message: bytes) -> bytes:
    return _either(keys.client_key, hmac.digest(keys.stored_key, auth_message, "sha256"))


def proves(proof: bytes, stored_key: bytes, auth_message: bytes) -> bool:
    """Whether whoever made the proof had the key that ``stored_key`` is the hash of."""
    signature = hmac.digest(stored_key, auth_message, "sha256")
    if len(proof) != len(signature):
        return False
    client_key = _either(proof, signature)
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)


def server_signature(server_key: bytes, auth_message: bytes) -> bytes:
    return hmac.digest(server_key, auth_message, "sha256")


def as_saslname(text: str) -> bytes:
    """RFC 5802 section 5.1: ``=2C`` is a comma, ``=3D`` an equals sign."""
    return text.replace("=", "=3D").replace(",", "=2C").encode()


def from_saslname(octets: bytes) -> str | None:
    """None: there is another ``=`` in it, or it is not UTF-8."""
    if b"=" in octets.replace(b"=2C", b"").replace(b"=3D", b""):
        return None
    try:
        return octets.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _either(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
