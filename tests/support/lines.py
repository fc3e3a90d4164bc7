"""Lines between processes on string transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gateway.app.line import REST_S, Line
from gateway.app.messages import FrameReader, Message
from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent


def event(mailbox_id: int, modseq: int = 1) -> MailboxEvent:
    return MailboxEvent(AccountId("a"), MailboxId(mailbox_id), ModSeq(modseq))


class Wire:
    """A line of ours and what has left it."""

    def __init__(
        self,
        on_message: Callable[[Message], None] = lambda _: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock = Clock()
        timers: Any = self.clock
        self.line = Line(timers, on_message, on_lost)
        self.transport = StringTransport()
        # Any: mypy does not see what zope declares of it.
        transport: Any = self.transport
        transport.abortConnection = self._aborted
        self.aborted = False
        self.line.makeConnection(transport)

    def _aborted(self) -> None:
        self.aborted = True

    def rest(self) -> None:
        """Hints may go out at once again."""
        self.clock.advance(REST_S)

    def sent(self) -> list[Message]:
        """What has left since the last call."""
        octets = self.transport.value()
        self.transport.clear()
        return list(FrameReader().feed(octets))
