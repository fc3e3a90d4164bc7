"""Logging in at another server: which mechanism, and the lines of its exchange (RFC 4954).

Owns the order (SCRAM-SHA-256, PLAIN, LOGIN, as far as the server offers them) and what an answer
means for the login. Never decides whether a password may be said at all: the opening does.

A server may offer SCRAM and keep only a hash of this user that is good for PLAIN. So what is
refused by SCRAM is tried once more by what else is offered, unless the server has shown that it
does not know the password (RFC 5802 section 3): then it gets no other proof.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections import deque
from dataclasses import dataclass

from gateway.core.scram import MECHANISM as SCRAM
from gateway.core.scram import ScramKeys
from gateway.wire.scram_client import KeysWanted, ScramClient, ScramRefused
from gateway.wire.smtp_client_envelope import Login
from gateway.wire.smtp_client_plan import Obstacle, Result
from gateway.wire.smtp_client_reply import Reply
from gateway.wire.smtp_client_results import defer

_NOT_UNDERSTOOD = (500, 501, 502, 503, 504)
_CANCEL = b"*"  # RFC 4954 section 4


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The server has taken it."""


@dataclass(frozen=True, slots=True)
class LoginFailed:
    problem: Result
    obstacle: Obstacle


Step = bytes | KeysWanted | LoggedIn | LoginFailed
"""A line to send, keys to make, or the end."""


class LoggingIn:
    """One login, over as many mechanisms as it takes.

    Args:
        offered: by the server, in capitals.
        nonce: for SCRAM; empty: that is not used.

    ``scram_refused`` says that the server offers SCRAM and did not take it.
    """

    __slots__ = (
        "_answers",
        "_login",
        "_nonce",
        "_proven",
        "_scram",
        "_untried",
        "_why",
        "scram_refused",
    )

    def __init__(self, login: Login, offered: list[str], nonce: bytes) -> None:
        ours = (SCRAM, "PLAIN", "LOGIN") if nonce else ("PLAIN", "LOGIN")
        self._untried = deque(each for each in ours if each in offered)
        self._login = login
        self._nonce = nonce
        self._answers: deque[bytes] = deque()  # to LOGIN's challenges
        self._scram: ScramClient | None = None
        self._proven = False  # the server has shown that it knows the password
        self._why = ""
        self.scram_refused = False

    def begin(self) -> Step:
        """With the first mechanism that is left."""
        user, password = self._login.user.encode(), self._login.password
        mechanism = self._untried.popleft() if self._untried else ""
        if mechanism == SCRAM:
            self._scram = ScramClient(self._login.user, password, self._nonce)
            return b"AUTH %b %b" % (SCRAM.encode("ascii"), b64encode(self._scram.first))
        if mechanism == "PLAIN":
            return b"AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + password)
        if mechanism == "LOGIN":
            self._answers.extend((b64encode(user), b64encode(password)))
            return b"AUTH LOGIN"
        text = "the next hop offers neither AUTH SCRAM-SHA-256 nor PLAIN nor LOGIN"
        # Nothing was tried that a server could lock an account for.
        return LoginFailed(defer("4.7.0", text), Obstacle.REFUSAL)

    def on_reply(self, reply: Reply) -> Step:
        if self._scram is not None:
            return self._on_scram(self._scram, reply)
        if reply.kind == 2:
            return LoggedIn()
        if reply.code == 334 and self._answers:
            return self._answers.popleft()
        return _refused(reply)

    def keys_made(self, keys: ScramKeys) -> Step:
        assert self._scram is not None, "asked for by KeysWanted"
        return b64encode(self._scram.final(keys))

    def _on_scram(self, scram: ScramClient, reply: Reply) -> Step:
        if reply.kind == 2:
            return LoggedIn() if self._proven else _impostor()
        if reply.code != 334:
            self.scram_refused = reply.kind == 5
            if not self.scram_refused or self._proven or not self._untried:
                return _refused(reply, self._why)
            self._scram = None
            return self.begin()
        try:
            message = b64decode(reply.lines[-1].strip(), validate=True)
            if not scram.is_answered:
                return scram.challenged(message)
            if self._proven:
                raise ScramRefused("more than SCRAM has")
            self._proven = scram.is_proven(message)
        except NoBase64:
            return self._cancelled("a challenge that is not base64")
        except ScramRefused as why:
            return self._cancelled(str(why))
        return b"" if self._proven else _impostor()

    def _cancelled(self, why: str) -> Step:
        """The answer to this refuses the mechanism."""
        self._why = f"SCRAM-SHA-256 failed for {why}; "
        return _CANCEL


def _impostor() -> LoginFailed:
    text = "the next hop did not prove that it knows our password (SCRAM-SHA-256)"
    return LoginFailed(defer("4.7.8", text), Obstacle.LOGIN)


def _refused(reply: Reply, why: str = "") -> LoginFailed:
    """Our password is wrong, not the message: it waits until somebody mends that."""
    final = reply.kind == 5 and reply.code not in _NOT_UNDERSTOOD
    text = f"the next hop refused our login: {why}{reply.text}"
    return LoginFailed(defer("4.7.8", text), Obstacle.LOGIN if final else Obstacle.REFUSAL)
