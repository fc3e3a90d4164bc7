"""What every connection shares: output in order, back-pressure, deadlines, TLS, closing.

The peer is the far end of a socket pair, so that partial writes and full buffers are real.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.edge.connection import CLOSE_GRACE_S, HANDSHAKE_LIMIT_S, Door, MailConnection
from gateway.edge.tls import ServerContexts
from gateway.edge.tls_material import CertificateFiles, TlsMaterial
from tests.support.authority import new_authority
from tests.support.dialogue import Everybody

IDLE_S = 60.0


class Reactor(Clock):
    """Time, and who wants to read or write; the test does both by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[object] = set()
        self.writers: set[object] = set()
        self.addReader = self.readers.add
        self.addWriter = self.writers.add
        self.removeReader = self.readers.discard
        self.removeWriter = self.writers.discard
        self.timers_set = 0

    def callLater(self, *args: Any, **kwargs: Any) -> Any:
        self.timers_set += 1
        return super().callLater(*args, **kwargs)


class NearEnd(tcp.Connection):
    """A server's TCP transport over one half of a socket pair."""

    _tlsClientDefault = False  # as tcp.Server has it

    def __init__(self, near: socket.socket, protocol: MailConnection, reactor: Reactor) -> None:
        super().__init__(near, cast(Any, protocol), cast(Any, reactor))
        self.connected = True
        self.startReading()

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 40_000)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """The pair is no TCP."""


