"""Octets into a socket at once.

Through a transport's buffer each write costs two changes of the poll set and a turn of the reactor,
a third of what a message costs. Owns one try; never buffers. Whoever calls has nothing of its own
waiting in the transport, or octets would overtake each other.
"""

from __future__ import annotations

from typing import Protocol


class Socket(Protocol):
    """What is used of Twisted's TCP connection."""

    def writeSomeData(self, data: bytes) -> int | BaseException:
        """How many octets were taken, or why there is no peer any more."""
        ...


def left_of(socket: Socket, data: bytes) -> bytes:
    """Write the data; what is returned was not taken, as the peer is slow, or gone, and has to be
    buffered, as has everything behind it."""
    sent = socket.writeSomeData(data)
    return data[sent:] if isinstance(sent, int) else data
