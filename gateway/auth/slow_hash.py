"""A slow, memory-hard hash of a password, for what is kept on disk.

Owns the parameters. argon2id (RFC 9106) with 32 MiB, two passes and one lane: beyond what OWASP
asks for (19 MiB), about 50 ms on one core, so that a few threads check all that come in an outage
while who steals the store makes some twenty guesses a second and core. Blocking: for threads only.
"""

from __future__ import annotations

from argon2.exceptions import Argon2Error
from argon2.low_level import Type, hash_secret, verify_secret

MEMORY_KIB = 32 * 1024
PASSES = 2
LANES = 1
HASH_OCTETS = 32
SALT_OCTETS = 16


def slow_hash(password: bytes, salt: bytes) -> str:
    """In the PHC string format; octets as typed. ``salt``: SALT_OCTETS, never used twice."""
    hashed = hash_secret(password, salt, PASSES, MEMORY_KIB, LANES, HASH_OCTETS, Type.ID)
    return hashed.decode("ascii")


def fits(hashed: str, password: bytes) -> bool:
    """Whether it is the hash of this password; takes as long either way."""
    try:
        return verify_secret(hashed.encode("ascii"), password, Type.ID)
    except (Argon2Error, UnicodeEncodeError):  # another password, or no hash at all
        return False
