"""The TRANSACTION state's commands over an open maildrop (RFC 1939 sections 5 and 7).

Owns the replies to STAT, LIST, UIDL, RETR, TOP, DELE, NOOP and RSET. Never reads a line, never
closes; QUIT is the connection's.

Limits: long lists leave in batches of LIST_BATCH lines, large messages in chunks of CHUNK_OCTETS,
each after the peer took most of what came before. Sizes are the octets as stored; on the wire come
dots and a missing last line end on top (RFC 1939 section 11).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from gateway.core.errors import GatewayError
from gateway.edge.pop3_errors import reply_for
from gateway.edge.pop3_maildrop import OpenMaildrop
from gateway.wire.pop3 import Command, Dele, List, Noop, Retr, Rset, Stat, Top, Uidl
from gateway.wire.pop3_replies import END, MessageWriter, err, listing, ok

CHUNK_OCTETS = 256 * 1024
TOP_CHUNK_OCTETS = 16 * 1024  # a header and some lines are rarely longer
LIST_BATCH = 1000

Pending = Coroutine[Deferred[Any], Any, None]


class Output(Protocol):
    """Where replies go: the connection."""

    def send(self, data: bytes) -> None: ...

    async def taken(self) -> None:
        """Wait until the peer took most of what was sent."""
        ...


class Transaction:
    """The commands of one session."""

    def __init__(self, maildrop: OpenMaildrop, output: Output) -> None:
        self.maildrop = maildrop
        self._output = output
        self.mid_reply = False
        """A multi-line reply has begun and not ended: an error can only be told by hanging up."""

    def handle(self, command: Command) -> Pending | None:
        """Answer a command: at once, or by the coroutine returned."""
        match command:
            case Stat():
                self._output.send(ok(f"{self.maildrop.count} {self.maildrop.size_octets}"))
            case Noop():
                self._output.send(ok())
            case Rset():
                self.maildrop.reset()
                self._output.send(ok(self._summary()))
            case Dele(number):
                self._delete(number)
            case List(number):
                return self._list(number, self._list_line)
            case Uidl(number):
                return self._list(number, self._uidl_line)
            case Retr(number):
                return self._message(number, None)
            case Top(number, lines):
                return self._message(number, lines)
            case _:
                raise AssertionError(f"no handler for {type(command).__name__}")
        return None

    def _summary(self) -> str:
        return f"{self.maildrop.count} messages ({self.maildrop.size_octets} octets)"

    def _missing(self, number: int) -> bool:
        if self.maildrop.has(number):
            return False
        self._output.send(err("no such message"))
        return True

    def _delete(self, number: int) -> None:
        if not self._missing(number):
            self.maildrop.delete(number)
            self._output.send(ok(f"message {number} deleted"))

    # -- LIST and UIDL

    def _list_line(self, number: int) -> str:
        return f"{number} {self.maildrop.size_of(number)}"

    def _uidl_line(self, number: int) -> str:
        return f"{number} {self.maildrop.unique_id(number)}"

    def _list(self, number: int | None, line_of: Callable[[int], str]) -> Pending | None:
        if number is not None:
            if not self._missing(number):
                self._output.send(ok(line_of(number)))
            return None
        lines = (line_of(n).encode("ascii") for n in self.maildrop.numbers())
        status = ok(self._summary())
        if self.maildrop.count <= LIST_BATCH:
            self._output.send(listing(status, lines))
            return None
        return self._long_list(status, lines)

    async def _long_list(self, status: bytes, lines: Iterator[bytes]) -> None:
        self.mid_reply = True
        self._output.send(status)
        while batch := list(islice(lines, LIST_BATCH)):
            self._output.send(b"\r\n".join((*batch, b"")))
            await self._output.taken()
        self._output.send(END)
        self.mid_reply = False

    # -- RETR and TOP

    def _message(self, number: int, body_lines: int | None) -> Pending | None:
        return None if self._missing(number) else self._send_message(number, body_lines)

    async def _send_message(self, number: int, body_lines: int | None) -> None:
        size = self.maildrop.size_of(number)
        chunk_octets = CHUNK_OCTETS if body_lines is None else TOP_CHUNK_OCTETS
        try:
            chunk = await self.maildrop.read(number, 0, min(size, chunk_octets))
        except GatewayError as error:
            self._output.send(reply_for(error))
            return
        writer = MessageWriter(body_lines)
        status = ok(f"{size} octets" if body_lines is None else "top of the message follows")
        octets = status + writer.feed(chunk)
        offset = len(chunk)
        # From here on a failing read must not look like the message's end: it is raised.
        self.mid_reply = True
        while offset < size and not writer.done:
            self._output.send(octets)
            await self._output.taken()
            chunk = await self.maildrop.read(number, offset, min(size - offset, CHUNK_OCTETS))
            octets = writer.feed(chunk)
            offset += len(chunk)
        self._output.send(octets + writer.finish())
        self.mid_reply = False
