"""The reader of one connection's octets: where commands, literals and raw lines begin and end.

Owns the buffer and the framing; the grammar inside a command is ``parser``'s. Octets in, events
out (``wire.imap.events`` tells how a door uses it). Never writes, waits or looks at a clock, and
never raises on what a client sends.

Invariants: the stream stays in step. A literal that was refused is not parsed as a command: a
synchronising one is never sent, a non-synchronising one is read and dropped with the rest of its
command (SECURITY I4); where that is too much, the connection must close. Only CRLF ends a line; a
bare LF is answered with BAD at once and everything up to the next CRLF is dropped, so that what
follows it never runs as a command.

Memory: what was fed and not yet taken, and one command up to ``ReaderLimits.command_octets``;
messages of APPEND pass through and are never assembled. A literal is checked against the limits
before room is made for it, and room is made only as its octets arrive (SECURITY I2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from gateway.wire.imap import parser
from gateway.wire.imap.commands import Append
from gateway.wire.imap.discard import Discard, Endless, literal_size
from gateway.wire.imap.events import (
    BEFORE_LOGIN,
    AppendData,
    AppendFinished,
    AppendStarted,
    BadCommand,
    CommandReceived,
    ContinuationWanted,
    Event,
    MustClose,
    RawLine,
    RawLineRefused,
    ReaderLimits,
)
from gateway.wire.imap.lexer import Cursor, Refusal

# literal = "{" number ["+"] "}" CRLF; the "+" is RFC 7888's.
_LITERAL_AT_END = re.compile(rb"\{([0-9]+)(\+?)\}\Z")

NO_TAG = "tag missing or not possible"


def _holds_mailbox(head: bytes) -> bool:
    """Whether APPEND's mailbox stands before this literal, which is the message then."""
    return bool(head[head.index(b" ") + len(b" APPEND") :].strip(b" "))


class _State(Enum):
    LINE = auto()  # a command's line
    LITERAL = auto()  # a literal of a command
    DECISION = auto()  # the door owes accept_append or refuse_append
    MESSAGE = auto()  # octets of an APPEND's message
    MESSAGE_END = auto()  # the CRLF behind it
    RAW = auto()  # a line of an exchange
    DISCARD = auto()  # the rest of what was refused
    CLOSED = auto()