class Echo(MailConnection):
    """Answers what it reads with the same octets."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self.events: list[str] = []

    def connection_ready(self) -> None:
        self.send(b"hello ")
        self.send(b"there\r\n")
        self.set_deadline(IDLE_S)

    def connection_refused(self, reason: str) -> None:
        self.close(reason.encode())

    def octets_received(self, data: bytes) -> None:
        self.send(data)
        self.set_deadline(IDLE_S)

    def deadline_passed(self) -> None:
        self.close(b"too late\r\n")

    def tls_ready(self) -> None:
        self.set_deadline(IDLE_S)

    def connection_ended(self) -> None:
        counted = self in cast(Everybody, self.door.sessions).open
        self.events.append("ended while counted" if counted else "ended")


class World:
    """One connection and its peer."""

    def __init__(self, *, refusal: str = "", implicit_tls: bool = False, tls: Any = None) -> None:
        self.reactor = Reactor()
        self.sessions = Everybody()
        self.sessions.reason = refusal
        timers = cast(Any, self.reactor)
        door = Door("smtp", "here", timers, self.sessions, tls=tls, implicit_tls=implicit_tls)
        self.connection = Echo(door)
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self.transport = NearEnd(self.near, self.connection, self.reactor)
        self.connection.makeConnection(self.transport)

    def read(self) -> bytes:
        """All that has come."""
        data = b""
        while True:
            try:
                piece = self.far.recv(65_536)
            except BlockingIOError:
                return data
            if not piece:
                return data
            data += piece

    def read_on(self) -> bytes:
        """All that comes while the near end writes whenever it wants to."""
        data = self.read()
        while self.transport in self.reactor.writers:
            self.transport.doWrite()
            data += self.read()
        return data

    def say(self, data: bytes) -> None:
        self.far.send(data)
        self.transport.doRead()

    def lose(self) -> None:
        self.transport.connectionLost(Failure(ConnectionDone()))

    def aborted(self) -> bool:
        self.reactor.advance(0)
        return not self.transport.connected


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(**options: Any) -> World:
        worlds.append(World(**options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.far.close()
        world.near.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


# -- output


def test_what_one_batch_says_is_in_the_socket_when_it_ends(world: World) -> None:
    assert world.far.recv(100) == b"hello there\r\n"
    world.say(b"ping")
    assert world.read() == b"ping"
    assert world.reactor.writers == set()


def test_a_partial_write_keeps_the_order(world: World) -> None:
    world.read()
    long = bytes(range(256)) * 1024
    world.connection.send(long)
    assert world.transport in world.reactor.writers
    world.connection.send(b"behind")
    world.read()  # makes room, yet nothing may overtake what the transport holds
    world.connection.send(b" it\r\n")
    world.say(b"pong")
    received = world.read_on()
    assert received.endswith(b"behind it\r\npong")
    assert len(received) < len(long) + 15


def test_all_octets_of_a_long_reply_come_once_and_in_order(world: World) -> None:
    world.read()
    long = b"".join(b"%07d\n" % number for number in range(60_000))
    world.connection.send(long)
    world.connection.send(b"end")
    assert world.read_on() == long + b"end"


def test_a_peer_that_reset_is_noticed_by_the_transport(world: World) -> None:
    world.far.close()
    world.connection.send(b"into the void")
    reason = world.transport.doWrite()
    assert reason is not None
    world.transport.connectionLost(Failure(reason))
    world.connection.send(b"nothing")
    assert world.connection.events == ["ended while counted"]
    assert world.sessions.open == set()


# -- back-pressure


def test_writable_waits_until_the_peer_has_read(world: World) -> None:
    done: list[str] = []

    async def reply() -> None:
        world.connection.send(b"x" * 300_000)
        await world.connection.writable()
        done.append("room again")

    world.connection.run(reply(), lambda: done.append("then"))
    assert world.connection.busy and done == []
    assert len(world.read_on()) >= 300_000
    assert done == ["room again", "then"] and not world.connection.busy


def test_a_command_that_waits_ends_with_the_connection(world: World) -> None:
    ended: list[type[BaseException]] = []

    async def reply() -> None:
        world.connection.send(b"x" * 300_000)
        try:
            await world.connection.writable()
        except BaseException as error:
            ended.append(type(error))
            raise

    world.connection.run(reply(), lambda: ended.append(AssertionError))
    world.lose()
    assert ended == [CancelledError]
    assert world.connection.events == ["ended while counted"]


def test_a_command_is_cancelled_on_loss_and_its_late_result_ignored(world: World) -> None:
    waiting: Deferred[None] = Deferred(lambda _: None)

    async def command() -> None:
        await waiting
        world.connection.send(b"late")

    world.connection.run(command(), lambda: pytest.fail("the connection is gone"))
    world.lose()
    assert waiting.called and not world.connection.busy


def test_a_fault_behind_a_command_drops_the_connection_and_is_logged(
    world: World, recorded_failures: list[object]
) -> None:
    answer: Deferred[None] = Deferred()

    async def command() -> None:
        await answer

    def fault() -> None:
        raise ZeroDivisionError

    world.connection.run(command(), fault)
    answer.callback(None)
    assert world.aborted() and len(recorded_failures) == 1


def test_a_command_that_a_port_has_cancelled_is_no_silence(
    world: World, recorded_failures: list[object]
) -> None:
    async def command() -> None:
        raise CancelledError

    world.connection.run(command(), lambda: None)
    assert world.aborted() and len(recorded_failures) == 1


def test_reading_pauses_and_resumes(world: World) -> None:
    world.connection.pause_reading()
    world.connection.pause_reading()
    assert world.transport not in world.reactor.readers
    world.connection.resume_reading()
    assert world.transport in world.reactor.readers


# -- deadlines


def test_a_deadline_moved_often_costs_one_timer(world: World) -> None:
    for _ in range(100):
        world.reactor.advance(0.1)
        world.say(b".")
        world.read()
    assert world.reactor.timers_set == 1
    world.reactor.advance(IDLE_S - 0.1)
    assert b"too late" not in world.read()
    world.reactor.advance(0.2)
    assert world.read() == b"too late\r\n"
    assert world.reactor.timers_set == 3  # looked at once too early, and the grace of closing


def test_a_deadline_may_come_nearer(world: World) -> None:
    world.connection.set_deadline(1.0)
    world.reactor.advance(1.1)
    assert world.read().endswith(b"too late\r\n")


def test_no_timer_is_left_behind(world: World) -> None:
    world.lose()
    assert world.reactor.getDelayedCalls() == []


# -- closing


def test_a_peer_that_does_not_take_the_farewell_is_dropped(world: World) -> None:
    world.connection.send(b"x" * 300_000)
    world.connection.close(b"bye")
    world.connection.set_deadline(3600.0)  # nothing may prolong the grace
    world.connection.close(b"bye again")
    world.say(b"too late to be heard")
    world.reactor.advance(CLOSE_GRACE_S - 1)
    assert not world.aborted()
    world.reactor.advance(2)
    assert world.aborted()
    assert world.connection.events == ["ended while counted"]


def test_the_farewell_comes_last_and_the_connection_ends(world: World) -> None:
    world.connection.send(b"x" * 300_000)
    world.connection.close(b"bye")
    received = world.read()
    while (reason := world.transport.doWrite()) is None:
        received += world.read()
    assert (received + world.read()).endswith(b"xbye")
    world.transport.connectionLost(Failure(reason))
    assert world.connection.events == ["ended while counted"] and world.sessions.open == set()


def test_a_refused_connection_hears_why(make_world: Callable[..., World]) -> None:
    world = make_world(refusal="full")
    assert world.read() == b"full"
    assert world.connection.closing


# -- TLS


def contexts(folder: Path) -> Any:
    certificate, key = new_authority().issue("here")
    (folder / "c.pem").write_bytes(certificate)
    (folder / "k.pem").write_bytes(key)
    files = CertificateFiles(folder / "c.pem", folder / "k.pem")
    return ServerContexts(TlsMaterial(files.read())).for_listener()


def test_nothing_passes_in_clear_once_tls_starts(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    world = make_world(tls=contexts(tmp_path))
    world.read()
    world.connection.send(b"220 go\r\n")
    world.connection.start_tls()
    world.connection.send(b"secret")
    assert world.read_on() == b"220 go\r\n"
    world.reactor.advance(HANDSHAKE_LIMIT_S + 1)
    assert b"secret" not in world.read_on() and world.connection.closing


def test_closing_during_a_handshake_is_not_prolonged_by_its_end(world: World) -> None:
    world.connection.close(b"x" * 300_000)
    world.connection.handshakeCompleted()
    world.reactor.advance(CLOSE_GRACE_S + 1)
    assert world.aborted()


def test_who_is_refused_gets_no_handshake(make_world: Callable[..., World]) -> None:
    """An uncounted connection must not be able to stay until a handshake's deadline."""
    world = make_world(refusal="full", implicit_tls=True)
    assert world.aborted() and world.read() == b""
