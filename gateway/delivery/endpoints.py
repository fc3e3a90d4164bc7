"""How an address or a socket of this machine is connected to, and why that did not work, in words.

Owns the choice of Twisted's endpoint and the meaning of its failures. Never chooses an address.
"""

from __future__ import annotations

import errno
from typing import Any, Protocol

from twisted.internet import error
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)


class Endpoints(Protocol):
    """Makes the IStreamClientEndpoint for one address."""

    def __call__(self, ip: str, port: int, timeout_s: float) -> Any: ...


class SocketEndpoints(Protocol):
    """Makes the IStreamClientEndpoint for a Unix socket."""

    def __call__(self, path: str, timeout_s: float) -> Any: ...


def tcp_endpoints(reactor: Any) -> Endpoints:
    """Endpoints over TCP, IPv4 or IPv6 by the address."""

    def endpoint(ip: str, port: int, timeout_s: float) -> Any:
        family = TCP6ClientEndpoint if ":" in ip else TCP4ClientEndpoint
        return family(reactor, ip, port, timeout=timeout_s)

    return endpoint


def unix_endpoints(reactor: Any) -> SocketEndpoints:
    def endpoint(path: str, timeout_s: float) -> Any:
        return UNIXClientEndpoint(reactor, path, timeout=timeout_s)

    return endpoint


def has_no_way(problem: Exception) -> bool:
    """The system knows no way to such an address, and says so at once."""
    missing = isinstance(problem, OSError) and problem.errno == errno.EAFNOSUPPORT
    return missing or isinstance(problem, error.NoRouteError)


def why_not_connected(problem: Exception, socket: str = "") -> str:
    """For the sender's report.

    Args:
        socket: path of the Unix socket, if it was one.
    """
    match problem:
        case error.ConnectionRefusedError() if socket:
            return "nobody listens on this socket"
        case error.ConnectionRefusedError():
            return "connection refused"
        case error.TimeoutError() | error.TCPTimedOutError():
            return "no answer in time"
        case error.NoRouteError():
            return "no route to the host"
        case error.ConnectError(osError=int() as number) if socket:
            return _OF_SOCKETS.get(number, errno.errorcode.get(number, "unknown trouble"))
        case error.ConnectError(osError=None) if socket:
            # unix(7): the system makes nobody wait in a line of connections that is full.
            return "too many connections wait on this socket"
        case _:
            return type(problem).__name__


_OF_SOCKETS = {
    errno.ENOENT: "there is no such socket",
    errno.ENOTDIR: "there is no such socket",
    errno.EACCES: "the gateway's user may not connect to this socket",
}
