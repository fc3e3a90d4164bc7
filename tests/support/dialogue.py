"""A client at the far end of an in-memory connection, for dialogues line by line."""

from __future__ import annotations

from typing import Any, Protocol, cast

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport


class Answering(Protocol):
    """A door's connection, as a test drives it."""

    def makeConnection(self, transport: Any) -> None: ...

    def dataReceived(self, data: bytes) -> None: ...


class Dialogue:
    """Sends and reads; the subclass adds its protocol's habits."""

    transport: Any

    def __init__(self, connection: Answering, transport: type[StringTransport], ip: str) -> None:
        self.transport = transport(peerAddress=IPv4Address("TCP", ip, 40000))
        self._answering = connection
        connection.makeConnection(cast(Any, self.transport))

    def read(self) -> bytes:
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def send(self, octets: bytes) -> bytes:
        """Send octets as they are; what came back at once."""
        self._answering.dataReceived(octets)
        return self.read()

    def drip(self, octets: bytes) -> bytes:
        """Send octet by octet."""
        return b"".join(self.send(octets[i : i + 1]) for i in range(len(octets)))

    def say(self, line: bytes) -> bytes:
        return self.send(line + b"\r\n")
