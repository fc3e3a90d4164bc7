"""One question to one name server: out of a socket of its own, over UDP or TCP.

Owns the sockets and their time. Over UDP each question leaves from a port that the system draws by
lot, connected to the server, so that the kernel takes datagrams from there alone, and a server that
is not there is told at once. What does not answer the question is passed over and the right answer
waited for; after MAX_FOREIGN such datagrams somebody is guessing, and the question goes over TCP.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ClientFactory
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.delivery.dns.answers import Answer
from gateway.delivery.dns.messages import Fault

MAX_FOREIGN = 20
MAX_DATAGRAM_OCTETS = 4096
MAX_STREAM_OCTETS = 65_537
_LENGTH = struct.Struct("!H")

Server = tuple[str, int]
"""IP address and port."""

Judge = Callable[[bytes], Answer | Fault]


class NoAnswer(Exception):
    """The server could not be talked to, or was silent; the text says which."""


class Exchange(Protocol):
    """Carries a question and brings what the judge makes of the answer."""

    async def udp(
        self, server: Server, octets: bytes, judge: Judge, timeout_s: float
    ) -> Answer | Fault:
        """FOREIGN only when there were too many of those. Raises: NoAnswer."""
        ...

    async def tcp(
        self, server: Server, octets: bytes, judge: Judge, timeout_s: float
    ) -> Answer | Fault:
        """Raises: NoAnswer."""
        ...


class Sockets:
    """Implements ``Exchange`` on a reactor."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    async def udp(
        self, server: Server, octets: bytes, judge: Judge, timeout_s: float
    ) -> Answer | Fault:
        try:
            talk = _Datagrams(self._reactor, server, octets, judge)
        except OSError as problem:
            raise NoAnswer(_words(problem)) from None
        try:
            return await self._in_time(talk.done, timeout_s)
        finally:
            talk.close()

    async def tcp(
        self, server: Server, octets: bytes, judge: Judge, timeout_s: float
    ) -> Answer | Fault:
        done: Deferred[Answer | Fault] = Deferred()
        factory = _StreamFactory(octets, judge, done)
        connector = self._reactor.connectTCP(*server, factory, timeout=timeout_s)
        try:
            return await self._in_time(done, timeout_s)
        finally:
            connector.disconnect()

    async def _in_time(self, done: Deferred[Answer | Fault], timeout_s: float) -> Answer | Fault:
        late = self._reactor.callLater(timeout_s, _fail, done, f"silent for {timeout_s:g} s")
        try:
            return await done
        finally:
            if late.active():
                late.cancel()


def _fail(done: Deferred[Answer | Fault], why: str) -> None:
    if not done.called:
        done.errback(Failure(NoAnswer(why)))


@implementer(IReadDescriptor)
class _Datagrams:
    """A socket that is connected to the server. Twisted's own writes two lines to the log for each
    question, and does not tell at once that nobody is there.

    Raises: OSError.
    """

    def __init__(self, reactor: Any, server: Server, octets: bytes, judge: Judge) -> None:
        self._reactor = reactor
        self._judge = judge
        self._foreign = 0
        self.done: Deferred[Answer | Fault] = Deferred()
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(server)
            self._socket.send(octets)
        except OSError:
            self._socket.close()
            raise
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "dns"

    def doRead(self) -> None:
        while not self.done.called:
            try:
                datagram = self._socket.recv(MAX_DATAGRAM_OCTETS)
            except BlockingIOError:
                return
            except OSError as problem:
                _fail(self.done, _words(problem))
                return
            said = self._judge(datagram)
            if said is Fault.FOREIGN:
                self._foreign += 1
                if self._foreign < MAX_FOREIGN:
                    continue
            self.done.callback(said)

    def connectionLost(self, reason: object) -> None:
        """The system told of an error: by ICMP, that nobody listens there, mostly."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        _fail(self.done, _words(OSError(number, os.strerror(number))))

    def close(self) -> None:
        self._reactor.removeReader(self)
        self._socket.close()


def _words(problem: OSError) -> str:
    return f"cannot be reached ({problem.strerror or type(problem).__name__})"


class _StreamFactory(ClientFactory):
    noisy = False

    def __init__(self, octets: bytes, judge: Judge, done: Deferred[Answer | Fault]) -> None:
        self._talk = _Stream(octets, judge, done)
        self._done = done

    def buildProtocol(self, addr: object) -> StreamProtocol:
        return self._talk

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        if not reason.check(error.UserError, CancelledError):
            _fail(self._done, "no connection over TCP")


class _Stream(StreamProtocol):
    """RFC 1035 section 4.2.2: two octets of length, then the message."""

    def __init__(self, octets: bytes, judge: Judge, done: Deferred[Answer | Fault]) -> None:
        self._octets = octets
        self._judge = judge
        self._done = done
        self._heard = bytearray()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(_LENGTH.pack(len(self._octets)) + self._octets)

    def dataReceived(self, data: bytes) -> None:
        heard = self._heard
        heard += data[: MAX_STREAM_OCTETS - len(heard)]
        if self._done.called or len(heard) < _LENGTH.size:
            return
        (length,) = _LENGTH.unpack_from(heard)
        if len(heard) - _LENGTH.size >= length:
            message = bytes(heard[_LENGTH.size : _LENGTH.size + length])
            self._done.callback(self._judge(message))

    def connectionLost(self, reason: Failure | None = None) -> None:
        _fail(self._done, "hung up without an answer")
