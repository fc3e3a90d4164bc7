"""The sans-IO core of an SMTP server session: octets in, typed events out, order by one table.

Theory of operation: the door feeds what arrives and asks for one event at a time with
``next_event``. A Command is well-formed and allowed now; the door answers it and, if the answer was
a success, says so with ``succeeded``, which moves the phase along TRANSITIONS. A Refused event has
its reply already. While a command is being worked on the door does not ask, so pipelined commands
wait in the buffer and are answered in order (SECURITY F1e, S22).

Invariants: a line ends at CRLF only; content ends at CRLF . CRLF only; what follows STARTTLS, or
DATA that was refused, is never run as a command (S16, S22). After the end of content the
transaction is over, whatever the reply will be (S4).

What the table cannot express: AUTH and STARTTLS depend on TLS and the door and are judged there.

Limits: lines by ``SmtpLimits``; the door pauses reading while ``buffered`` is large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from gateway.wire.foreign import is_binary
from gateway.wire.smtp_commands import (
    Command,
    SyntaxRefused,
    Verb,
    parse_command,
)
from gateway.wire.smtp_data import ContentOverrun, DataReader
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import (
    AUTH_LINE_TOO_LONG,
    LINE_TOO_LONG,
    MAIL_FIRST,
    NESTED_MAIL,
    NO_RECIPIENTS,
    NOT_IN_TRANSACTION,
    NOT_SMTP,
    RCPT_FIRST,
    SEND_EHLO_FIRST,
    SEND_HELO_FIRST,
    TOO_BIG,
    Reply,
)


class Phase(Enum):
    """Where the session stands (RFC 5321 section 4.1.4)."""

    __hash__ = object.__hash__  # as for Verb

    GREETED = "greeted"  # no EHLO or HELO yet
    READY = "ready"  # no transaction
    SENDER = "sender"  # MAIL accepted
    RECIPIENTS = "recipients"  # at least one RCPT accepted
    CONTENT = "content"  # 354 was sent


_ANY_TIME = (Verb.NOOP, Verb.VRFY, Verb.EXPN, Verb.HELP, Verb.QUIT)

TRANSITIONS: Mapping[tuple[Phase, Verb], Phase] = {
    (Phase.GREETED, Verb.EHLO): Phase.READY,
    (Phase.GREETED, Verb.HELO): Phase.READY,
    (Phase.GREETED, Verb.RSET): Phase.GREETED,
    (Phase.READY, Verb.EHLO): Phase.READY,
    (Phase.READY, Verb.HELO): Phase.READY,
    (Phase.READY, Verb.RSET): Phase.READY,
    (Phase.READY, Verb.AUTH): Phase.READY,
    (Phase.READY, Verb.STARTTLS): Phase.GREETED,  # RFC 3207 section 4.2: all is forgotten
    (Phase.READY, Verb.MAIL): Phase.SENDER,
    (Phase.SENDER, Verb.RCPT): Phase.RECIPIENTS,
    (Phase.RECIPIENTS, Verb.RCPT): Phase.RECIPIENTS,
    (Phase.RECIPIENTS, Verb.DATA): Phase.CONTENT,
    # Section 4.1.4: EHLO in a transaction is a RSET as well; STARTTLS resets too (S17).
    **{
        (phase, verb): after
        for phase in (Phase.SENDER, Phase.RECIPIENTS)
        for verb, after in (
            (Verb.EHLO, Phase.READY),
            (Verb.HELO, Phase.READY),
            (Verb.RSET, Phase.READY),
            (Verb.STARTTLS, Phase.GREETED),
        )
    },
    **{(phase, verb): phase for phase in Phase if phase is not Phase.CONTENT for verb in _ANY_TIME},
}
"""What a success leads to; a pair that is not listed is refused by ``_out_of_order``."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The core has judged: send the reply, and close behind it if asked to."""

    reply: Reply
    close: bool = False


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's line in a SASL exchange, without CRLF."""

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContentEnded:
    """The dot came. ``refusal`` is set when the message cannot be accepted anyway."""

    refusal: Reply | None


Event = Command | Refused | AuthResponse | ContentEnded


