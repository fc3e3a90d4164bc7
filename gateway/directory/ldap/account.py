"""The service account: how it binds, and that nobody tries while its password is refused.

Owns one back-off for all servers: what one refuses all refuse, and Active Directory would lock the
account for everybody (SECURITY L22). Pauses grow from ``pause_s`` to LONGEST_PAUSE_S while it is
refused. Never asks a server anything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timers
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.pool import Link
from gateway.directory.ldap.results import INVALID_CREDENTIALS, SUCCESS
from gateway.wire.ldap.messages import BindRequest, Control, Result

LONGEST_PAUSE_S = 600.0

_WORDS = {
    7: "it does not know this bind_method",  # authMethodNotSupported
    # RFC 4511 section 4.1.9; Active Directory asks so for signing or TLS (SECURITY L24).
    8: "it demands TLS or signing: use ldaps:// or start_tls",
    13: "it demands TLS: use ldaps:// or start_tls",  # confidentialityRequired
    48: "it does not let this account bind so",  # inappropriateAuthentication
}


class ServiceRefused(LdapFailed):
    """The directory knows the service account's password for wrong."""


class ServiceAccount:
    """Binds.

    Args:
        dn: empty with a simple bind: anonymous.
        mechanism: ``EXTERNAL``, or empty for a simple bind.
        bind_controls: of people's binds, for those who make them.
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
    ) -> None:
        self._timers = timers
        self._dn = dn
        self._password = password
        self._mechanism = mechanism
        self._pause_s = pause_s
        self._refusals = 0
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
        result = (await link.bind(request, deadline_s=deadline_s)).result
        if result.code == SUCCESS:
            self._refusals, self.trouble = 0, ""
            return
        reason = f"{server}: the service account was refused: {_why(result)}"
        if result.code != INVALID_CREDENTIALS:
            raise LdapFailed(reason)
        self._refusals += 1
        pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2.0 ** min(self._refusals - 1, 10))
        self._until = self._timers.seconds() + pause_s
        self.trouble = reason
        raise ServiceRefused(reason)


def _why(result: Result) -> str:
    words = "wrong password" if result.code == INVALID_CREDENTIALS else _WORDS.get(result.code)
    said = escaped(result.diagnostic, 200)
    return f"{words or f'result code {result.code}'}: {said}"
