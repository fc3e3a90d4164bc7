"""The service account: how it binds, and that nobody tries while its password is refused.

Owns one back-off for all servers and all processes: what one refuses all refuse, and Active
Directory would lock the account for everybody (SECURITY L22). Until it has worked it is tried by
one at a time. While it is refused, pauses grow by GROWTH from ``pause_s`` to LONGEST_PAUSE_S: four
attempts in the half hour in which directories count them, below the five at which they lock. Never
asks a server anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from gateway.core.log_text import escaped
from gateway.core.pause import pause
from gateway.core.ports.clock import Timers
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.pool import Link
from gateway.directory.ldap.results import INVALID_CREDENTIALS, SUCCESS
from gateway.wire.ldap.messages import BindRequest, Control, Result

LONGEST_PAUSE_S = 900.0
GROWTH = 5
WORKS_S = 3600.0
REMEMBERED_S = 7200.0
LOOK_S = 0.05
LOOK_AGAIN_S = 5.0

_WORDS = {
    7: "it does not know this bind_method",  # authMethodNotSupported
    # RFC 4511 section 4.1.9; Active Directory asks so for signing or TLS (SECURITY L24).
    8: "it demands TLS or signing: use ldaps:// or start_tls",
    13: "it demands TLS: use ldaps:// or start_tls",  # confidentialityRequired
    48: "it does not let this account bind so",  # inappropriateAuthentication
}


class ServiceRefused(LdapFailed):
    """The directory knows the service account's password for wrong."""


class Marks(Protocol):
    """Small numbers by name, each for a while; see ``core.shared_marks``."""

    def get(self, name: bytes) -> int: ...

    def put(self, name: bytes, number: int, for_s: float) -> None: ...

    def forget(self, name: bytes) -> None: ...


class OwnMarks:
    """Of one process alone."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._marks: dict[bytes, tuple[int, float]] = {}

    def get(self, name: bytes) -> int:
        number, until = self._marks.get(name, (0, 0.0))
        return number if self._timers.seconds() < until else 0

    def put(self, name: bytes, number: int, for_s: float) -> None:
        self._marks[name] = number, self._timers.seconds() + for_s

    def forget(self, name: bytes) -> None:
        self._marks.pop(name, None)


class ServiceAccount:
    """Binds.

    Args:
        dn: empty with a simple bind: anonymous.
        mechanism: ``EXTERNAL``, or empty for a simple bind.
        bind_controls: of people's binds, for those who make them.
        marks: of all processes; None: there is only this one.
    """

    def __init__(
        self,
        timers: Timers,
        *,
        dn: str,
        password: bytes,
        mechanism: str,
        pause_s: float,
        bind_controls: Sequence[Control] = (),
        marks: Marks | None = None,
    ) -> None:
        self._timers = timers
        self._dn = dn
        self._password = password
        self._mechanism = mechanism
        self._pause_s = pause_s
        self._marks = marks or OwnMarks(timers)
        name = blake2b(b"%b\0%b" % (dn.encode(), password), digest_size=16).digest()
        self._refused, self._refusals = b"account refused " + name, b"account refusals " + name
        self._works, self._asking = b"account works " + name, b"account asking " + name
        self._until = float("-inf")
        self.trouble = ""
        self.bind_controls = tuple(bind_controls)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.who}>"

    @property
    def who(self) -> str:
        """For people."""
        if self._mechanism:
            return "by certificate"
        return f"as {self._dn}" if self._dn else "anonymously"

    def wait_s(self) -> float:
        """Until it may be tried again."""
        return max(0.0, self._until - self._timers.seconds())

    def check(self) -> None:
        """Raises: ServiceRefused."""
        if self.wait_s() > 0:
            reason = f"{self.trouble}; not tried again yet, as that would lock the account"
            raise ServiceRefused(reason)

    async def bind(self, link: Link, server: str, *, deadline_s: float) -> None:
        """Bind a fresh connection.

        Raises:
            ServiceRefused: the password is wrong.
            LdapFailed: anything else but success.
        """
        if not self._dn and not self._mechanism:
            return  # RFC 4511 section 4.2.1: a connection that has not bound is anonymous
        if self._mechanism:
            # RFC 4513 section 5.2.3.2: an empty name says that whom the certificate names is meant;
            # none at all would be asked for.
            request = BindRequest("", mechanism=self._mechanism, credentials=b"")
        else:
            request = BindRequest(self._dn, self._password)
        await self._turn(deadline_s)
        marks = self._marks
        marks.put(self._asking, 1, deadline_s + LOOK_AGAIN_S)
        try:
            result = (await link.bind(request, deadline_s=deadline_s)).result
        finally:
            marks.forget(self._asking)
        if result.code == SUCCESS:
            marks.put(self._works, 1, WORKS_S)
            marks.forget(self._refusals)
            self.trouble = ""
            return
        reason = f"{server}: the service account was refused: {_why(result)}"
        if result.code != INVALID_CREDENTIALS:
            raise LdapFailed(reason)
        refusals = min(marks.get(self._refusals), 10) + 1
        pause_s = min(LONGEST_PAUSE_S, self._pause_s * GROWTH ** (refusals - 1))
        marks.put(self._refusals, refusals, REMEMBERED_S)
        marks.put(self._refused, 1, pause_s)
        marks.forget(self._works)
        self._rest(pause_s, reason)
        raise ServiceRefused(reason)

    async def _turn(self, deadline_s: float) -> None:
        """Raises: ServiceRefused, LdapFailed."""
        marks = self._marks
        end = self._timers.seconds() + deadline_s
        while True:
            if marks.get(self._refused):
                elsewhere = "the service account was refused to another process of the gateway"
                self._rest(LOOK_AGAIN_S, self.trouble or elsewhere)
                self.check()
            if marks.get(self._works) or not marks.get(self._asking):
                return
            if self._timers.seconds() >= end:
                raise LdapFailed("another connection tries the service account")
            await pause(self._timers, LOOK_S)

    def _rest(self, pause_s: float, reason: str) -> None:
        self._until = self._timers.seconds() + pause_s
        self.trouble = reason


def _why(result: Result) -> str:
    words = "wrong password" if result.code == INVALID_CREDENTIALS else _WORDS.get(result.code)
    said = escaped(result.diagnostic, 200)
    return f"{words or f'result code {result.code}'}: {said}"
