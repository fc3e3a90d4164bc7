"""TLS over a TCP connection with its octets into the socket at once.

Owns the layer between a door, or a client, and its TCP transport: Twisted's TLS protocol, except
that what it sends does not wait in the transport's buffer for the next turn of the reactor (two
changes of the poll set and a turn for each reply are more than the encryption costs). Once the
socket is full, everything goes through the buffer in order, as always.

Two ends differ from Twisted's as well. A door that can answer a client which has said all it will
say (SMTP) may do so over TLS too, as long as the client said so by TLS's own goodbye. And ours is
enough to close: a peer's goodbye is not waited for, as it may be asleep.

Never decides on certificates or versions, and never used for the web side, which
wants Twisted's own layer.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.core.eager import left_of

READ_OCTETS = 32_768


class _Socket:
    """A TCP connection as the TLS layer sees it."""

    __slots__ = ("_connection", "_eager")

    def __init__(self, connection: Connection, *, eager: bool = True) -> None:
        self._connection: Any = connection
        self._eager = eager

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write(self, data: bytes) -> None:
        # TLS says goodbye also when the socket is gone, to whom nothing can be said.
        if self._eager and self._connection.connected:
            data = left_of(self._connection, data)
            if not data:
                return
            self._eager = False  # full, or gone, which the reactor will notice
        # The base class's: the connection's own would come back to the TLS layer.
        FileDescriptor.write(self._connection, data)

    def close_sent(self) -> bool:
        if not self._eager or not self._connection.connected:
            return False
        self._connection.connectionLost(Failure(ConnectionDone()))
        return True


@implementer(IHalfCloseableProtocol)
class EagerTls(TLSMemoryBIOProtocol):
    """The TLS layer of one connection; for a TCP connection it writes to the socket."""

    transport: Any
    _peer_said_goodbye = False

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(eager_socket(transport))

    def readConnectionLost(self) -> None:
        """The TCP connection has no more to read. Without TLS's goodbye before, anybody on the way
        may have cut it off."""
        if not self._peer_said_goodbye:
            self.transport.connectionLost(Failure(ConnectionDone()))

    def writeConnectionLost(self) -> None:
        """We never shut down one side only."""

    def _flushReceiveBIO(self) -> None:
        # As in the base class, but for the goodbye.
        door: Any = self.wrappedProtocol
        while not self._lostTLSConnection and not self._peer_said_goodbye:
            try:
                octets = self._tlsConnection.recv(READ_OCTETS)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._goodbye()
            except SSL.Error:
                self._tlsShutdownFinished(Failure())
            else:
                if not self._aborted:
                    door.dataReceived(octets)
        self._flushSendBIO()

    def _goodbye(self) -> None:
        """RFC 8446 section 6.1: the peer's close_notify ends its side alone. Exim sends it behind
        the last message, and would send that again if it heard no answer."""
        self._peer_said_goodbye = True
        door = self.wrappedProtocol
        if IHalfCloseableProtocol.providedBy(door) and not self.disconnecting:
            door.readConnectionLost()
        else:
            self._shutdownTLS()
            self._tlsShutdownFinished(None)

    def _shutdownTLS(self) -> None:
        super()._shutdownTLS()
        self.transport.loseConnection()  # once all is sent


class EagerTlsFactory(TLSMemoryBIOFactory):
    """Makes the layers of a listener."""

    protocol = EagerTls


def is_tcp(transport: object) -> bool:
    """Whether this is Twisted's TCP transport itself, whose socket can be written to."""
    return isinstance(transport, Connection)


def eager_socket(transport: Any, *, eager: bool = True) -> Any:
    """What writes to a TCP connection's socket at once; another transport as it is.

    Args:
        eager: nothing waits in the connection that the peer has not taken yet.
    """
    return _Socket(transport, eager=eager) if is_tcp(transport) else transport


def close_sent(transport: object) -> bool:
    """Close what ``eager_socket`` made, now, if the system has taken all that was written to it.
    True: the protocol has lost its connection. False: it is closed as always, which takes a turn of
    the reactor, an empty write and two changes of the poll set more.

    Only for who is just being given octets of that very connection: closed by anybody else its
    descriptor might have a new bearer before the reactor comes to what it has heard of the old one.
    """
    return isinstance(transport, _Socket) and transport.close_sent()


def start_tls(transport: Any, door: Any, layers: EagerTlsFactory, *, all_sent: bool) -> Any:
    """Put TLS between a TCP connection and its door; returns the door's transport from now on.

    Args:
        transport: the connection, without a producer.
        door: its protocol.
        layers: makes the TLS layer, for all connections of a door or for one of a client.
        all_sent: nothing waits in the connection that the peer has not taken yet.
    """
    layer = layers.protocol(layers, door, False)
    transport.protocol = layer
    layer.makeConnection(eager_socket(transport, eager=all_sent))
    return layer


def tls_layers(creator: IOpenSSLServerConnectionCreator, clock: Any) -> EagerTlsFactory:
    """For STARTTLS: without a factory behind, as the door is there already."""
    return EagerTlsFactory(creator, False, _NOBODY, clock)


def client_tls_layers(creator: IOpenSSLClientConnectionCreator, clock: Any) -> EagerTlsFactory:
    """As ``tls_layers``, for a client's side."""
    return EagerTlsFactory(creator, True, _NOBODY, clock)


_NOBODY: Any = None
