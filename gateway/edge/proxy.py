"""Connections that come through a proxy which says first who the client is (PROXY protocol).

Owns the time between the connection and the end of the proxy's header: who may send one at all, how
long it may take, and who the client is from then on. Never speaks: the door behind answers, on the
same transport, with the client's address in place of the proxy's.

Where a proxy is expected, its header must come (the protocol forbids guessing: a client could
forge one). Everybody else is connected as they are. Works below TLS, as proxies send it in clear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.ports.clock import Timer, Timers
from gateway.wire.proxy import NotProxied, ProxyHeader, parse_header

HEADER_LIMIT_S = 10.0


class ProxyFactory(Factory):
    """Stands before another factory.

    Args:
        wrapped: makes the protocols of clients, TLS included.
        is_proxy: whether this textual address is one of our proxies.
    """

    noisy = False

    def __init__(
        self, wrapped: IProtocolFactory, is_proxy: Callable[[str], bool], timers: Timers
    ) -> None:
        self.wrapped: Any = wrapped
        self.timers = timers
        self._is_proxy = is_proxy

    def doStart(self) -> None:
        super().doStart()
        self.wrapped.doStart()

    def doStop(self) -> None:
        self.wrapped.doStop()
        super().doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if addr is not None and self._is_proxy(getattr(addr, "host", "")):
            return ProxiedConnection(self)
        return self.wrapped.buildProtocol(addr)


class ProxiedConnection(Protocol):
    """Reads the header, then gives the transport to the client's protocol and is done."""

    log = Logger()
    transport: Any

    def __init__(self, factory: ProxyFactory) -> None:
        self._factory = factory
        self._data = b""
        self._timer: Timer | None = None

    def connectionMade(self) -> None:
        self._timer = self._factory.timers.callLater(HEADER_LIMIT_S, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        try:
            header = parse_header(self._data)
        except NotProxied as error:
            self._give_up(str(error))
            return
        if header is not None:
            self._hand_over(header)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_waiting()

    def _hand_over(self, header: ProxyHeader) -> None:
        self._stop_waiting()
        transport, rest = self.transport, self._data[header.size_octets :]
        if header.source is not None:
            host, port = header.source
            kind = IPv6Address if ":" in host else IPv4Address
            address = kind("TCP", host, port)
            # On this one transport: doors, TLS and the web side ask it who is connected.
            transport.getPeer = lambda: address
        behind = self._factory.wrapped.buildProtocol(transport.getPeer())
        transport.protocol = behind
        behind.makeConnection(transport)
        if rest and not transport.disconnecting:
            behind.dataReceived(rest)

    def _too_late(self) -> None:
        self._timer = None
        self._give_up("no PROXY protocol header in time")

    def _give_up(self, why: str) -> None:
        self.log.warn("{peer} dropped: {why}", peer=self.transport.getPeer().host, why=why)
        self.transport.abortConnection()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
