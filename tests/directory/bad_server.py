"""A scripted LDAP server on raw sockets: says exactly what a test wants, however wrong.

A script is called for each connection with a Dialogue, in a thread of its own; it reads requests
and writes octets. All requests are kept for the test to look at.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77
BIND_RESPONSE, SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE = 0x61, 0x64, 0x65, 0x73
EXTENDED_RESPONSE = 0x78


def ber(tag_octet: int, *contents: bytes) -> bytes:
    """Tag, definite length, contents."""
    body = b"".join(contents)
    length = len(body)
    if length < 0x80:
        return bytes([tag_octet, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag_octet, 0x80 | len(octets)]) + octets + body


def text(value: str | bytes) -> bytes:
    return ber(0x04, value.encode() if isinstance(value, str) else value)


def integer(number: int) -> bytes:
    """A non-negative INTEGER; ldap3 counts its messages over all connections of the process."""
    return ber(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def message(number: int, tag_octet: int, *contents: bytes) -> bytes:
    return ber(0x30, integer(number), ber(tag_octet, *contents))


def result(
    number: int, tag_octet: int, code: int, diagnostic: str = "", referral: str = ""
) -> bytes:
    parts = [ber(0x0A, bytes([code])), text(""), text(diagnostic)]
    if referral:
        parts.append(ber(0xA3, text(referral)))
    return message(number, tag_octet, *parts)


def entry(number: int, dn: str, attributes: dict[str, Sequence[str | bytes]]) -> bytes:
    lists = [
        ber(0x30, text(name), ber(0x31, *map(text, values))) for name, values in attributes.items()
    ]
    return message(number, SEARCH_ENTRY, text(dn), ber(0x30, *lists))


def reference(number: int, uri: str) -> bytes:
    return message(number, SEARCH_REFERENCE, text(uri))


def alice(number: int, **changes: Sequence[str | bytes]) -> bytes:
    attributes: dict[str, Sequence[str | bytes]] = {
        "entryUUID": ["11111111-2222-3333-4444-000000000001"],
        "uid": ["alice"],
        "mail": ["alice@example.test"],
    }
    return entry(number, "uid=alice,dc=example,dc=test", {**attributes, **changes})


@dataclass(frozen=True)
class Request:
    """One request: on which connection (from 0), its message number, its tag, all its octets."""

    connection: int
    number: int
    kind: int
    octets: bytes


class Dialogue:
    """The server's side of one connection."""

    def __init__(self, server: BadServer, peer: socket.socket, connection: int) -> None:
        self.server = server
        self.peer = peer
        self.connection = connection
        self._stream = peer.makefile("rb")

    def next(self) -> Request | None:
        """The next request, None at the end of the connection."""
        head = self._stream.read(2)
        if len(head) < 2:
            return None
        length = head[1]
        if length >= 0x80:
            long = self._stream.read(length - 0x80)
            head += long
            length = int.from_bytes(long, "big")
        body = self._stream.read(length)
        if len(body) < length:
            return None  # in the middle
        # LDAPMessage ::= SEQUENCE { messageID INTEGER, protocolOp ... }
        size = body[1]
        number = int.from_bytes(body[2 : 2 + size], "big")
        request = Request(self.connection, number, body[2 + size], head + body)
        self.server.requests.append(request)
        return request

    def send(self, *messages: bytes) -> None:
        self.peer.sendall(b"".join(messages))

    def must_come(self) -> Request:
        """The next request; the script is over when the client goes away instead, as probes do that
        are not wanted any more."""
        request = self.next()
        if request is None:
            raise ConnectionResetError  # an OSError, as when it went away later
        return request

    def accept_bind(self) -> None:
        """Answer the bind that comes first with success."""
        request = self.must_come()
        assert request.kind == BIND
        self.send(result(request.number, BIND_RESPONSE, 0))

    def wait_for_end(self) -> None:
        """Read on until the peer closes."""
        while self.next() is not None:
            pass

    def close(self) -> None:
        self._stream.close()
        self.peer.close()


Script = Callable[[Dialogue], None]


class BadServer:
    """Listens on a free port of 127.0.0.1; a context manager."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Request] = []
        self.ended: list[int] = []
        self.connections = 0
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._peers: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def kinds(self, connection: int | None = None) -> list[int]:
        return [r.kind for r in self.requests if connection in (None, r.connection)]

    def __enter__(self) -> BadServer:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for open_socket in (self._listener, *self._peers):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            dialogue = Dialogue(self, peer, self.connections)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(dialogue,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, dialogue: Dialogue) -> None:
        try:
            self._script(dialogue)
        except OSError:
            pass  # the client went away in the middle, which many tests are about
        finally:
            dialogue.close()
            self.ended.append(dialogue.connection)


def serve_alice(dialogue: Dialogue) -> None:
    """A good server that knows alice, whose password is ``wonderland``."""
    while (request := dialogue.next()) is not None:
        if request.kind == BIND:
            right = b"uid=alice" not in request.octets or b"wonderland" in request.octets
            dialogue.send(result(request.number, BIND_RESPONSE, 0 if right else 49))
        elif request.kind == SEARCH:
            if b"alice" in request.octets:
                dialogue.send(alice(request.number))
            dialogue.send(result(request.number, SEARCH_DONE, 0))
