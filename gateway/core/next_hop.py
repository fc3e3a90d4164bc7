"""A mail server that somebody named: smart host, relay, next hop; read from its URL.

Owns the meaning of ``smtp://[user@]host[:port][?tls=LEVEL]``, ``smtps://…``, ``lmtp://…`` and
``lmtp+unix:///path``, and of chains of them: texts joined by a space. Never resolves a name. The
password is never part of the URL, so that no log or ``config show`` can leak it.

- ``smtp://``: port 25; ``lmtp://``: port 24 (RFC 2033); both with STARTTLS.
- ``smtps://``: port 465, TLS from the first octet (RFC 8314 section 3.3).
- ``lmtp+unix://``: a Unix socket of this machine by its absolute path, without TLS, which a file's
  permissions stand in for. A blank or other such octet is written as ``%20``.
- ``tls``: ``none``; ``opportunistic`` is taken when offered and not proven (RFC 7435);
  ``required`` is encrypted, whoever it is; ``verified`` proves the name by its certificate.

Where the URL says nothing, ``smtps://`` and servers with a user are ``verified``; the others are
what their place in the configuration says. On loopback, where nobody can listen, those without
``smtps://`` are ``opportunistic``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from gateway.core.hosts import is_loopback, parse_ip

TlsLevel = Literal["none", "opportunistic", "required", "verified"]
LEVELS: tuple[TlsLevel, ...] = get_args(TlsLevel)
"""The weakest first."""

BY_MX = "mx"
"""In place of a chain: MX records decide, whatever smart hosts there are."""

MAX_CHAIN = 10
MAX_SOCKET_PATH_OCTETS = 107
"""Linux has room for so many, and for the NUL behind them (unix(7), ``sun_path``)."""
SOCKET_HOST = "localhost"
"""How the server behind a Unix socket is called in logs and reports."""
_SOCKET_SCHEME: Final = "lmtp+unix"
_PORTS = {"smtp": 25, "smtps": 465, "lmtp": 24}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_EXPECTED = "a server such as smtp://relay.example.net:25 or smtps://user@relay.example.net"


class NextHopSyntax(ValueError):
    """Not the URL of a mail server."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """A named server.

    Args:
        host: name or IP address, without brackets, lower case.
        tls: what the URL says, or what fits (see above); empty: neither says anything.
        user: login name, empty for none.
        socket: path of the Unix socket; empty: it is reached by host and port.
    """

    scheme: Literal["smtp", "smtps", "lmtp", "lmtp+unix"]
    host: str
    port: int
    tls: TlsLevel | Literal[""] = ""
    user: str = ""
    socket: str = ""

    @property
    def implicit_tls(self) -> bool:
        return self.scheme == "smtps"

    @property
    def lmtp(self) -> bool:
        return self.scheme in ("lmtp", _SOCKET_SCHEME)

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def login_names(self) -> tuple[str, ...]:
        """By which a password is found, as ``login_name`` spells them, the nearest first."""
        if not self.user:
            return ()
        name = f"{self.user}@{_bracketed(self.host)}"
        return f"{name}:{self.port}", name

    def with_tls(self, level: TlsLevel) -> NextHop:
        """At this level where it has none of its own and is not on loopback."""
        return self if self.tls or self.on_loopback else replace(self, tls=level)

    def __str__(self) -> str:
        """The URL in one spelling; what it would mean anyway is left out."""
        if self.socket:
            return f"{self.scheme}://{quote(self.socket)}"
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        fitting = _fitting(self.scheme, self.user, self.host)
        tls = f"?tls={self.tls}" if self.tls != fitting else ""
        return f"{self.scheme}://{user}{_bracketed(self.host)}:{self.port}{tls}"


def parse_next_hop(text: str) -> NextHop:
    """Raises: NextHopSyntax."""
    try:
        parts = urlsplit(text)
        port = parts.port
        options = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
    except ValueError:
        raise NextHopSyntax(_EXPECTED) from None
    if parts.scheme == _SOCKET_SCHEME:
        return _at_socket(text, parts)
    host = (parts.hostname or "").rstrip(".")
    default = _PORTS.get(parts.scheme)
    if (
        default is None
        or not host
        or port == 0
        or parts.path not in ("", "/")
        or "#" in text
        or not text.isprintable()
        or " " in text
    ):
        raise NextHopSyntax(_EXPECTED)
    if not _is_host(host):
        raise NextHopSyntax("its host is neither a name (non-ASCII as xn--…) nor an address")
    if parts.password is not None:
        raise NextHopSyntax("the password does not belong into the URL")
    user = unquote(parts.username or "")
    scheme: Literal["smtp", "smtps", "lmtp"] = parts.scheme  # type: ignore[assignment]  # a key
    tls: TlsLevel | Literal[""] = _fitting(scheme, user, host)
    for level in LEVELS:
        if options == [("tls", level)]:
            tls = level
            break
    else:
        if options:
            raise NextHopSyntax(f"the only option of a server's URL is tls={'|'.join(LEVELS)}")
    if tls == "none" and scheme == "smtps":
        raise NextHopSyntax("smtps is TLS, so tls=none says the contrary")
    if tls == "none" and user and not is_loopback(host):
        raise NextHopSyntax("a password travels under TLS only")
    return NextHop(scheme, host, port or default, tls, user)


def _at_socket(text: str, parts: SplitResult) -> NextHop:
    try:
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError:
        raise NextHopSyntax("the path of its socket is not UTF-8") from None
    if "://" not in text or parts.netloc or not path.strip("/") or path.endswith("/"):
        raise NextHopSyntax("lmtp+unix takes the absolute path of a socket: lmtp+unix:///run/lmtp")
    if "?" in text or "#" in text:
        raise NextHopSyntax("lmtp+unix takes a path and nothing else: no TLS, no user")
    if not text.isprintable() or " " in text or not path.isprintable():
        raise NextHopSyntax("the path of a socket has a blank (written as %20) or a control in it")
    octets = len(path.encode())
    if octets > MAX_SOCKET_PATH_OCTETS:
        raise NextHopSyntax(
            f"the path of its socket has {octets} octets, and the system takes"
            f" {MAX_SOCKET_PATH_OCTETS}"
        )
    return NextHop(_SOCKET_SCHEME, SOCKET_HOST, 0, "none", socket=path)


def login_name(text: str) -> str:
    """``user@host`` or ``user@host:port`` of the configuration in one spelling. Raises:
    NextHopSyntax."""
    hop = parse_next_hop(f"smtp://{text}")
    if not hop.user:
        raise NextHopSyntax('a user and a server as in the URL: "user@relay.example.net"')
    return hop.login_names[urlsplit(f"smtp://{text}").port is None]


def parse_chain(text: str) -> tuple[NextHop, ...]:
    """Servers in the order in which they are tried. Raises: NextHopSyntax."""
    urls = text.split()
    if not 0 < len(urls) <= MAX_CHAIN:
        raise NextHopSyntax(f"one to {MAX_CHAIN} servers such as smtp://relay.example.net:25")
    return tuple(map(parse_next_hop, urls))


def chain_text(hops: Sequence[NextHop], level: TlsLevel = "opportunistic") -> str:
    """Args:
    level: of those whose URL says nothing, where that is not opportunistic.
    """
    if level == "opportunistic":
        return " ".join(map(str, hops))
    return " ".join(str(hop.with_tls(level)) for hop in hops)


def _is_host(text: str) -> bool:
    """Args: text: lower case, without brackets."""
    # RFC 1123 section 2.1: a name that ends in digits would be an address.
    named = _NAME.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()
    return named or parse_ip(text) is not None


def _fitting(scheme: str, user: str, host: str) -> Literal["", "opportunistic", "verified"]:
    if scheme == "smtps":
        return "verified"
    if not user:
        return ""
    return "opportunistic" if is_loopback(host) else "verified"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