class SmtpServer:
    """One session's order, buffer and framing."""

    def __init__(self, limits: SmtpLimits, bare_newlines: BareNewlines) -> None:
        self.phase = Phase.GREETED
        self.esmtp = False
        self.auth_offered = False  # set by the door, as TLS changes it
        self._limits = limits
        self._bare_newlines: BareNewlines = bare_newlines
        self._buffer = b""
        self._at = 0  # octets before this are done with
        self._searched = 0  # no CRLF begins before this
        self._in_auth = False
        self._too_long: Reply | None = None  # for the end of the line being thrown away
        self._discarded = 0  # octets of that line
        self._recipient_refused = False
        self._data_refused = False
        self._reader: DataReader | None = None

    # -- input

    @property
    def buffered(self) -> int:
        """Octets that wait behind the last event."""
        return len(self._buffer) - self._at

    @property
    def content_octets(self) -> int:
        """Octets of content so far; 0 outside content."""
        return self._reader.octets if self._reader is not None else 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        if self._at == len(self._buffer):
            self._buffer = data
            self._at = self._searched = 0
        else:
            self._buffer = self._buffer[self._at :] + data
            self._searched -= self._at
            self._at = 0

    def next_event(self) -> Event | None:
        """The next thing to be answered, or None until more arrives."""
        if self._at == len(self._buffer):
            return None
        if self._reader is not None:
            return self._read_content(self._reader)
        end = self._buffer.find(b"\r\n", self._searched)
        if end < 0:
            self._searched = max(self._at, len(self._buffer) - 1)
            return self._unfinished_line()
        line = self._buffer[self._at : end]
        self._at = self._searched = end + 2
        if self._too_long is not None or len(line) + 2 > self._limits.line_octets:
            refusal = self._too_long or self._complaint_about_length(line[:5], len(line) + 2)
            self._too_long, self._discarded = None, 0
            if refusal is not None:
                self._in_auth = False
                return Refused(refusal)
        if self._in_auth:
            return AuthResponse(line)
        return self._command(line)

    # -- what the door tells

    def succeeded(self, verb: Verb) -> None:
        """The command was answered with a success (for QUIT, AUTH and others alike)."""
        self.phase = TRANSITIONS[self.phase, verb]
        if self.phase is Phase.READY:
            self._recipient_refused = False
        if verb is Verb.EHLO:
            self.esmtp = True
        elif verb is Verb.HELO:
            self.esmtp = False

    def recipient_refused(self) -> None:
        """Remembered so that DATA without any recipient gets a fitting answer."""
        self._recipient_refused = True

    def start_content(self, write: Callable[[bytes], None]) -> None:
        """DATA was answered with 354: read a message into ``write``."""
        self.succeeded(Verb.DATA)
        self._reader = DataReader(write, self._limits, self._bare_newlines)

    def data_refused(self) -> None:
        """DATA was refused: the text that a broken client sends all the same is no command."""
        self._data_refused = True

    def expect_auth_response(self, expected: bool) -> None:
        """Whether the next line belongs to a SASL exchange."""
        self._in_auth = expected

    def start_tls(self) -> None:
        """STARTTLS was answered with 220: forget all that came in clear (RFC 3207 section 4.2)."""
        assert not self.buffered, "octets behind STARTTLS would be taken as sent inside TLS"
        self.succeeded(Verb.STARTTLS)
        self.esmtp = False

    # -- lines

    def _command(self, line: bytes) -> Event:
        try:
            command = parse_command(line, esmtp=self.esmtp, auth_offered=self.auth_offered)
        except SyntaxRefused as error:
            # No known verb behind a refused DATA: this is the text of the message (S22).
            return Refused(error.reply, close=error.foreign or self._data_refused)
        self._data_refused = False
        if (self.phase, command.verb) not in TRANSITIONS:
            return self._out_of_order(command.verb)
        return command

    def _out_of_order(self, verb: Verb) -> Refused:
        """The reply for a pair that TRANSITIONS does not list."""
        if self.phase is Phase.GREETED:
            # AUTH and STARTTLS are extensions: only EHLO shows them.
            needs_ehlo = verb in (Verb.AUTH, Verb.STARTTLS)
            reply = SEND_EHLO_FIRST if needs_ehlo else SEND_HELO_FIRST
        elif verb is Verb.MAIL:
            reply = NESTED_MAIL
        elif verb is Verb.AUTH:
            reply = NOT_IN_TRANSACTION  # RFC 4954 section 4
        elif verb is Verb.DATA and self._recipient_refused and self.phase is Phase.SENDER:
            reply = NO_RECIPIENTS  # RFC 2920 section 3.1 allows 554 instead of 354
        else:
            reply = RCPT_FIRST if self.phase is Phase.SENDER else MAIL_FIRST
        if verb is Verb.DATA:
            self._data_refused = True
            # Text that is here already was sent without waiting for 354.
            return Refused(reply, close=self.buffered > 0)
        return Refused(reply)

    def _complaint_about_length(self, start: bytes, octets: int) -> Reply | None:
        """The refusal of a line with this start and length, None if it is short enough."""
        if self._in_auth or start.upper() == b"AUTH ":
            return AUTH_LINE_TOO_LONG if octets > self._limits.auth_line_octets else None
        return LINE_TOO_LONG if octets > self._limits.line_octets else None

    def _unfinished_line(self) -> Refused | None:
        """No CRLF yet: bound what is kept, then what is thrown away (SECURITY S26)."""
        start = self._buffer[self._at : self._at + 5]
        if self.phase is Phase.GREETED and is_binary(start) and self._too_long is None:
            return Refused(NOT_SMTP, close=True)
        if self._too_long is None:
            self._too_long = self._complaint_about_length(start, self.buffered)
            if self._too_long is None:
                return None
        self._discarded += self.buffered - 1
        # The last octet stays: a CR there may be half of the line's end.
        self._buffer = self._buffer[-1:]
        self._at = self._searched = 0
        if self._discarded > self._limits.line_discard_octets:
            return Refused(self._too_long, close=True)
        return None

    # -- content

    def _read_content(self, reader: DataReader) -> Event | None:
        data = self._buffer[self._at :] if self._at else self._buffer
        self._buffer = b""
        self._at = self._searched = 0
        try:
            rest = reader.feed(data)
        except ContentOverrun:
            return Refused(TOO_BIG, close=True)
        if rest is None:
            return None
        self._buffer = rest
        self._reader = None
        self.phase = Phase.READY
        self._recipient_refused = False
        return ContentEnded(reader.refusal)
