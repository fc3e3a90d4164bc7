"""The http listener's pages, and what bounds a request."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gateway.edge.http.health import health_site
from gateway.edge.http.site import MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, REQUEST_S


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.ready = True
        timers: Any = self.clock
        self.site = health_site(lambda: self.ready, timers)

    def connect(self, ip: str = "192.0.2.1") -> tuple[Any, StringTransport]:
        transport = StringTransport(peerAddress=IPv4Address("TCP", ip, 50_000))
        transport.abortConnection = lambda: setattr(transport, "disconnected", True)  # type: ignore[method-assign]
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, octets: bytes) -> bytes:
        channel, transport = self.connect()
        channel.dataReceived(octets)
        answer: bytes = transport.value()
        return answer


def get(path: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n"


def test_healthz_says_whether_the_gateway_is_ready() -> None:
    bench = Bench()
    assert bench.ask(get(b"/healthz")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert bench.ask(get(b"/healthz")).endswith(b"\r\n\r\nok\n")
    bench.ready = False
    assert bench.ask(get(b"/healthz")).startswith(b"HTTP/1.1 503 ")
    head = bench.ask(get(b"/healthz", b"HEAD"))
    assert b"Content-Length: 10\r\n" in head and head.endswith(b"\r\n\r\n")


def test_front_page_says_what_this_is() -> None:
    answer = Bench().ask(get(b"/"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"mail gateway" in answer
    assert b"text/plain" in answer


@pytest.mark.parametrize("path", [b"/", b"/healthz", b"/nothing", b"/healthz/x", b"/%00<b>", b"*"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE", b"BREW"])
def test_S20_answers_leak_no_version_and_echo_nothing(path: bytes, method: bytes) -> None:
    answer = Bench().ask(get(path, method)).lower()
    assert b"server:" not in answer
    assert b"twisted" not in answer
    assert b"<b>" not in answer and b"brew" not in answer
    if path != b"*":
        assert b"x-content-type-options: nosniff\r\n" in answer
        assert b"content-security-policy: default-src 'none'" in answer
        status = answer.split()[1]
        known = path in (b"/", b"/healthz")
        assert status == (b"405" if method != b"GET" else b"200" if known else b"404")


def test_large_requests_are_cut_off() -> None:
    bench = Bench()
    body = b"POST /healthz HTTP/1.1\r\nHost: x\r\n"
    assert b" 413 " in bench.ask(body + b"Content-Length: 1\r\n\r\nx")
    assert b" 413 " in bench.ask(body + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
    assert b" 413 " in bench.ask(body + b"Content-Length: 99999999999999999999\r\n\r\n")
    assert b" 400 " in bench.ask(get(b"/")[:-2] + b"X: y\r\n" * 2000 + b"\r\n")
    assert b" 400 " in bench.ask(get(b"/")[:-2] + b"X: y\r\n" * 100 + b"\r\n")
    channel, transport = bench.connect()
    channel.dataReceived(b"GET /" + b"x" * 20_000)
    assert transport.disconnecting


def test_N1_a_request_in_drips_is_dropped() -> None:
    bench = Bench()
    channel, transport = bench.connect()
    for octet in get(b"/healthz")[:-1]:
        channel.dataReceived(bytes([octet]))
        bench.clock.advance(1)
    assert bench.clock.seconds() > REQUEST_S
    assert transport.disconnected


def test_keep_alive_starts_the_time_anew_and_ends_when_idle() -> None:
    bench = Bench()
    channel, transport = bench.connect()
    for _ in range(5):
        channel.dataReceived(get(b"/healthz"))
        bench.clock.advance(10)
    assert transport.value().count(b"200 OK") == 5
    assert (transport.disconnected, transport.disconnecting) == (False, False)
    bench.clock.advance(6)
    assert transport.disconnecting
    channel.connectionLost(Failure(ConnectionDone()))
    assert not bench.clock.getDelayedCalls()


def test_N2_connections_are_counted() -> None:
    bench = Bench()
    addresses = [f"192.0.2.{n}" for n in range(MAX_CONNECTIONS // MAX_CONNECTIONS_PER_ADDRESS)]
    channels = [bench.connect(ip) for ip in addresses for _ in range(MAX_CONNECTIONS_PER_ADDRESS)]
    assert len(channels) == MAX_CONNECTIONS
    assert not any(transport.disconnected for _, transport in channels)
    channel, transport = bench.connect("198.51.100.1")
    assert transport.disconnected
    channel.connectionLost(Failure(ConnectionDone()))
    channels[0][0].connectionLost(Failure(ConnectionDone()))
    assert not bench.connect("198.51.100.1")[1].disconnected


def test_N2_one_address_cannot_have_them_all() -> None:
    bench = Bench()
    for _ in range(MAX_CONNECTIONS_PER_ADDRESS):
        assert not bench.connect()[1].disconnected
    assert bench.connect()[1].disconnected
    assert not bench.connect("198.51.100.1")[1].disconnected
