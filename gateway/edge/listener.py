"""Listening sockets: bound while we may (ports below 1024), served once everything is built.

Owns binding and adoption; never the protocols behind. Binding and serving are two steps, because
privileges are dropped in between and workers will inherit the bound sockets.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory

from gateway.core.errors import GatewayError
from gateway.core.settings.checks import split_host_port

BACKLOG = 512

_HINTS = {
    errno.EADDRINUSE: "is another mail server running there?",
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
    errno.EAFNOSUPPORT: "this machine does not speak that version of IP",
}


class CannotListen(GatewayError):
    """An address cannot be bound; the text is for the administrator."""

    temporary = False


class Listening(Protocol):
    """A port that accepts connections, as Twisted's IListeningPort."""

    def stopListening(self) -> Deferred[None] | None: ...


class StreamReactor(Protocol):
    """The one thing needed of a reactor here (IReactorSocket)."""

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: Any
    ) -> Listening: ...


def bind(address: str) -> socket.socket:
    """A bound, listening, non-blocking socket for ``address:port``.

    Raises:
        CannotListen: with what to do about it.
    """
    host, port = split_host_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound: socket.socket | None = None
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # So that [::]:25 and 0.0.0.0:25 can stand side by side in the settings.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError as error:
        if bound is not None:
            bound.close()
        hint = _HINTS.get(error.errno or 0, "check the address")
        raise CannotListen(f"cannot listen on {address}: {error.strerror}; {hint}") from None
    bound.setblocking(False)
    return bound


def serve(
    reactor: StreamReactor,
    bound: socket.socket,
    factory: IProtocolFactory,
) -> Listening:
    """Accept connections on a bound socket (which is used up)."""
    try:
        return reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
    finally:
        bound.close()
