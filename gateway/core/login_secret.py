"""What is kept of a person so that they can prove who they are without sending their password.

Values, and how a verifier is made of a password. Never shows a secret: repr leaves
passwords and keys out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gateway.core.account import Account
from gateway.core.scram import scram_keys


class SecretKind(Enum):
    """What a source can tell of people."""

    PASSWORD = "the password itself"  # noqa: S105 - a kind's name
    SCRAM = "a SCRAM-SHA-256 verifier"


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What RFC 5803 has a directory keep for SCRAM-SHA-256 (RFC 7677).

    Args:
        app_password: the number of the app password it is of; 0: of the person's own.
        barred: why it lets nobody in here and now, for the log; empty: it does.
    """

    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    app_password: int = 0
    barred: str = ""


@dataclass(frozen=True, slots=True)
class LoginSecret:
    """One person's secret: the password itself or a verifier.

    Args:
        account: whose it is; ``enabled`` is to be looked at.
        password: None where only a verifier is kept.
        verifier: None where only the password is kept.
    """

    account: Account
    password: bytes | None = field(default=None, repr=False)
    verifier: ScramVerifier | None = field(default=None, repr=False)

    def has(self, kind: SecretKind) -> bool:
        """Whether a proof of this kind can be checked; a password is good for SCRAM as well."""
        if kind is SecretKind.PASSWORD:
            return self.password is not None
        return self.password is not None or self.verifier is not None


def scram_verifier(password: bytes, salt: bytes, iterations: int) -> ScramVerifier:
    """The verifier of a password. Takes milliseconds, on purpose: not for the reactor's thread."""
    keys = scram_keys(password, salt, iterations)
    return ScramVerifier(iterations, salt, keys.stored_key, keys.server_key)
