"""TLS written to the socket at once: order, back-pressure, both goodbyes, the end in a handshake.

The peer is the far end of a socket pair, as in ``test_connection``, with the standard library's
TLS.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.tls_transport import EagerTlsFactory, tls_layers
from gateway.edge.connection import Door
from gateway.edge.tls import ServerContexts
from gateway.edge.tls_material import CertificateFiles, TlsMaterial
from tests.edge.test_connection import Echo, NearEnd, Reactor
from tests.support.authority import new_authority
from tests.support.dialogue import Everybody

LONG = b"".join(b"%07d\n" % number for number in range(100_000))


@implementer(IHalfCloseableProtocol)
class Answering(Echo):
    """Starts TLS at its word; sends what it is asked for when ``answer`` comes."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self.answer: Deferred[bytes] | None = None
        self.blocked = 0

    def octets_received(self, data: bytes) -> None:
        if data == b"STARTTLS":
            self.send(b"go ahead")
            self.start_tls()
        elif data == b"wait":
            self.answer = Deferred()
            self.run(self._say_later(self.answer), lambda: self.close(b" and goodbye"))
        else:
            super().octets_received(data)

    async def _say_later(self, answer: Deferred[bytes]) -> None:
        self.send(await answer)

    def pauseProducing(self) -> None:
        self.blocked += 1
        super().pauseProducing()

    def readConnectionLost(self) -> None:
        self.events.append("client has said all")
        if not self.busy:
            self.close()

    def writeConnectionLost(self) -> None:
        """Nothing."""


class Closing(Echo):
    """As POP3 and IMAP are: a client that has said all is gone."""


class Near(NearEnd):
    """As the reactor drives it, reading included."""

    def read_once(self) -> None:
        reason = self.doRead()
        if reason is None:
            return
        failure = Failure(cast(Exception, reason))
        if failure.check(ConnectionDone):
            self.readConnectionLost(failure)
        else:
            self.connectionLost(failure)


