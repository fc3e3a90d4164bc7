"""From a host's name and port to a TCP connection: every address, one beside the other if need be.

Owns what is remembered of names: the address that answered last is tried first for REMEMBERED_S,
without asking DNS, as each person's login has a connection of its own. When it fails, or is silent
for FIRST_S, the name is looked up anew and all its addresses are tried, the next one while the
first still hesitates (RFC 8305). How one address is reached is ``connecting``'s. Never blocks: the
reactor's resolver has threads of its own.

Limits: MOST_NAMES remembered.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError

from gateway.core.hosts import parse_ip
from gateway.directory.ldap.connecting import connect

REMEMBERED_S = 60.0
FIRST_S = 1.0
MOST_NAMES = 64
KEEPALIVE_IDLE_S = 60
_ATTEMPT_DELAY_S = 0.25  # RFC 8305 section 5


class Reaches:
    """Connects. Args: reactor: IReactorTime and IReactorSocket, with a name resolver."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._remembered: dict[str, tuple[str, float]] = {}

    async def connect(self, host: str, port: int, factory: Any, *, timeout_s: float) -> Any:
        """The protocol that the factory built, connected.

        Raises:
            Exception: of Twisted, with words: no such name, refused, no answer. To look up a name
                and then to try its addresses may take longer than the limit: whoever gives a name
                keeps to it by ``patience``.
        """
        if parse_ip(host) is not None:
            protocol = await connect(self._reactor, host, port, factory, timeout_s=timeout_s)
        else:
            protocol = await self._by_name(host, port, factory, timeout_s)
        _tune(protocol.transport)
        return protocol

    async def _by_name(self, host: str, port: int, factory: Any, timeout_s: float) -> Any:
        address, until = self._remembered.pop(host, ("", 0.0))
        now = self._reactor.seconds()
        if now < until:
            first_s = min(FIRST_S, timeout_s / 2)
            with suppress(ConnectError):
                protocol = await connect(self._reactor, address, port, factory, timeout_s=first_s)
                self._remembered[host] = (address, until)
                return protocol
        endpoint = HostnameEndpoint(
            self._reactor, host, port, timeout=timeout_s, attemptDelay=_ATTEMPT_DELAY_S
        )
        protocol = await endpoint.connect(factory)
        while len(self._remembered) >= MOST_NAMES:
            del self._remembered[next(iter(self._remembered))]
        peer = protocol.transport.getPeer()
        self._remembered[host] = (peer.host, self._reactor.seconds() + REMEMBERED_S)
        return protocol


def _tune(transport: Any) -> None:
    # Nagle's algorithm would hold a bind back until the handshake's last message is acknowledged,
    # 40 ms later.
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    with suppress(OSError, AttributeError):  # where the system has no such option
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