class CommandReader:
    """Octets in, events out."""

    def __init__(self, limits: ReaderLimits = BEFORE_LOGIN) -> None:
        self.limits = limits  # set anew after login
        self._state = _State.LINE
        self._buffer = bytearray()
        self._searched = 0  # octets of the buffer known to hold no LF
        self._command = bytearray()  # earlier lines and literals of the command under way
        self._tag: bytes | None = None
        self._literals = 0
        self._left = 0  # octets of the literal or message still to come
        self._raw_octets = 0
        self._append: Append | None = None
        self._synchronising = False
        self._discard: Discard | None = None

    # -- for the door

    @property
    def buffered_octets(self) -> int:
        """Octets received and not yet taken by an event.

        Not 0 right after STARTTLS: clear text that wants to be taken for encrypted (SECURITY F1a).
        """
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        if self._state is not _State.CLOSED:
            self._buffer += data

    def next_event(self) -> Event | None:
        """What comes next, or None until more is fed or the door has decided."""
        while self._buffer:
            before = self._state
            step = _STEPS.get(before)
            if step is None:  # DECISION, CLOSED
                return None
            event = step(self)
            if event is not None:
                return event
            if self._state is before:
                return None  # the step wants more octets
        return None

    def expect_line(self, max_octets: int) -> None:
        """Give the next line as it is (RawLine), once; for AUTHENTICATE and IDLE.

        Args:
            max_octets: without CRLF.
        """
        assert self._state is _State.LINE and not self._command, "between two commands only"
        self._state = _State.RAW
        self._raw_octets = max_octets

    def accept_append(self) -> None:
        """Take the message of the APPEND that was started."""
        assert self._state is _State.DECISION
        self._state = _State.MESSAGE

    def refuse_append(self) -> bool:
        """Do without the message of the APPEND that was started; the door answers NO or BAD.

        A synchronising literal is not sent then. A non-synchronising one is on its way: it is read
        and dropped.

        Returns:
            False if it is too large for that: the door must close after its answer.
        """
        assert self._state is _State.DECISION
        self._append = None
        if self._synchronising:
            self._new_command()
        elif self._left > self.limits.skip_octets:
            self._close()
            return False
        else:
            self._refuse_rest(self._left)
        return True

    # -- commands

    def _new_command(self) -> None:
        self._state = _State.LINE
        self._searched = 0
        self._tag = None
        self._literals = 0
        if self._command:
            self._command = bytearray()  # gives large room back

    def _line(self) -> Event | None:
        buffer = self._buffer
        line_feed = buffer.find(b"\n", self._searched)
        if line_feed < 0:
            self._searched = len(buffer)
            if self._searched >= self.limits.line_octets:
                return self._line_too_long()
            return None
        self._searched = 0
        if line_feed >= self.limits.line_octets:
            return self._line_too_long()
        if line_feed == 0 or buffer[line_feed - 1] != 0x0D:
            refused = BadCommand(self._tag_so_far(), "lines end with CRLF")
            del buffer[: line_feed + 1]
            self._refuse_rest()
            return refused
        line = bytes(buffer[: line_feed - 1])
        del buffer[: line_feed + 1]
        if not self._command:
            self._tag = parser.tag_of(line + b" " if b" " not in line else line)
        if line.endswith(b"}"):
            marker = _LITERAL_AT_END.search(line)
            if marker is not None:
                return self._literal_announced(line, marker)
        if len(self._command) + len(line) > self.limits.command_octets:
            refused = self._too_big("command too long")
            self._new_command()
            return refused
        data = bytes(self._command) + line if self._command else line
        return self._complete(data)

    def _line_too_long(self) -> BadCommand:
        self._tag = self._tag_so_far()
        refused = self._too_big("line too long")
        self._refuse_rest()
        return refused

    def _tag_so_far(self) -> bytes | None:
        """The tag of a command whose first line may still be in the buffer."""
        if self._command:
            return self._tag
        return parser.tag_of(self._buffer[: self.limits.line_octets])

    def _refuse_rest(self, left_octets: int = 0, *, literals: bool = True) -> None:
        """Drop what still belongs to the command, a literal's octets first."""
        self._new_command()
        self._discard = Discard(self.limits, left_octets, literals=literals)
        self._state = _State.DISCARD

    def _dropping(self) -> Event | None:
        discard = self._discard
        assert discard is not None
        try:
            if discard.drop(self._buffer):
                self._discard = None
                self._new_command()
        except Endless as endless:
            return self._close_with(endless.text)
        return None

    def _complete(self, data: bytes) -> Event:
        """All octets of a command are here."""
        tag = self._tag
        self._new_command()
        if tag is None:
            return BadCommand(None, NO_TAG)
        cursor = Cursor(data, self.limits, min(len(tag) + 1, len(data)))
        try:
            return CommandReceived(parser.parse(tag, cursor))
        except Refusal as refusal:
            return BadCommand(tag, refusal.text, refusal.code, refusal.condition)

    # -- literals

    def _literal_announced(self, line: bytes, marker: re.Match[bytes]) -> Event | None:
        """A command's line ends with ``{n}`` or ``{n+}``."""
        self._synchronising = not marker[2]
        size = literal_size(marker[1])
        if size is None:
            return self._refuse_literal(None, self._too_big("literal too long"))
        if self._tag is None:
            return self._refuse_literal(size, BadCommand(None, NO_TAG))
        if parser.verb_of(self._command or line) == b"APPEND":
            head = bytes(self._command) + line[: marker.start()]
            if _holds_mailbox(head):
                return self._message_announced(self._tag, head, size)
        limits = self.limits
        most = limits.literal_octets
        if not self._synchronising:
            most = min(most, limits.non_sync_octets)
        self._literals += 1
        if size > most or self._literals > limits.literals:
            return self._refuse_literal(size, self._too_big("literal too long"))
        if len(self._command) + len(line) + size > limits.command_octets:
            return self._refuse_literal(size, self._too_big("command too long"))
        self._command += line + b"\r\n"
        self._left = size
        self._state = _State.LITERAL
        return ContinuationWanted() if self._synchronising else None

    def _literal(self) -> None:
        self._command += self._take(self._left)
        if not self._left:
            self._state = _State.LINE

    def _take(self, most: int) -> bytes:
        """At most so many of the octets still to come, as far as they have arrived."""
        buffer = self._buffer
        if len(buffer) <= most:
            data = bytes(buffer)
            buffer.clear()
        else:
            data = bytes(buffer[:most])
            del buffer[:most]
        self._left -= len(data)
        return data

    def _too_big(self, text: str) -> BadCommand:
        if self._tag is None:  # told first, whatever else is wrong
            return BadCommand(None, NO_TAG)
        return BadCommand(self._tag, text, "TOOBIG", "NO")

    def _refuse_literal(self, size: int | None, refused: BadCommand) -> Event:
        """Refuse the command, and drop its literal of so many octets if that comes anyway."""
        if not self._synchronising and (size is None or size > self.limits.skip_octets):
            return self._close_with("literal too long")
        if self._synchronising:
            self._new_command()
        else:
            assert size is not None
            self._refuse_rest(size)
        return refused

    # -- APPEND

    def _message_announced(self, tag: bytes, head: bytes, size: int) -> Event:
        if not self._synchronising and size > self.limits.non_sync_octets:
            # RFC 7888 section 5: LITERAL- allows no such literal.
            return self._refuse_literal(size, self._too_big("literal too long"))
        if len(head) > self.limits.command_octets:
            return self._refuse_literal(size, self._too_big("command too long"))
        cursor = Cursor(head, self.limits, len(tag) + len(b" APPEND"))
        try:
            append = parser.parse_append_head(tag, cursor)
            if not size:
                raise Refusal("an empty message cannot be stored")  # SECURITY I12
        except Refusal as refusal:
            return self._refuse_literal(
                size, BadCommand(tag, refusal.text, refusal.code, refusal.condition)
            )
        self._append = append
        self._left = size
        self._state = _State.DECISION
        return AppendStarted(append, size, self._synchronising)

    def _message(self) -> Event:
        nul = self._buffer.find(b"\0", 0, self._left)
        if nul == 0:  # RFC 3501 section 9, CHAR8; literal8 is another extension's
            refused = BadCommand(self._tag, "NUL is not possible in a message")
            self._append = None
            self._refuse_rest(self._left)
            return refused
        data = self._take(self._left if nul < 0 else nul)
        if not self._left:
            self._state = _State.MESSAGE_END
        return AppendData(data)

    def _message_end(self) -> Event | None:
        buffer = self._buffer
        if buffer == b"\r":
            return None
        append, self._append = self._append, None
        if buffer.startswith(b"\r\n"):
            del buffer[:2]
            self._new_command()
            assert append is not None
            return AppendFinished(append)
        refused = BadCommand(self._tag, "unexpected text after the message")
        self._refuse_rest()
        return refused

    # -- raw lines

    def _raw(self) -> Event | None:
        buffer = self._buffer
        line_feed = buffer.find(b"\n", self._searched)
        if line_feed < 0:
            self._searched = len(buffer)
            if self._searched > self._raw_octets + 1:
                return self._refuse_raw("line too long")
            return None
        self._searched = 0
        if line_feed > self._raw_octets + 1:
            return self._refuse_raw("line too long")
        if line_feed == 0 or buffer[line_feed - 1] != 0x0D:
            del buffer[: line_feed + 1]
            return self._refuse_raw("lines end with CRLF")
        line = bytes(buffer[: line_feed - 1])
        del buffer[: line_feed + 1]
        self._new_command()
        return RawLine(line)

    def _refuse_raw(self, text: str) -> RawLineRefused:
        self._refuse_rest(literals=False)
        return RawLineRefused(text)

    # -- the end

    def _close_with(self, text: str) -> MustClose:
        self._close()
        return MustClose(text, "TOOBIG")

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._buffer.clear()
        self._command = bytearray()
        self._append = None
        self._discard = None


# Not per reader: bound methods would make each reader a cycle, kept until a garbage collection.
_STEPS: dict[_State, Callable[[CommandReader], Event | None]] = {
    _State.LINE: CommandReader._line,
    _State.LITERAL: CommandReader._literal,
    _State.MESSAGE: CommandReader._message,
    _State.MESSAGE_END: CommandReader._message_end,
    _State.RAW: CommandReader._raw,
    _State.DISCARD: CommandReader._dropping,
}
