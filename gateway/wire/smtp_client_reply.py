"""Replies of an SMTP server, read from octets (RFC 5321 section 4.2).

Owns line splitting and the reply's shape. Never interprets a code beyond its first digit. Lines
may end in a bare LF: a client that is strict here only loses mail, and what may stand behind a
reply is checked by the session (SECURITY S18).

Limits (SECURITY S26): MAX_LINE_OCTETS a line, MAX_LINES lines a reply; beyond either the peer is
not spoken to any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE_OCTETS = 2048  # RFC 5321 section 4.5.3.1.5 says 512; servers send longer explanations
MAX_LINES = 128  # the longest EHLO answers in use have about 30
MAX_TEXT = 512

# Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
# Reply-code = %x32-35 %x30-35 %x30-39; a second digit over 5 is let pass.
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
# RFC 3463 section 2: status-code = class "." subject "." detail
_STATUS = re.compile(rb"([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")


class ReplyMalformed(Exception):
    """Not an SMTP reply, or one over the limits."""


_SHOWN = bytes(octet if 0x20 <= octet < 0x7F else 0x20 for octet in range(256))


def printable(text: bytes) -> str:
    """One line of printable ASCII, bounded, whatever the peer sent (SECURITY S9)."""
    shown = " ".join(text[: MAX_TEXT * 2].translate(_SHOWN).decode("ascii").split())
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 3] + "..."


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, its lines without code, separator and line end."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def kind(self) -> int:
        """The first digit: 2 done, 3 go on, 4 not now, 5 no."""
        return self.code // 100

    @property
    def status(self) -> str:
        """The enhanced status code; one without detail where the peer gave none that fits.

        RFC 2034 section 4: its class must be the reply code's first digit.
        """
        match = _STATUS.match(self.lines[-1])
        if match and int(match[1]) == self.kind:
            return match[0].decode("ascii")
        return f"{self.kind}.0.0"

    @property
    def text(self) -> str:
        """``550 5.1.1 no such user``: one line, printable, bounded."""
        if len(self.lines) == 1:
            return printable(b"%d " % self.code + self.lines[0])
        first, *rest = self.lines
        # RFC 2034 section 4 repeats the status in every line; once is enough for people.
        words = [
            first,
            *(line[match.end() :] if (match := _STATUS.match(line)) else line for line in rest),
        ]
        return printable(b"%d " % self.code + b" ".join(words))


class ReplyReader:
    """Octets in, replies out."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = 0
        self._lines: list[bytes] = []

    @property
    def buffered(self) -> bool:
        """Octets have arrived that belong to no reply returned so far."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Reply | None:
        """The next whole reply, or None until more octets arrive.

        Raises:
            ReplyMalformed: nothing that follows can be trusted.
        """
        while True:
            end = self._buffer.find(b"\n", 0, MAX_LINE_OCTETS)
            if end < 0:
                if len(self._buffer) >= MAX_LINE_OCTETS:
                    raise ReplyMalformed("reply line too long")
                return None
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            reply = self._line(line)
            if reply is not None:
                return reply

    def _line(self, line: bytes) -> Reply | None:
        match = _LINE.match(line)
        if match is None:
            raise ReplyMalformed(f"not a reply: {printable(line)[:80]}")
        code = int(match[1])
        if not self._lines and match[2] != b"-":
            return Reply(code, (match[3] or b"",))
        # RFC 5321 section 4.2.1: the code is the same in every line.
        if self._lines and code != self._code:
            raise ReplyMalformed("reply code changed inside a reply")
        if len(self._lines) >= MAX_LINES:
            raise ReplyMalformed("reply has too many lines")
        self._code = code
        self._lines.append(match[3] or b"")
        if match[2] == b"-":
            return None
        reply = Reply(code, tuple(self._lines))
        self._lines = []
        return reply
