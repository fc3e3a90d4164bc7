"""The issuer's public keys from a JWK Set (RFC 7517): which are usable, and for which algorithm.

Owns the choice: a key is good for the one algorithm that its type allows, whatever a token says
(RFC 8725 section 3.1), so that a public key is never taken for a shared secret. Private and shared
keys are no use here and are not loaded. Never reads a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jwt import PyJWK
from jwt.exceptions import PyJWTError

MAX_KEYS = 100
MIN_RSA_BITS = 2048  # RFC 7518 section 3.3

# kty, and for curves crv (RFC 7518 section 6, RFC 8037 section 2), of each algorithm.
_KEY_TYPES: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
ALGORITHMS = tuple(_KEY_TYPES)


class BadKeySet(ValueError):
    """Not a JWK Set, or none of its keys can be used; says what is wrong."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key and what it is good for."""

    key_id: str | None
    algorithm: str
    key: Any = field(repr=False)


def key_set(text: bytes) -> tuple[VerificationKey, ...]:
    """The usable keys. Raises: BadKeySet."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise BadKeySet("not JSON") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise BadKeySet('no "keys"')
    if len(entries) > MAX_KEYS:
        raise BadKeySet(f"more than {MAX_KEYS} keys")
    keys = tuple(key for key in map(_usable, entries) if key is not None)
    if not keys:
        raise BadKeySet(f"no public key for any of {', '.join(ALGORITHMS)}")
    return keys


def _usable(entry: object) -> VerificationKey | None:
    if not isinstance(entry, dict):
        return None
    kind = entry.get("kty"), entry.get("crv") if entry.get("kty") != "RSA" else None
    algorithm = next((name for name, known in _KEY_TYPES.items() if known == kind), None)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    # RFC 7517 sections 4.2 and 4.3; "d" is a private key's.
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    if "d" in entry:
        return None
    try:
        key = PyJWK(entry, algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key_size < MIN_RSA_BITS:
        return None
    key_id = entry.get("kid")
    return VerificationKey(key_id if isinstance(key_id, str) else None, algorithm, key)
