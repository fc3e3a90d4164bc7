"""Octets into a socket at once.

Through a transport's buffer each write costs two changes of the poll set and a turn of the reactor,
a third of what a message costs. Owns one try; never buffers. Whoever calls has nothing of its own
waiting in the transport, or octets would overtake each other.
"""

from __future__ import annotations

from typing import Protocol


class Socket(Protocol):
    """What is used of a socket that does not block."""

    def send(self, data: bytes, /) -> int:
        """How many octets were taken. Raises: OSError."""
        ...


class Connection(Protocol):
    """What is used of Twisted's TCP connection."""

    @property
    def socket(self) -> Socket: ...


def left_of(connection: Connection, data: bytes) -> bytes:
    """Write the data; what is returned was not taken, as the peer is slow, or gone, and has to be
    buffered, as has everything behind it."""
    try:
        sent = connection.socket.send(data)
    except OSError:
        return data  # whoever buffers it finds out which of the two it is
    return data[sent:] if sent < len(data) else b""
