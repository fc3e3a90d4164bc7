"""One end of the line between the parent and a worker, on Twisted.

Owns how hints travel: the first at once, those of the next REST_S merged by mailbox into one frame,
so that a thousand deliveries a second wake the other processes fifty times and not a thousand; and
what happens while the other end does not read: hints stay merged, and turn into one ``Doubt`` when
they are too many; of every other kind of message the latest is kept. So one that is stuck holds up
nobody and costs a bounded amount of memory.

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
from gateway.core.ports.clock import Timer, Timers

REST_S = 0.02
"""Between two frames of hints. A hint passes two lines, and a person does not see 40 ms."""
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
        timers: Timers,
        on_message: Callable[[Message], None],
        on_lost: Callable[[], None],
        reader: FrameReader | None = None,
    ) -> None:
        self._timers = timers
        self._on_message = on_message
        self._on_lost = on_lost
        self._reader = reader or FrameReader()
        self._paused = False
        self._closed = False
        self._rest: Timer | None = None
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
        self._end_rest()
        if not self._closed:
            self._closed = True
            self._on_lost()

    def close(self) -> None:
        """Hang up; what is not sent yet is dropped."""
        self._closed = True
        self._end_rest()
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

    def hint(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """Tell of commits, now or soon."""
        self._queue_grew = self._queue_grew or queue_grew
        if not self._doubtful:
            for event in events:
                # Two processes' hints may come in another order than their commits.
                known = self._merged.get(event.mailbox_id)
                if known is None or known.highest_modseq < event.highest_modseq:
                    self._merged[event.mailbox_id] = event
            if len(self._merged) > MAX_MERGED:
                self._lose_hints()
        self._flush_hints()

    def doubt(self) -> None:
        """Tell that hints were lost."""
        self._lose_hints()
        self._flush_hints()

    def _lose_hints(self) -> None:
        self._merged.clear()
        self._doubtful = True

    def _write(self, message: Message) -> None:
        transport: Any = self.transport
        if not self._closed and transport is not None:
            transport.write(encode(message))

    def _flush_hints(self) -> None:
        if self._paused or self._closed or self._rest is not None:
            return
        doubtful, queue_grew, events = (
            self._doubtful,
            self._queue_grew,
            tuple(self._merged.values()),
        )
        if not (doubtful or queue_grew or events):
            return
        self._doubtful = self._queue_grew = False
        self._merged.clear()
        self._rest = self._timers.callLater(REST_S, self._rested)
        if doubtful:
            self._write(Doubt())
        while len(events) > PIECE:
            self._write(Hints(events[:PIECE]))
            events = events[PIECE:]
        if events or queue_grew:
            self._write(Hints(events, queue_grew))

    def _rested(self) -> None:
        self._rest = None
        self._flush_hints()

    def _end_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    # -- IPushProducer, as the transport sees us

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        for message in self._kept.values():
            self._write(message)
        self._kept.clear()
        self._flush_hints()

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
