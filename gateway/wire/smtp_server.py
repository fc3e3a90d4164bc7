"""The sans-IO core of an SMTP or LMTP server session: octets in, typed events out.

Theory of operation: the door says what it has to offer (``offer``), feeds what arrives and asks for
one event at a time with ``next_event``. A Command is well-formed, in force and allowed now; the
door answers it and, if the answer was a success, says so with ``succeeded``, which moves the phase
along TRANSITIONS. A Refused event has its reply already. While a command is being worked on the
door does not ask, so pipelined commands wait in the buffer and are answered in order (SECURITY F1e,
S22).

DATA is answered by ``start_content`` or ``data_refused``; then comes ContentEnded. Each BDAT is
answered by ``start_chunk`` or ``refuse_chunk``; then comes ChunkEnded, which has the reply if the
message is refused. ``abandon`` is for a door that does not know where it stands.

Invariants: a line ends at CRLF only; content ends at CRLF . CRLF only, a chunk after the octets it
announced; what follows STARTTLS, a DATA that was refused, or a BDAT whatever becomes of it, is
never run as a command (S10, S16, S22). After the end of content, and after a refused chunk, the
transaction is over, whatever the reply will be (S4).

Limits: lines by ``SmtpLimits``; the door pauses reading while ``buffered`` is large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.envelope import BodyKind
from gateway.wire.foreign import is_binary
from gateway.wire.smtp_chunks import MAX_EMPTY_CHUNKS, ChunkReader
from gateway.wire.smtp_commands import Bdat, Command, Data, Mail, SyntaxRefused, Verb
from gateway.wire.smtp_content import ContentOverrun
from gateway.wire.smtp_data import DataReader
from gateway.wire.smtp_events import AuthResponse, ChunkEnded, ContentEnded, Event, Refused
from gateway.wire.smtp_extensions import Offer, Offered, offered
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_order import TRANSITIONS, Phase, out_of_order
from gateway.wire.smtp_replies import (
    AUTH_LINE_TOO_LONG,
    BINARY_NEEDS_BDAT,
    LINE_TOO_LONG,
    NOT_SMTP,
    TOO_BIG,
    TOO_MANY_EMPTY_CHUNKS,
    TOO_MUCH_REFUSED,
    Reply,
)
from gateway.wire.smtp_syntax import parse_bdat, parse_command


@dataclass(slots=True)
class _Chunk:
    """A chunk that is being read.

    Args:
        left: octets to come.
        event: what is said behind them; None: ask the message's reader, or say nothing without one.
    """

    command: Bdat
    left: int
    event: Refused | ChunkEnded | None = None


_NO_MAIL = Mail(None)


class SmtpServer:
    """One session's order, buffer and framing.

    Args:
        limits: of the session.
        bare_newlines: the policy of the door.
        offer: what the session has to offer at first.
    """

    __slots__ = (
        "_at", "_bare_newlines", "_buffer", "_chunk", "_chunks", "_data_refused", "_discarded",
        "_grammar", "_in_auth", "_limits", "_mail", "_offered", "_reader", "_recipient_refused",
        "_searched", "_swallowed", "_too_long", "esmtp", "phase",
    )  # fmt: skip

    def __init__(self, limits: SmtpLimits, bare_newlines: BareNewlines, offer: Offer) -> None:
        self.phase = Phase.GREETED
        self.esmtp = False
        self._offered = offered(offer)
        self._grammar = self._offered.plain
        self._limits = limits
        self._bare_newlines: BareNewlines = bare_newlines
        self._buffer = b""
        self._at = 0  # octets before this are done with
        self._searched = 0  # no CRLF begins before this
        self._in_auth = False
        self._too_long: Reply | None = None  # for the end of the line being thrown away
        self._discarded = 0  # octets of that line
        self._mail = _NO_MAIL  # the last one that was well-formed
        self._recipient_refused = False
        self._data_refused = False
        self._reader: DataReader | None = None  # of DATA that is being read
        self._chunks: ChunkReader | None = None  # of the message that has come in part by BDAT
        self._chunk: _Chunk | None = None
        self._swallowed = 0  # octets of refused chunks since the last MAIL

    # -- input

    @property
    def buffered(self) -> int:
        """Octets that wait behind the last event."""
        return len(self._buffer) - self._at

    @property
    def content_octets(self) -> int:
        """Octets of the message so far, with those of refused chunks since MAIL."""
        reader = self._reader or self._chunks
        return self._swallowed + (reader.octets if reader is not None else 0)

    @property
    def in_content(self) -> bool:
        """A message or a refused chunk has begun to come and is not complete, so a minimum rate can
        be asked for."""
        phase = self.phase
        return phase is Phase.CONTENT or phase is Phase.CHUNKS or self._chunk is not None

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
        if self._chunk is not None:
            return self._read_chunk(self._chunk)
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

    def offer(self, offer: Offer) -> None:
        """TLS, a login or XCLIENT has changed what the session has to offer.

        What the last EHLO showed counts until the next one: the client knows nothing else.
        """
        self._offered = offered(offer)
        if not self.esmtp:
            self._grammar = self._offered.plain

    @property
    def offered(self) -> Offered:
        """The answers to EHLO and HELP as of now."""
        return self._offered

    def succeeded(self, verb: Verb) -> None:
        """The command was answered with a success (for QUIT, AUTH and others alike)."""
        self.phase = phase = TRANSITIONS[self.phase, verb]
        if phase is Phase.READY or phase is Phase.GREETED:
            self._recipient_refused = False
            self._chunks = None
            if verb is Verb.EHLO or verb is Verb.LHLO:
                self.esmtp = True
                self._grammar = self._offered.extended
            elif verb is not Verb.RSET and (phase is Phase.GREETED or verb is Verb.HELO):
                self.esmtp = False
                self._grammar = self._offered.plain

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

    def start_chunk(self, write: Callable[[bytes], None]) -> None:
        """The BDAT may come: read it into ``write``, the same one for all of a message."""
        assert self._chunk is not None
        self.succeeded(Verb.BDAT)
        if self._chunks is None:
            binary = self._mail.body is BodyKind.BINARY
            newlines = "keep" if binary else self._bare_newlines
            self._chunks = ChunkReader(write, self._limits, newlines)
        command = self._chunk.command
        refusal = self._chunks.refusal_of(command.size_octets)
        self._chunk.event = None if refusal is None else _refused_chunk(command, refusal)

    def refuse_chunk(self, reply: Reply) -> None:
        """The BDAT may not come: throw its octets away, then give ChunkEnded with this reply."""
        assert self._chunk is not None
        self.succeeded(Verb.BDAT)
        self._chunk.event = _refused_chunk(self._chunk.command, reply)

    def abandon(self) -> None:
        """Nobody knows how far a command came: forget the transaction and any SASL exchange.

        What a client may still send of the message is no command all the same; DATA that is being
        read is read to its end.
        """
        self._in_auth = False
        self._chunks = None
        self._data_refused = True
        self._recipient_refused = False
        if self.phase is not Phase.GREETED and self._reader is None:
            self.phase = Phase.READY

    def expect_auth_response(self, expected: bool) -> None:
        """Whether the next line belongs to a SASL exchange."""
        self._in_auth = expected

    def start_tls(self) -> None:
        """STARTTLS was answered with 220: forget all that came in clear (RFC 3207 section 4.2)."""
        assert not self.buffered, "octets behind STARTTLS would be taken as sent inside TLS"
        self.succeeded(Verb.STARTTLS)

    # -- lines

    def _command(self, line: bytes) -> Event | None:
        try:
            command = parse_command(line, self._grammar, utf8=self._mail.smtputf8)
        except SyntaxRefused as error:
            if line[:4].upper() == b"BDAT":
                return self._refuse_bdat(line, error.reply)
            # No known verb behind a refused DATA: this is the text of the message (S22).
            return Refused(error.reply, close=error.foreign or self._data_refused)
        if (self.phase, command.verb) not in TRANSITIONS:
            return self._out_of_order(command)
        self._data_refused = False
        if isinstance(command, Mail):
            self._mail = command
            self._swallowed = 0
        elif isinstance(command, Data):
            if self._mail.body is BodyKind.BINARY:
                return self._refuse_data(BINARY_NEEDS_BDAT)  # RFC 3030 section 3
        elif isinstance(command, Bdat):
            self._chunk = _Chunk(command, command.size_octets)
        return command

    def _out_of_order(self, command: Command) -> Event | None:
        """The refusal of a pair that TRANSITIONS does not list."""
        reply = out_of_order(
            self.phase,
            command.verb,
            lmtp=self._offered.lmtp,
            recipient_refused=self._recipient_refused,
        )
        if isinstance(command, Bdat):
            return self._swallow(command, Refused(reply))
        return self._refuse_data(reply) if isinstance(command, Data) else Refused(reply)

    def _refuse_data(self, reply: Reply) -> Refused:
        self._data_refused = True
        # Text that is here already was sent without waiting for 354.
        return Refused(reply, close=self.buffered > 0)

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

    def _over(self) -> None:
        """The transaction is over (S4)."""
        self._reader = self._chunks = None
        self.phase = Phase.READY
        self._recipient_refused = False

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
        self._over()
        return ContentEnded(reader.refusal, reader.tls_optional)

    # -- chunks

    def _refuse_bdat(self, line: bytes, reply: Reply) -> Event | None:
        """A BDAT that is none, or is not in force: its octets come all the same (S10, S14)."""
        word, _, rest = line.rstrip(b" \t").partition(b" ")
        try:
            command = parse_bdat(rest if len(word) == 4 else b"")
        except SyntaxRefused:
            return Refused(reply, close=True)  # nobody knows how many (S11)
        return self._swallow(command, Refused(reply))

    def _swallow(self, command: Bdat, event: Refused | ChunkEnded) -> Event | None:
        self._chunk = _Chunk(command, command.size_octets, event)
        return self.next_event()

    def _read_chunk(self, chunk: _Chunk) -> Event | None:
        """Read on in a chunk."""
        data = self._buffer[self._at : self._at + chunk.left]
        self._at += len(data)
        self._searched = self._at
        chunk.left -= len(data)
        reader = self._chunks if chunk.event is None else None
        if reader is not None:
            reader.feed(data)
        else:
            self._swallowed += len(data)
            if self._swallowed > self._limits.discard_octets:
                return Refused(TOO_MUCH_REFUSED, close=True)
        if chunk.left:
            return None
        self._chunk = None
        if reader is None:
            if isinstance(chunk.event, ChunkEnded):
                self._over()
            return chunk.event or self.next_event()
        return self._chunk_ended(chunk.command, reader)

    def _chunk_ended(self, command: Bdat, reader: ChunkReader) -> Event:
        if command.last:
            reader.finish()
        refusal = reader.refusal
        if command.last or refusal is not None:
            self._over()
            return ChunkEnded(command.size_octets, command.last, refusal, reader.tls_optional)
        self.phase = Phase.CHUNKS
        if not command.size_octets:
            reader.empty_chunks += 1
            if reader.empty_chunks > MAX_EMPTY_CHUNKS:
                return Refused(TOO_MANY_EMPTY_CHUNKS, close=True)
        return ChunkEnded(command.size_octets, False, None)


def _refused_chunk(command: Bdat, reply: Reply) -> ChunkEnded:
    return ChunkEnded(command.size_octets, command.last, reply)
