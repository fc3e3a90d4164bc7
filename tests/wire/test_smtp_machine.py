"""Every state of a session against every command and any garbage (SECURITY S4, S10, S22, S23).

The model is a second table of the order, written as a reader of RFC 5321, 3030 and 2033 would: what
must have happened before, and what a command does to it.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.wire.smtp_commands import Auth, Bdat, Command, Data, Etrn, Mail, Rcpt, Simple, Verb
from gateway.wire.smtp_events import AuthResponse, ChunkEnded, ContentEnded, Event, Refused
from gateway.wire.smtp_extensions import Offer
from gateway.wire.smtp_limits import SmtpLimits
from gateway.wire.smtp_order import Phase
from gateway.wire.smtp_replies import NO_RECIPIENTS, Reply
from gateway.wire.smtp_server import SmtpServer
from tests.support.smtp_core import door_offer

LIMITS = SmtpLimits(line_octets=300, auth_line_octets=300, line_discard_octets=10_000)
NOT_NOW = Reply(451, "4.3.0", "not now")
GARBAGE = st.binary(min_size=1, max_size=60).map(lambda octets: octets.replace(b"\r\n", b""))
CONTENT = st.lists(st.sampled_from([b"a", b"\r\n", b".", b"x: y", b"\0\xff"]), max_size=12)


class SessionMachine(RuleBasedStateMachine):
    """A client that says anything, and a door that accepts or refuses as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.core = SmtpServer(LIMITS, "reject", Offer(door_offer(), mechanisms=("PLAIN",)))
        self.greeted = False
        self.esmtp = False
        self.sender = False
        self.recipients = 0
        self.chunks = False
        self.data_refused = False
        self.closed = False
        self.written = b""
        self.chunked = b""
        self.step = 0

    @initialize(step=st.integers(0, 9))
    def cut(self, step: int) -> None:
        self.step = step

    def say(self, octets: bytes) -> Event | None:
        """Feed as this run cuts; the one event there may be."""
        events = []
        step = self.step or max(1, len(octets))
        for start in range(0, len(octets), step):
            self.core.feed(octets[start : start + step])
            event = self.core.next_event()
            if event is not None:
                events.append(event)
                assert start + step >= len(octets), "answered before the end"
        assert len(events) <= 1
        return events[0] if events else None

    def write(self, octets: bytes) -> None:
        self.written += octets

    def forget(self) -> None:
        self.sender = self.chunks = False
        self.recipients = 0
        self.written = self.chunked = b""

    def allowed(self, event: Event | None, kind: type[Command], possible: bool) -> bool:
        """The core agrees with the model about the order."""
        if self.closed:
            return False
        if possible:
            assert isinstance(event, kind), event
            self.data_refused = False
            return True
        assert isinstance(event, Refused), event
        assert event.reply.code in (502, 503, 554, 555), event
        self.closed = event.close
        return False

    @rule(verb=st.sampled_from([Verb.EHLO, Verb.HELO]), accept=st.booleans())
    def hello(self, verb: Verb, accept: bool) -> None:
        if self.closed:
            return
        event = self.say(verb.value.encode() + b" x\r\n")
        assert not isinstance(event, Refused) and event is not None
        self.data_refused = False
        if accept:
            self.core.succeeded(verb)
            self.forget()
            self.greeted, self.esmtp = True, verb is Verb.EHLO

    @rule(accept=st.booleans(), size=st.booleans())
    def mail(self, accept: bool, size: bool) -> None:
        if self.closed:
            return
        event = self.say(b"MAIL FROM:<a@b>%b\r\n" % (b" SIZE=1" if size else b""))
        possible = self.greeted and not self.sender and (self.esmtp or not size)
        if self.allowed(event, Mail, possible) and accept:
            self.core.succeeded(Verb.MAIL)
            self.sender = True

    @rule(accept=st.booleans())
    def rcpt(self, accept: bool) -> None:
        if self.closed:
            return
        event = self.say(b"RCPT TO:<a@b>\r\n")
        if self.allowed(event, Rcpt, self.sender and not self.chunks):
            if accept:
                self.core.succeeded(Verb.RCPT)
                self.recipients += 1
            else:
                self.core.recipient_refused()

    @rule(accept=st.booleans(), pieces=CONTENT)
    def data(self, accept: bool, pieces: list[bytes]) -> None:
        if self.closed:
            return
        event = self.say(b"DATA\r\n")
        if isinstance(event, Refused) and event.reply is NO_RECIPIENTS:
            assert self.sender and not self.recipients
        if not self.allowed(event, Data, bool(self.recipients) and not self.chunks):
            self.data_refused = True
            return
        if not accept:
            self.core.data_refused()
            self.data_refused = True
            return
        self.core.start_content(self.write)
        message = b"".join(pieces)
        message += b"" if message.endswith(b"\r\n") or not message else b"\r\n"
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
        assert self.say(stuffed + b".\r\n") == ContentEnded(None)
        assert self.written == message
        self.forget()

    @rule(accept=st.booleans(), last=st.booleans(), pieces=CONTENT)
    def bdat(self, accept: bool, last: bool, pieces: list[bytes]) -> None:
        if self.closed:
            return
        octets = b"".join(pieces)
        line = b"BDAT %d%b\r\n" % (len(octets), b" LAST" if last else b"")
        possible = self.esmtp and bool(self.recipients)
        if not possible:
            self.allowed(self.say(line + octets), Bdat, possible)
            return
        if not self.allowed(self.say(line), Bdat, possible):
            return
        if not accept:
            self.core.refuse_chunk(NOT_NOW)
            event = self.say(octets) or self.core.next_event()
            assert event == ChunkEnded(len(octets), last, NOT_NOW)
            self.forget()
            return
        self.core.start_chunk(self.write)
        self.chunks = True
        self.chunked += octets
        assert (self.say(octets) or self.core.next_event()) == ChunkEnded(len(octets), last, None)
        if last:
            assert self.written == self.chunked
            self.forget()

    @rule(answers=st.integers(0, 3))
    def auth(self, answers: int) -> None:
        if self.closed:
            return
        event = self.say(b"AUTH PLAIN\r\n")
        if self.allowed(event, Auth, self.esmtp and not self.sender):
            for _ in range(answers):
                self.core.expect_auth_response(True)
                assert self.say(b"RSET\r\n") == AuthResponse(b"RSET")
                self.core.expect_auth_response(False)

    @rule()
    def etrn(self) -> None:
        if not self.closed:
            event = self.say(b"ETRN d.test\r\n")
            self.allowed(event, Etrn, self.esmtp and not self.sender)

    @rule()
    def rset(self) -> None:
        if not self.closed:
            assert self.say(b"RSET\r\n") == Simple(Verb.RSET)
            self.core.succeeded(Verb.RSET)
            self.forget()
            self.data_refused = False

    @rule()
    def start_tls(self) -> None:
        if not self.closed and self.allowed(self.say(b"STARTTLS\r\n"), Simple, self.esmtp):
            self.core.start_tls()
            self.forget()
            self.greeted = self.esmtp = False

    @rule(word=st.sampled_from([b"NOOP", b"HELP", b"VRFY x"]))
    def at_any_time(self, word: bytes) -> None:
        if not self.closed:
            event = self.say(word + b"\r\n")
            assert isinstance(event, Simple)
            self.core.succeeded(event.verb)
            self.data_refused = False

    @rule(octets=GARBAGE)
    def garbage(self, octets: bytes) -> None:
        """What is no command changes nothing, and behind a refused DATA it ends the session."""
        if self.closed:
            return
        event = self.say(b"!" + octets + b"\r\n")
        assert isinstance(event, Refused) and event.reply.code == 500
        assert event.close or not self.data_refused
        self.closed = event.close

    @rule()
    def abandon(self) -> None:
        if not self.closed:
            self.core.abandon()
            self.forget()
            self.data_refused = True

    @invariant()
    def agrees(self) -> None:
        if self.closed:
            return
        assert self.core.buffered == 0
        assert self.core.esmtp == self.esmtp
        assert self.core.phase is (
            (Phase.CHUNKS if self.chunks else Phase.RECIPIENTS)
            if self.recipients
            else Phase.SENDER
            if self.sender
            else Phase.READY
            if self.greeted
            else Phase.GREETED
        )


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=40)
