"""Requests to HTTPS servers of strangers: where they may go, and what is bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, TCPTimedOutError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from gateway.delivery.https import (
    HttpsAnswer,
    HttpsClient,
    HttpsFailure,
    elsewhere,
    on_the_internet,
)
from tests.support.authority import new_authority
from tests.support.tls_fakes import FakeNames
from tests.support.tls_talk import Server, trusting

HOST = "mta-sts.a.example"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; x=y\r\nContent-Length: 4\r\n\r\nbody"
AUTHORITY = new_authority()
SHOWN = AUTHORITY.issue(HOST)
DEADLINE_S = 20.0


class Answers(Protocol):
    """An HTTPS server that says the next piece whenever the client has read the one before."""

    def __init__(self, pieces: Callable[[int], bytes]) -> None:
        self.pieces = pieces
        self.asked = b""
        self.said = 0

    def dataReceived(self, data: bytes) -> None:
        self.asked += data

    def say(self) -> None:
        transport: Any = self.transport
        if self.asked:
            transport.write(self.pieces(self.said))
            self.said += 1


class World:
    """One server at every address; ``dead`` ones are silent."""

    def __init__(self, pieces: Callable[[int], bytes] = lambda n: b"" if n else GOOD) -> None:
        self.clock = Clock()
        self.names = FakeNames()
        self.names.put("A", HOST, texts=("192.0.2.1",))
        self.dead: set[str] = set()
        self.tried: list[tuple[str, float]] = []
        self.server = Answers(pieces)
        self.ends: list[Any] = []
        self.turn_s = 0.01

    def connect(self, ip: str, port: int, timeout_s: float) -> Any:
        assert port == 443
        self.tried.append((ip, timeout_s))
        return Endpoint(self, ip in self.dead)

    def request(self, allowed: Callable[[Any], bool] = elsewhere) -> HttpsAnswer:
        client = HttpsClient(
            self.clock,
            self.names,
            self.connect,
            trusting(AUTHORITY),
            deadline_s=DEADLINE_S,
            allowed=allowed,
        )
        results: list[Any] = []
        asking = Deferred.fromCoroutine(client.request(b"GET", HOST, "/x", max_octets=1000))
        asking.addBoth(results.append)
        for _ in range(1000):
            if results:
                break
            self.pump()
        assert results, "the server may go on for ever"
        self.clock.advance(0)  # TLS gathers small writes till the next turn
        assert self.clock.getDelayedCalls() == []
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]  # type: ignore[no-any-return]

    def pump(self) -> None:
        for source, sink in (self.ends, self.ends[::-1]):
            self.clock.advance(self.turn_s)
            data = source.transport.value()
            source.transport.clear()
            if data:
                sink.dataReceived(data)
        if self.ends and self.ends[0].transport.disconnecting:
            self.ends[0].connectionLost(Failure(ConnectionAborted()))
            self.ends = []
        if self.ends:
            self.server.say()


class Wire(StringTransport):
    def setTcpNoDelay(self, enabled: bool) -> None: ...


class Endpoint:
    def __init__(self, world: World, dead: bool) -> None:
        self._world = world
        self._dead = dead

    def connect(self, factory: Any) -> Deferred[Any]:
        if self._dead:
            return fail(TCPTimedOutError())
        world = self._world
        factory.doStart()
        inner = Factory.forProtocol(lambda: world.server)
        make: Any = TLSMemoryBIOFactory
        for each in (factory, make(Server(SHOWN), False, inner, world.clock)):
            protocol = each.buildProtocol(None)
            protocol.makeConnection(Wire())
            world.ends.append(protocol)
        return succeed(world.ends[0])


def test_an_answer() -> None:
    with capturedLogs() as logs:
        assert World().request() == HttpsAnswer(200, "text/plain", b"body")
    assert logs == [], "factories say nothing of their lives"


@pytest.mark.parametrize(
    "pieces",
    [
        lambda n: b"HTTP/1.1 200 OK\r\n" if n == 0 else b"X-%d: y\r\n" % n * 500,
        lambda n: b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
        lambda n: (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            if n == 0
            else b"1;" + b"x" * 900 + b"\r\ny\r\n"
        ),
        lambda n: b"HTTP/1.1 200 OK\r\n\r\n" if n == 0 else b"x" * 900,
    ],
    ids=["header", "interim", "chunks", "body"],
)
def test_a_server_that_never_ends_is_left(pieces: Callable[[int], bytes]) -> None:
    world = World(pieces)
    with pytest.raises(HttpsFailure, match="more than"):
        world.request()


def test_a_server_that_drips_is_left_in_time() -> None:
    world = World(lambda n: GOOD[n : n + 1])
    world.turn_s = 1.0
    with pytest.raises(HttpsFailure, match="no answer in 20 s"):
        world.request()
    assert 1 < world.server.said <= DEADLINE_S


def test_an_address_that_is_dead_leaves_time_for_the_next() -> None:
    world = World()
    world.names.put("AAAA", HOST, texts=("2001:db8::1",))
    world.dead = {"192.0.2.1"}
    assert world.request().status == 200
    assert world.tried == [("192.0.2.1", DEADLINE_S / 2), ("2001:db8::1", DEADLINE_S / 2)]


@pytest.mark.parametrize(
    "text, near, far",
    [
        ("192.0.2.1", True, False),
        ("10.1.2.3", True, False),
        ("9.9.9.9", True, True),
        ("2620:fe::fe", True, True),
        ("fd00::1", True, False),
        ("127.0.0.1", False, False),
        ("::1", False, False),
        ("::ffff:127.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("224.0.0.1", False, False),
        ("64:ff9b::a01:203", True, False),  # 10.1.2.3 by NAT64
        ("64:ff9b::909:909", True, True),
        ("2002:a01:203::1", True, False),  # and by 6to4
    ],
)
def test_strangers_point_us_to_nothing_of_ours(text: str, near: bool, far: bool) -> None:
    for allowed, may in ((elsewhere, near), (on_the_internet, far)):
        world = World()
        world.names.put("A", HOST, texts=(text,))
        if may:
            assert world.request(allowed).status == 200
        else:
            with pytest.raises(HttpsFailure, match="has no address"):
                world.request(allowed)
            assert world.tried == []
