"""PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the password itself.

Owns the shape of their messages. Never checks a password.
"""

from __future__ import annotations

from enum import Enum

from gateway.auth.sasl import (
    IMPOSSIBLE,
    Challenge,
    Found,
    OneMessage,
    PasswordOffer,
    SaslMalformed,
    Step,
    offer,
)


class Plain(OneMessage):
    """One message ``[authzid] NUL authcid NUL passwd``."""

    def next(self, message: bytes) -> Step:
        return plain_offer(message)


def plain_offer(message: bytes) -> PasswordOffer:
    """The offer in a PLAIN message, IMPOSSIBLE unless it has exactly the shape of RFC 4616."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        return IMPOSSIBLE
    authzid, authcid, password = parts
    # Nobody may act for somebody else here: an ignored authzid is a hole (SECURITY A3).
    if authzid not in (b"", authcid):
        return IMPOSSIBLE
    return offer(authcid, password)


class LoginState(Enum):
    WANTS_USERNAME = "wants username"
    WANTS_PASSWORD = "wants password"  # noqa: S105 - a state's name
    OVER = "over"


class Login:
    """Two prompts; an initial response is the user name."""

    __slots__ = ("_state", "_username")

    def __init__(self) -> None:
        self._state = LoginState.WANTS_USERNAME
        self._username = b""

    def first(self, message: bytes | None) -> Step:
        return Challenge(b"Username:") if message is None else self.next(message)

    def next(self, message: bytes) -> Step:
        if self._state is LoginState.WANTS_USERNAME:
            self._username = message
            self._state = LoginState.WANTS_PASSWORD
            return Challenge(b"Password:")
        if self._state is LoginState.OVER:
            raise SaslMalformed("the exchange is over")
        self._state = LoginState.OVER
        return offer(self._username, message)

    def told(self, found: Found) -> Step:
        raise AssertionError("nothing was asked")

    def refused(self) -> Challenge | None:
        return None
