"""TLS over a TCP connection with its octets into the socket at once.

Owns the layer between a door and its TCP transport: Twisted's TLS protocol, except that what it
sends does not wait in the transport's buffer for the next turn of the reactor (two changes of the
poll set and a turn for each reply are more than the encryption costs). Once the socket is full,
everything goes through the buffer in order, as always.

Never decides on certificates or versions (``edge.tls``), and never used for the web side, which
wants Twisted's own layer.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol


class _Socket:
    """A TCP connection as the TLS layer sees it."""

    __slots__ = ("_connection", "_eager")

    def __init__(self, connection: Connection) -> None:
        self._connection: Any = connection
        self._eager = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write(self, data: bytes) -> None:
        # TLS says goodbye also when the socket is gone, to whom nothing can be said.
        if self._eager and self._connection.connected:
            sent = self._connection.writeSomeData(data)
            if sent == len(data):
                return
            self._eager = False  # full, or gone, which the reactor will notice
            if isinstance(sent, int):
                data = data[sent:]
        # The base class's: the connection's own would come back to the TLS layer.
        FileDescriptor.write(self._connection, data)


class EagerTls(TLSMemoryBIOProtocol):
    """The TLS layer of one connection; for a TCP connection it writes to the socket."""

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(_Socket(transport) if is_tcp(transport) else transport)


class EagerTlsFactory(TLSMemoryBIOFactory):
    """Makes the layers of a listener."""

    protocol = EagerTls


def is_tcp(transport: object) -> bool:
    """Whether this is Twisted's TCP transport itself, whose socket can be written to."""
    return isinstance(transport, Connection)


def start_tls(transport: Any, door: Any, layers: EagerTlsFactory) -> Any:
    """Put TLS between a TCP connection and its door; returns the door's transport from now on.

    Args:
        transport: the connection; nothing waits in it to be sent, and it has no producer.
        door: its protocol.
        layers: makes the TLS layer, for all connections of a door.
    """
    layer = layers.protocol(layers, door, False)  # type: ignore[arg-type]  # no interfaces asked
    transport.protocol = layer
    layer.makeConnection(transport)
    return layer


def tls_layers(creator: IOpenSSLServerConnectionCreator, clock: Any) -> EagerTlsFactory:
    """For STARTTLS: without a factory behind, as the door is there already."""
    nobody: Any = None
    return EagerTlsFactory(creator, False, nobody, clock)
