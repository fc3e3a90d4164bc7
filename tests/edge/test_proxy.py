"""Connections through a proxy: the client's address counts, and only proxies may give one."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.edge.proxy import HEADER_LIMIT_S, ProxyFactory

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n"
PROXY = IPv4Address("TCP", "10.0.0.1", 5000)
STRANGER = IPv4Address("TCP", "203.0.113.5", 5000)


class Echo(Protocol):
    """Knows whom it speaks to, and what came."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""

    def connectionMade(self) -> None:
        self.transport.write(self.transport.getPeer().host.encode())

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class Wire(StringTransport):
    """A transport whose protocol can be exchanged, as a TCP connection's can."""

    protocol: Any = None
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def receive(self, data: bytes) -> None:
        self.protocol.dataReceived(data)


def connect(address: IPv4Address) -> tuple[Wire, Clock]:
    clock = Clock()
    factory = ProxyFactory(
        cast(Any, Factory.forProtocol(Echo)), lambda ip: ip == "10.0.0.1", cast(Any, clock)
    )
    wire = Wire(peerAddress=address)
    wire.protocol = factory.buildProtocol(cast(Any, address))
    wire.protocol.makeConnection(wire)
    return wire, clock


def test_the_client_behind_the_proxy_is_greeted() -> None:
    for step in (1, 7, 1000):
        wire, clock = connect(PROXY)
        octets = HEADER + b"EHLO a\r\n"
        for start in range(0, len(octets), step):
            wire.receive(octets[start : start + step])
        assert wire.value() == b"192.0.2.1"
        assert wire.protocol.received == b"EHLO a\r\n"
        assert not clock.getDelayedCalls()


def test_a_proxy_that_speaks_for_itself_keeps_its_address() -> None:
    wire, _ = connect(PROXY)
    wire.receive(b"PROXY UNKNOWN\r\n")
    assert wire.value() == b"10.0.0.1"


def test_a_stranger_cannot_claim_an_address() -> None:
    wire, _ = connect(STRANGER)
    assert wire.value() == b"203.0.113.5"
    wire.receive(HEADER)
    assert wire.protocol.received == HEADER  # for the door, which refuses it like any junk


def test_a_proxy_without_header_is_dropped_and_hears_nothing() -> None:
    wire, clock = connect(PROXY)
    wire.receive(b"EHLO a\r\n")
    assert wire.aborted and wire.value() == b""
    wire, clock = connect(PROXY)
    wire.receive(HEADER[:5])
    clock.advance(HEADER_LIMIT_S)
    assert wire.aborted and wire.value() == b""


def test_N5_a_proxy_that_goes_away_leaves_no_timer() -> None:
    wire, clock = connect(PROXY)
    wire.protocol.connectionLost()
    assert not clock.getDelayedCalls()
