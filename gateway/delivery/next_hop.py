"""A server that the administrator named: smart host or relay, read from its URL.

Owns the meaning of ``smtp://[user@]host[:port][?tls=required]`` and ``smtps://…``. Never resolves a
name. The password is never part of the URL, so that no log or ``config show`` can leak it.

- ``smtp://``: port 25, STARTTLS taken when offered, its certificate not checked (RFC 7435).
- ``smtp://…?tls=required`` or ``smtp://user@…``: STARTTLS and a valid certificate are required;
  with a user on loopback TLS stays optional, as nobody can listen there.
- ``smtps://``: port 465, TLS from the first octet (RFC 8314 section 3.3), valid certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.core.hosts import is_loopback
from gateway.wire.smtp_client_plan import TlsRule

_EXPECTED = "a server such as smtp://relay.example.net:25 or smtps://user@relay.example.net"


class NextHopSyntax(ValueError):
    """Not the URL of a mail server."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """A named server.

    Args:
        host: name or IP address, without brackets, lower case.
        implicit_tls: TLS from the first octet.
        tls: what STARTTLS is; REQUIRED also where TLS is implicit.
        user: login name, empty for none.
    """

    host: str
    port: int
    implicit_tls: bool = False
    tls: TlsRule = TlsRule.OPPORTUNISTIC
    user: str = ""

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'smtps' if self.implicit_tls else 'smtp'}://{host}:{self.port}"


def parse_next_hop(text: str) -> NextHop:
    """Raises: NextHopSyntax."""
    try:
        parts = urlsplit(text)
        port = parts.port
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise NextHopSyntax(_EXPECTED) from None
    host = (parts.hostname or "").rstrip(".")
    if (
        parts.scheme not in ("smtp", "smtps")
        or not host
        or port == 0
        or parts.path not in ("", "/")
        or parts.fragment
    ):
        raise NextHopSyntax(_EXPECTED)
    if parts.password is not None:
        raise NextHopSyntax("the password does not belong into the URL")
    if options.pop("tls", "required") != "required" or options:
        raise NextHopSyntax("the only option of a server's URL is tls=required")
    user = unquote(parts.username or "")
    implicit = parts.scheme == "smtps"
    protected = bool(user) and not is_loopback(host)
    tls = TlsRule.REQUIRED if implicit or parts.query or protected else TlsRule.OPPORTUNISTIC
    return NextHop(host, port or (465 if implicit else 25), implicit, tls, user)