class World:
    """One connection behind TLS, and its client."""

    def __init__(self, tls: Any, kind: type[Echo] = Answering, *, implicit: bool = True) -> None:
        self.reactor = Reactor()
        self.sessions = Everybody()
        timers = cast(Any, self.reactor)
        layers = tls_layers(tls, timers)
        door = Door("smtp", "here", timers, self.sessions, tls, layers, implicit)
        self.connection = kind(door)
        self.near, self.far = socket.socketpair()
        for end in (self.near, self.far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        protocol: Any = self.connection
        if implicit:
            protocol = EagerTlsFactory(tls, False, cast(Any, Maker(protocol)), timers)
            protocol = protocol.buildProtocol(None)
        self.transport = Near(self.near, protocol, self.reactor)
        protocol.makeConnection(self.transport)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._in, self._out)

    @property
    def is_open(self) -> bool:
        self.reactor.advance(0)
        return bool(self.transport.connected)

    def serve(self) -> None:
        """The near end reads what there is, and writes what it can."""
        if self.is_open and self.transport in self.reactor.readers:
            self.transport.read_once()
        if self.is_open and self.transport in self.reactor.writers:
            reason = self.transport.doWrite()
            if reason is not None:
                self.transport.connectionLost(Failure(cast(Exception, reason)))

    def flush(self) -> None:
        if data := self._out.read():
            self.far.send(data)

    def receive(self) -> bool:
        """Give the client's TLS what has come; False: nothing has, or nothing ever will."""
        try:
            data = self.far.recv(65_536)
        except OSError:
            return False
        if not data:
            self._in.write_eof()
            return False
        self._in.write(data)
        return True

    def shake_hands(self) -> None:
        for _ in range(6):
            try:
                self.client.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            self.flush()
            self.serve()
            self.receive()
        self.flush()
        self.serve()

    def say(self, data: bytes) -> None:
        self.client.write(data)
        self.flush()
        self.serve()

    def say_goodbye(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.client.unwrap()
        self.flush()

    def hear(self) -> bytes:
        """All that comes while the near end is served."""
        heard = b""
        for _ in range(100_000):
            came = self.receive()
            try:
                while data := self.client.read(65_536):
                    heard += data
                return heard  # the server's goodbye
            except (ssl.SSLWantReadError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                pass
            if not came and (not self.is_open or self.transport not in self.reactor.writers):
                return heard
            self.serve()
        raise AssertionError("it never ends")


class Maker:
    """A factory of one."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: object) -> Any:
        return self._protocol

    def doStart(self) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("tls")
    certificate, key = new_authority().issue("here")
    (folder / "c.pem").write_bytes(certificate)
    (folder / "k.pem").write_bytes(key)
    files = CertificateFiles(folder / "c.pem", folder / "k.pem")
    return ServerContexts(TlsMaterial(files.read())).for_listener()


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tls: Any) -> Iterator[MakeWorld]:
    worlds: list[World] = []

    def make(kind: type[Echo] = Answering, *, implicit: bool = True) -> World:
        worlds.append(World(tls, kind, implicit=implicit))
        return worlds[-1]

    yield make
    for world in worlds:
        world.far.close()
        world.near.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world()
    world.shake_hands()
    assert world.hear() == b"hello there\r\n"
    return world


# -- output


def test_a_short_reply_is_in_the_socket_when_its_batch_ends(world: World) -> None:
    world.say(b"ping")
    assert world.transport not in world.reactor.writers
    assert world.hear() == b"ping"


def test_all_octets_of_a_long_reply_come_once_and_in_order(world: World) -> None:
    world.connection.send(LONG)
    world.connection.send(b"end")
    world.say(b"pong")
    assert world.hear() == LONG + b"endpong"


def test_S19_a_client_that_does_not_read_blocks_the_reply_and_not_more_memory(world: World) -> None:
    """Back-pressure reaches through TLS: who writes a long reply waits until it has been taken."""
    sent = 0
    finished: list[str] = []

    async def reply() -> None:
        nonlocal sent
        for _ in range(500):
            world.connection.send(b"x" * 16_384)
            sent += 16_384
            await world.connection.writable()

    world.connection.run(reply(), lambda: finished.append("all"))
    assert world.connection.busy and finished == []
    assert sent < 200_000
    assert cast(Answering, world.connection).blocked
    assert len(world.hear()) == sent == 500 * 16_384
    assert finished == ["all"]


def test_starttls_while_a_slow_client_has_not_taken_what_was_said_before(
    make_world: MakeWorld,
) -> None:
    world = make_world(implicit=False)
    world.connection.send(LONG)
    assert world.transport in world.reactor.writers
    world.far.send(b"STARTTLS")
    world.serve()
    clear = b""
    while world.transport in world.reactor.writers:
        clear += world.far.recv(65_536)
        world.serve()
    with pytest.raises(BlockingIOError):
        while True:
            clear += world.far.recv(65_536)
    assert clear == b"hello there\r\n" + LONG + b"go ahead"
    world.shake_hands()
    world.say(b"ping")
    assert world.hear() == b"ping"


# -- goodbyes


def test_who_has_said_all_by_tls_and_tcp_still_hears_the_answer(world: World) -> None:
    """As Exim does behind the last message: else it would send the message again."""
    world.say(b"wait")
    world.say_goodbye()
    world.far.shutdown(socket.SHUT_WR)
    world.serve()
    world.serve()
    connection = cast(Answering, world.connection)
    assert connection.events == ["client has said all"] and connection.busy
    assert connection.answer is not None
    connection.answer.callback(b"250 accepted")
    assert world.hear() == b"250 accepted and goodbye"
    assert not world.is_open
    assert connection.events == ["client has said all", "ended while counted"]


def test_what_comes_behind_the_goodbye_is_not_looked_at(world: World) -> None:
    world.say(b"wait")
    world.say_goodbye()
    world.far.send(b"\x17\x03\x03\x00\x05xxxxx")
    world.serve()
    world.serve()
    connection = cast(Answering, world.connection)
    assert connection.answer is not None
    connection.answer.callback(b"250")
    assert world.hear() == b"250 and goodbye"


def test_who_is_cut_off_without_a_goodbye_is_gone(world: World) -> None:
    world.say(b"wait")
    world.far.shutdown(socket.SHUT_WR)
    world.serve()
    assert not world.is_open
    assert world.connection.events == ["ended while counted"]
    assert not world.connection.busy


def test_a_door_that_answers_nobody_who_left_closes_at_the_goodbye(make_world: MakeWorld) -> None:
    world = make_world(Closing)
    world.shake_hands()
    world.hear()
    world.say_goodbye()
    world.serve()
    world.serve()
    assert not world.is_open
    assert world.connection.events == ["ended while counted"]


def test_the_peers_goodbye_is_not_waited_for(world: World) -> None:
    """A sleeping client must not keep the gateway from stopping."""
    world.connection.close(b"bye")
    world.serve()
    assert not world.is_open
    assert world.connection.events == ["ended while counted"]
    assert world.hear() == b"bye"


def test_a_long_farewell_comes_whole_before_the_end(world: World) -> None:
    world.connection.send(LONG)
    world.connection.close(b"bye")
    assert world.is_open
    assert world.hear() == LONG + b"bye"
    assert not world.is_open


# -- the end in a handshake


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01", b"client hello"])
@pytest.mark.parametrize("implicit", [False, True])
def test_D11_closing_in_a_handshake_waits_for_nobody(
    make_world: MakeWorld, said: bytes, *, implicit: bool
) -> None:
    world = make_world(implicit=implicit)
    if not implicit:
        world.far.send(b"STARTTLS")
        world.serve()
    if said == b"client hello":
        with pytest.raises(ssl.SSLWantReadError):
            world.client.do_handshake()
        world.flush()
    elif said:
        world.far.send(said)
    if said:
        world.serve()
    world.connection.close(b"421 shutting down")
    assert not world.is_open
    assert world.connection.events == ["ended while counted"]
    assert world.sessions.open == set()


def test_a_handshake_of_nonsense_ends_the_connection(make_world: MakeWorld) -> None:
    world = make_world()
    world.far.send(b"EHLO in.clear\r\n")
    for _ in range(3):
        world.serve()
    assert not world.is_open
    assert world.connection.events == ["ended while counted"]
