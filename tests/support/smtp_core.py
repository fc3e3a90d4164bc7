"""The core of an SMTP session without any door: offers, and a door's part in a few lines."""

from __future__ import annotations

from typing import Any

from gateway.wire.smtp_commands import Bdat, Data
from gateway.wire.smtp_events import ChunkEnded, ContentEnded, Event, Refused
from gateway.wire.smtp_extensions import EXTENSIONS, DoorOffer, Offer, offered
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_server import SmtpServer
from gateway.wire.smtp_syntax import Grammar

ALL = frozenset(row.keyword for row in EXTENSIONS)
LIMITS = SmtpLimits(line_octets=200, auth_line_octets=300, line_discard_octets=1000)

EHLO, MAIL, RCPT = b"EHLO c.test", b"MAIL FROM:<a@b.test>", b"RCPT TO:<c@d.test>"


def door_offer(*enabled: str, **more: Any) -> DoorOffer:
    """A door with these rows, with all of them if none is named."""
    facts: dict[str, Any] = {"starttls": True, "recipients": 100, "hold_s": 86_400, **more}
    return DoorOffer("mail.test", 1000, frozenset(enabled) or ALL, **facts)


def grammar(*enabled: str, esmtp: bool = True, **facts: Any) -> Grammar:
    """What may be said at such a door."""
    now = offered(Offer(door_offer(*enabled), **facts))
    return now.extended if esmtp else now.plain


class Talk:
    """A session whose door accepts everything it is not told to refuse.

    ``messages`` has what was written of each message that was accepted, ``events`` all there was.
    """

    def __init__(
        self,
        *before: bytes,
        limits: SmtpLimits = LIMITS,
        newlines: BareNewlines = "reject",
        offer: Offer | None = None,
    ) -> None:
        self.core = SmtpServer(
            limits, newlines, offer or Offer(door_offer(), mechanisms=("PLAIN",))
        )
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self.closed = False
        self.written = b""
        for line in before:
            self.say(line + b"\r\n")
            assert not isinstance(self.events[-1], Refused), self.events[-1]

    def say(self, octets: bytes, step: int = 0) -> list[str]:
        """Feed, answer every event, and give the replies that refuse (codes), else event names."""
        start = len(self.events)
        for at in range(0, len(octets), step or max(len(octets), 1)):
            self.core.feed(octets[at : at + step] if step else octets)
            self._answer_all()
        return [_name(event) for event in self.events[start:]]

    def _answer_all(self) -> None:
        while not self.closed:
            event = self.core.next_event()
            if event is None:
                return
            self.events.append(event)
            self._answer(event)

    def _write(self, octets: bytes) -> None:
        self.written += octets

    def _answer(self, event: Event) -> None:
        match event:
            case Refused():
                self.closed = event.close
            case Data():
                self.core.start_content(self._write)
            case Bdat():
                self.core.start_chunk(self._write)
            case ContentEnded(refusal) | ChunkEnded(_, True, refusal):
                if refusal is None:
                    self.messages.append(self.written)
                self.written = b""
            case ChunkEnded(_, False, refusal):
                if refusal is not None:
                    self.written = b""
            case _ if hasattr(event, "verb"):
                self.core.succeeded(event.verb)


def _name(event: Event) -> str:
    reply = event.reply if isinstance(event, Refused) else getattr(event, "refusal", None)
    if reply is not None:
        closing = " closed" if isinstance(event, Refused) and event.close else ""
        return f"{reply.code} {reply.status}{closing}"
    verb = getattr(event, "verb", None)
    return verb.value if verb is not None else type(event).__name__
