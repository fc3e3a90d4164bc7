"""A TCP connection to one address, in as few steps as there can be.

Each person's login has a connection of its own, so what Twisted's connector and endpoint cost (a
turn of the reactor, four more changes of the poll set, two objects between protocol and transport)
is part of each login. Owns the socket until it is connected; from then on it is the reactor's own
transport for sockets that are (IReactorSocket). A server near by has often answered before the
reactor would look. Never looks up names, never tries twice.

Limits: ``timeout_s``.
"""

from __future__ import annotations

import os
import socket
from errno import EALREADY, EINPROGRESS, EISCONN
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError, getConnectError
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.ports.clock import Timer

_UNDER_WAY = (EINPROGRESS, EALREADY)


def connect(reactor: Any, address: str, port: int, factory: Any, *, timeout_s: float) -> Any:
    """A Deferred of the protocol that the factory builds, connected; it may be cancelled. It fails
    with a ConnectError of Twisted.

    Args:
        reactor: IReactorTime, IReactorFDSet and IReactorSocket.
        address: an IP address.
    """
    return _Connecting(reactor, address, port, factory).begin(timeout_s)


class _Given:
    """A factory that has built its protocol already."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def buildProtocol(self, address: object) -> Any:
        return self._protocol


@implementer(IReadWriteDescriptor)
class _Connecting:
    """A socket on its way."""

    def __init__(self, reactor: Any, address: str, port: int, factory: Any) -> None:
        self._reactor = reactor
        self._to = (address, port)
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._factory = factory
        self._socket: socket.socket | None = None
        self._timer: Timer | None = None
        self._watched = False
        self._done: Deferred[Any] = Deferred(lambda _: self._leave())

    def begin(self, timeout_s: float) -> Deferred[Any]:
        # Not at once: whoever asks is often in the middle of telling others what has gone wrong.
        self._timer = self._reactor.callLater(0, self._connect, timeout_s)
        return self._done

    def _connect(self, timeout_s: float) -> None:
        self._timer = None
        try:
            made = self._socket = socket.socket(self._family, socket.SOCK_STREAM)
            made.setblocking(False)
            number = made.connect_ex(self._to)
            if number == EINPROGRESS:
                number = made.connect_ex(self._to)  # what is near has answered meanwhile
        except OSError as error:
            number = error.errno or -1
        if number in _UNDER_WAY:
            self._timer = self._reactor.callLater(max(0.0, timeout_s), self._late)
            self._reactor.addWriter(self)
            self._watched = True
        else:
            self._settle(0 if number == EISCONN else number)

    # -- as the reactor sees it

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def doWrite(self) -> None:
        if self._socket is not None:
            self._settle(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def doRead(self) -> None:
        """Nothing is read before it is connected."""

    def connectionLost(self, reason: Failure) -> None:
        """A refusal that comes later is a hang-up to the reactor; the socket knows why."""
        number = 0
        if self._socket is not None:
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._settle(number)
        elif not self._done.called:
            self._leave()
            self._done.errback(reason)

    def logPrefix(self) -> str:
        return "connecting"

    # -- the end

    def _settle(self, number: int) -> None:
        """Args: number: of the system's error; 0: it is connected."""
        if number:
            self._leave()
            words = os.strerror(number) if number > 0 else "no such address"
            self._done.errback(getConnectError((number, words)))
            return
        try:
            protocol = self._factory.buildProtocol(None)
            assert self._socket is not None
            # It has its own descriptor of the same connection; ours is closed.
            self._reactor.adoptStreamConnection(
                self._socket.fileno(), self._family, _Given(protocol)
            )
        except Exception:
            self._leave()
            self._done.errback(Failure())
            return
        self._leave()
        self._done.callback(protocol)

    def _late(self) -> None:
        self._leave()
        self._done.errback(TimeoutError())

    def _leave(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._watched:
            self._watched = False
            self._reactor.removeWriter(self)
        made, self._socket = self._socket, None
        if made is not None:
            made.close()
