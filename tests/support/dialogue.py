"""What dialogues in memory share: a client at the far end, and a registry of connections."""

from __future__ import annotations

import itertools
from typing import Any, Protocol, cast

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from gateway.edge.connection import MailConnection


class Everybody:
    """A session registry that refuses with ``reason``."""

    def __init__(self) -> None:
        self.reason = ""
        self._serial = itertools.count(1)
        self.open: set[MailConnection] = set()

    def new_id(self) -> str:
        return f"{next(self._serial):08x}"

    def add(self, connection: MailConnection) -> str:
        if not self.reason:
            self.open.add(connection)
        return self.reason

    def remove(self, connection: MailConnection) -> None:
        self.open.discard(connection)


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
