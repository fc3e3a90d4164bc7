"""A client session against a server that keeps the rules but decides and cuts octets as it likes.

The server knows what it has taken, and from which message; the session must tell no other story.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.dot_stuffing import DotStuffer, whole_lines
from gateway.wire.smtp_client import ClientSession
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_plan import (
    Close,
    InspectBody,
    Opened,
    Request,
    Send,
    SendBody,
    SessionPlan,
    Stage,
    TransactionEnd,
)

PLAN = SessionPlan(b"mail.x.example")
REFUSALS = (b"421 4.3.2 bye", b"450 4.2.0 later", b"452 4.5.3 too many", b"550 5.1.1 no", b"552 no")


class Draws:
    """Decisions, of which most are to go on."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def chance(self, one_in: int) -> bool:
        return self.number(1, one_in) == one_in

    def number(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def refusal(self) -> bytes:
        return REFUSALS[self.number(0, len(REFUSALS) - 1)]


@dataclass
class Server:
    """RFC 5321, 2920, 3030 and 2033, as one that may refuse anything.

    ``taken`` holds what it has accepted: the recipient and the message's octets.
    """

    draws: Draws
    lmtp: bool
    offer: tuple[bytes, ...]
    taken: list[tuple[bytes, bytes]] = field(default_factory=list)
    said: bytes = b""
    closed: bool = False
    _heard: bytes = b""
    _begun: bool = False
    _recipients: list[bytes] = field(default_factory=list)
    _in_data: bool = False
    _chunk: int = -1

    def hear(self, octets: bytes) -> None:
        self._heard += octets
        while not self.closed and self._step():
            pass

    def _say(self, reply: bytes) -> None:
        self.said += reply + b"\r\n"
        self.closed = self.closed or reply.startswith((b"421", b"221"))

    def _step(self) -> bool:
        if self._in_data:
            end = (b"\r\n" + self._heard).find(b"\r\n.\r\n")
            if end < 0:
                return False
            stuffed, self._heard = self._heard[:end], self._heard[end + 3 :]
            self._in_data = False
            self._take((b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n")[2:])
        elif self._chunk >= 0:
            if len(self._heard) < self._chunk:
                return False
            octets, self._heard = self._heard[: self._chunk], self._heard[self._chunk :]
            self._chunk = -1
            if self._recipients:
                self._take(octets)
            else:
                self._say(b"503 no recipients")
        else:
            line, found, rest = self._heard.partition(b"\r\n")
            if not found:
                return False
            self._heard = rest
            self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        verb = line.split(b" ")[0].split(b":")[0]
        refused = self.draws.chance(8)
        if verb == b"BDAT":
            self._chunk = int(line.split(b" ")[1])
        elif verb in (b"EHLO", b"LHLO"):
            lines = (b"mx.y.example", *self.offer)
            for each in lines[:-1]:
                self.said += b"250-" + each + b"\r\n"
            self._say(b"250 " + lines[-1])
        elif verb == b"QUIT":
            self._say(b"221 bye")
        elif verb == b"RSET":
            self._forget()
            self._say(self.draws.refusal() if self.draws.chance(3) else b"250 ok")
        elif verb == b"MAIL":
            assert not self._begun, "a transaction stands, which only RSET ends"
            self._begun = not refused
            self._say(self.draws.refusal() if refused else b"250 ok")
        elif verb == b"RCPT" and self._begun and not refused:
            self._recipients.append(line.removeprefix(b"RCPT TO:"))
            self._say(b"250 ok")
        elif verb == b"DATA" and self._recipients and not refused:
            self._in_data = True
            self._say(b"354 go")
        else:
            assert verb in (b"RCPT", b"DATA"), line
            self._say(
                self.draws.refusal() if self._begun and refused else b"503 first things first"
            )

    def _take(self, octets: bytes) -> None:
        recipients = self._recipients
        self._forget()
        for each in [[one] for one in recipients] if self.lmtp else [recipients]:
            if self.draws.chance(6):
                self._say(self.draws.refusal())
            else:
                self.taken += [(one, octets) for one in each]
                self._say(b"250 taken")
        if self.draws.chance(9):
            self._say(b"421 that was enough")

    def _forget(self) -> None:
        self._begun, self._recipients = False, []


class Line:
    """The connection: pieces of any size, either way, until it breaks."""

    def __init__(self, draws: Draws, lmtp: bool, offer: tuple[bytes, ...]) -> None:
        self.draws = draws
        self.server = Server(draws, lmtp, offer)
        self.session = ClientSession(replace(PLAN, lmtp=lmtp))
        self.server.said = b"220 hi\r\n"
        self.end: TransactionEnd | None = None
        self.opened = False
        self.cut = False
        self.streamed = b""
        self._wire = b""

    def _do(self, requests: list[Request]) -> None:
        for request in requests:
            match request:
                case Send(data):
                    self._wire += data
                case Opened():
                    self.opened = True
                case TransactionEnd():
                    assert self.end is None, "told once"
                    self.end = request
                case InspectBody():
                    self._do(self.session.body_inspected(Content(True, False)))
                case SendBody():
                    stuffer = DotStuffer()
                    octets = stuffer.feed(self.streamed) + stuffer.finish()
                    self._wire += octets
                    self._do(self.session.body_sent())
                case Close():
                    self.cut = True

    def run(self, *, until_open: bool = False) -> TransactionEnd | None:
        """Until the transaction's end, or nothing moves."""
        while not self.cut and not (self.opened if until_open else self.end):
            if self.draws.chance(30):
                self.breaks("lost")
            elif self._wire and (not self.server.said or self.draws.chance(2)):
                count = self.draws.number(1, len(self._wire))
                octets, self._wire = self._wire[:count], self._wire[count:]
                self.server.hear(octets)
            elif self.server.said:
                count = self.draws.number(1, len(self.server.said))
                octets, self.server.said = self.server.said[:count], self.server.said[count:]
                self._do(self.session.receive(octets))
            else:
                self.breaks("silence")
        if self.cut and self.draws.chance(2):
            self.server.hear(self._wire)  # what has left arrives, though nobody listens any more
        return self.end

    def breaks(self, why: str) -> None:
        self._do(self.session.give_up("4.4.2", why))
        assert self.session.stage is Stage.CLOSED
        # What comes now comes too late, and is nobody's answer.
        self._do(self.session.receive(self.server.said + b"250 late\r\n"))

    def send(self, envelope: Envelope, octets: bytes, *, at_hand: bool) -> TransactionEnd:
        self.end, self.streamed = None, octets
        just_used = self.draws.chance(2)
        self._do(self.session.begin(envelope, octets if at_hand else None, just_used=just_used))
        end = self.run()
        assert end is not None
        return end


OFFERS = (
    (),
    (b"8BITMIME", b"PIPELINING"),
    (b"8BITMIME", b"CHUNKING"),
    (b"8BITMIME", b"PIPELINING", b"CHUNKING"),
    (b"PIPELINING", b"CHUNKING"),
)


@settings(max_examples=400)
@given(st.integers(0, 2**40), st.booleans(), st.sampled_from(OFFERS))
def test_D5_what_is_told_is_what_the_server_did(
    seed: int, lmtp: bool, offer: tuple[bytes, ...]
) -> None:
    draws = Draws(seed)
    line = Line(draws, lmtp, offer)
    for number in range(12):
        if line.session.stage is not Stage.IDLE:
            line = Line(draws, lmtp, offer)
            line.run(until_open=True)
            if line.cut:
                continue
        octets = b"Subject: %d\r\n\r\n.\r\nRSET\r\nMAIL FROM:<evil>\r\n%d" % (number, number)
        count = draws.number(1, 3)
        recipients = tuple(b"<%d@%d.example>" % (each, number) for each in range(count))
        envelope = Envelope(b"<a@x.example>", recipients, len(octets))
        before = len(line.server.taken)
        end = line.send(envelope, octets, at_hand=not draws.chance(4))
        taken = line.server.taken[before:]
        assert all(each == whole_lines(octets) for _, each in taken), "whole, and no other's"
        got = [recipient for recipient, _ in taken]
        assert len(set(got)) == len(got) and set(got) <= set(recipients)
        if got:
            assert not end.stale and not end.without_chunking and not end.elsewhere
        for recipient, result in zip(recipients, end.results, strict=True):
            shown = result or end.problem
            assert shown is not None
            if shown.verdict is Verdict.DELIVERED:
                assert recipient in got
            elif recipient in got:
                assert shown.verdict is Verdict.DEFERRED, "a second copy rather than none"
                assert line.cut, "only where its answer was lost"
