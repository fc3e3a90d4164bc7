"""SASL PLAIN and LOGIN as small state machines over base64 lines; the same for all three protocols.

Owns the shape of the exchange: challenges, strict base64, cancellation, what may be in a response.
Never asks a directory, logs, or knows a protocol's words. A response that is well-formed base64
but no possible login (SECURITY A3) is no error here: it becomes an offer that ``log_in`` refuses,
so that clients see the same as for a wrong password and the failure is counted like one.

Limits: a line holds at most MAX_LINE_OCTETS (RFC 4954 section 4: 12288); PLAIN takes one line and
LOGIN two, so nothing accumulates.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

MECHANISMS = ("PLAIN", "LOGIN")
MAX_LINE_OCTETS = 12288


class SaslError(Exception):
    """The exchange ended without an offer."""


class SaslCancelled(SaslError):
    """The client sent ``*`` (RFC 4954 section 4, RFC 3501 section 6.2.2, RFC 5034 section 4)."""


class SaslMalformed(SaslError):
    """Not base64, or longer than a line may be."""


class SaslUnknownMechanism(SaslError):
    """A mechanism that is not in MECHANISMS."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What to send to the client, in base64 without CRLF; then feed its line to ``respond``."""

    line: bytes


@dataclass(frozen=True, slots=True)
class PasswordOffer:
    """The end of an exchange: a login name and password as typed, for ``log_in``."""

    login: str
    password: bytes = field(repr=False)


Step = Challenge | PasswordOffer

IMPOSSIBLE = PasswordOffer("", b"")
"""Stands for every response that cannot be a login; ``log_in`` refuses it as wrong credentials."""


class Exchange(Protocol):
    """One exchange; ``start`` once, then ``respond`` until an offer or an error comes."""

    def start(self, initial: bytes | None) -> Step:
        """Begin.

        Args:
            initial: initial response in base64 as on the wire (``b"="`` is the empty one), or
                None when the client sent none.

        Raises:
            SaslMalformed: the initial response cannot be decoded.
        """
        ...

    def respond(self, line: bytes) -> Step:
        """Go on with the client's line (without CRLF).

        Raises:
            SaslCancelled: the line is ``*``.
            SaslMalformed: the line cannot be decoded.
        """
        ...


def exchange(mechanism: str) -> Exchange:
    """A new exchange; names are compared ignoring case.

    Raises:
        SaslUnknownMechanism: neither PLAIN nor LOGIN.
    """
    match mechanism.upper():
        case "PLAIN":
            return PlainExchange()
        case "LOGIN":
            return LoginExchange()
    raise SaslUnknownMechanism(mechanism[:40])


class PlainExchange:
    """PLAIN (RFC 4616): one message ``[authzid] NUL authcid NUL passwd``."""

    def start(self, initial: bytes | None) -> Step:
        if initial is None:
            return Challenge(b"")
        return plain_offer(decode_initial(initial))

    def respond(self, line: bytes) -> Step:
        return plain_offer(decode_line(line))


class LoginState(Enum):
    WANTS_USERNAME = "wants username"
    WANTS_PASSWORD = "wants password"  # noqa: S105 - a state's name
    OVER = "over"


class LoginExchange:
    """LOGIN (draft-murchison-sasl-login): two prompts; an initial response is the user name."""

    def __init__(self) -> None:
        self._state = LoginState.WANTS_USERNAME
        self._username = b""

    def start(self, initial: bytes | None) -> Step:
        assert self._state is LoginState.WANTS_USERNAME
        if initial is None:
            return Challenge(base64.b64encode(b"Username:"))
        return self._take(decode_initial(initial))

    def respond(self, line: bytes) -> Step:
        return self._take(decode_line(line))

    def _take(self, value: bytes) -> Step:
        if self._state is LoginState.WANTS_USERNAME:
            self._username = value
            self._state = LoginState.WANTS_PASSWORD
            return Challenge(base64.b64encode(b"Password:"))
        assert self._state is LoginState.WANTS_PASSWORD, "the exchange is over"
        self._state = LoginState.OVER
        return offer(self._username, value)


def decode_initial(initial: bytes) -> bytes:
    """The octets of an initial response; ``=`` is an empty one (RFC 4954 section 4)."""
    return b"" if initial == b"=" else decode_base64(initial)


def decode_line(line: bytes) -> bytes:
    """The octets of a client's response line."""
    if line == b"*":
        raise SaslCancelled
    return decode_base64(line)


def decode_base64(text: bytes) -> bytes:
    """Canonical base64 only: no blanks, full padding, no stray bits (SECURITY A2)."""
    if len(text) > MAX_LINE_OCTETS:
        raise SaslMalformed("line too long")
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        # "from None": the cause's traceback would hold the client's octets (SECURITY A9).
        raise SaslMalformed("not base64") from None
    # strict_mode still takes bits behind the last octet (RFC 4648 section 3.5).
    if base64.b64encode(octets) != text:
        raise SaslMalformed("not canonical base64")
    return octets


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


def offer(username: bytes, password: bytes) -> PasswordOffer:
    """An offer of this user name and password, IMPOSSIBLE if they cannot be anybody's."""
    if not username or not password or b"\0" in username or b"\0" in password:
        return IMPOSSIBLE
    try:
        # RFC 4616 section 2: UTF-8. A password stays as typed, any octets (SECURITY L14).
        return PasswordOffer(username.decode("utf-8"), password)
    except UnicodeDecodeError:
        return IMPOSSIBLE
