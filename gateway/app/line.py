"""One end of the line between the parent and a worker, on Twisted.

Owns what happens while the other end does not read: hints are merged by mailbox, and turn into one
``Doubt`` when they are too many; of every other kind of message the latest is kept. So one that is
stuck holds up nobody and costs a bounded amount of memory.

Limits: MAX_MERGED mailboxes wait at most; the transport buffers about 64 KiB besides.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.app.messages import Doubt, FrameReader, Hints, Message, encode
from gateway.core.ids import MailboxId
from gateway.core.mailboxes import MailboxEvent

MAX_MERGED = 10_000
PIECE = 1_000
"""Events to a frame."""


@implementer(IPushProducer)
class Line(Protocol):
    """Sends and receives messages.

    Args:
        on_message: called with each.
        on_lost: called once when the other end is gone, but not after ``close``.
        reader: holds what was read already.
    """

    log = Logger()

    def __init__(
        self,
        on_message: Callable[[Message], None],
        on_lost: Callable[[], None],
        reader: FrameReader | None = None,
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = reader or FrameReader()
        self._paused = False
        self._closed = False
        self._merged: dict[MailboxId, MailboxEvent] = {}
        self._queue_grew = False
        self._doubtful = False
        self._kept: dict[type[Message], Message] = {}

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                self._on_message(message)
        except ValueError as error:
            self.log.error("line between processes broken: {error}", error=str(error))
            self._hang_up()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self._closed:
            self._closed = True
            self._on_lost()

    def close(self) -> None:
        """Hang up; what is not sent yet is dropped."""
        self._closed = True
        self._hang_up()

    def _hang_up(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    # -- sending

    def send(self, message: Message) -> None:
        """Send now, or as the latest of its kind once the other end reads again."""
        if self._paused:
            self._kept[type(message)] = message
        else:
            self._write(message)

    def hint(
        self, events: Sequence[MailboxEvent], queue_grew: bool, frame: bytes | None = None
    ) -> None:
        """Tell of commits, now or merged with others.

        Args:
            frame: the same as octets, if it has been made for another line already.
        """
        if not self._paused and len(events) <= PIECE:
            self._write_octets(frame or encode(Hints(tuple(events), queue_grew)))
            return
        self._queue_grew = self._queue_grew or queue_grew
        if not self._doubtful:
            for event in events:
                # Two processes' hints may come in another order than their commits.
                known = self._merged.get(event.mailbox_id)
                if known is None or known.highest_modseq < event.highest_modseq:
                    self._merged[event.mailbox_id] = event
            if len(self._merged) > MAX_MERGED:
                self.doubt()
        if not self._paused:
            self._flush()

    def doubt(self) -> None:
        """Tell that hints were lost."""
        self._merged.clear()
        self._doubtful = True
        if not self._paused:
            self._flush()

    def _write(self, message: Message) -> None:
        self._write_octets(encode(message))

    def _write_octets(self, octets: bytes) -> None:
        transport: Any = self.transport
        if not self._closed and transport is not None:
            transport.write(octets)

    def _flush(self) -> None:
        for message in self._kept.values():
            self._write(message)
        self._kept.clear()
        events = list(self._merged.values())
        for start in range(0, len(events), PIECE):
            self._write(Hints(tuple(events[start : start + PIECE])))
        self._merged.clear()
        if self._doubtful:
            self._write(Doubt())
        if self._queue_grew:
            self._write(Hints((), True))
        self._doubtful = self._queue_grew = False

    # -- IPushProducer, as the transport sees us

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._flush()

    def stopProducing(self) -> None:
        self._paused = True


def adopt(reactor: Any, end: socket.socket, line: Line) -> None:
    """Serve the line on a connected socket (which is used up)."""
    end.setblocking(False)
    factory: Any = Factory.forProtocol(lambda: line)
    factory.noisy = False
    try:
        reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)
    finally:
        end.close()
