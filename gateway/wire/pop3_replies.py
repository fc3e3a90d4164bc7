"""POP3 replies: status lines and multi-line bodies.

Owns the form of RFC 1939 section 3: ``+OK`` and ``-ERR`` lines with the response codes of RFC 2449
section 8 and RFC 3206, and messages on the wire with TOP's cut. Dots and line ends are
``wire.dot_stuffing``'s: the same rules as for DATA, by the state of the stream (SECURITY S7, P3).
Never reads a message itself.

Limits: a status line is at most MAX_STATUS_OCTETS with its CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.wire.dot_stuffing import DotStuffer

MAX_STATUS_OCTETS = 512
"""RFC 2449 section 4, CRLF included."""

END = b".\r\n"

_NOT_TEXT = re.compile(r"[^ -~]")


def _status(kind: str, code: str, text: str) -> bytes:
    words = [kind]
    if code:
        words.append(f"[{code}]")
    if text:
        words.append(_NOT_TEXT.sub("?", text))
    return " ".join(words).encode("ascii")[: MAX_STATUS_OCTETS - 2] + b"\r\n"


def ok(text: str = "") -> bytes:
    """A positive status line."""
    return _status("+OK", "", text)


def err(text: str, code: str = "") -> bytes:
    """A negative status line; ``code`` without its brackets, such as ``SYS/TEMP``."""
    return _status("-ERR", code, text)


def challenge(line: bytes) -> bytes:
    """A SASL challenge (RFC 5034 section 4); ``line`` is base64 without CRLF."""
    return b"+ " + line + b"\r\n"


def listing(status: bytes, lines: Iterable[bytes]) -> bytes:
    """A whole multi-line reply of lines that cannot begin with a dot."""
    return b"\r\n".join((status[:-2], *lines, END))


class MessageWriter:
    """One message's octets, chunk by chunk, as they go onto the wire.

    Args:
        body_lines: None sends all; otherwise the header, the blank line and so many lines of the
            body (TOP, RFC 1939 section 7).
    """

    def __init__(self, body_lines: int | None = None) -> None:
        self._stuffer = DotStuffer()
        self._lines_left = body_lines
        self._in_header = body_lines is not None
        self._at_line_start = True
        self.done = False
        """No more chunks are needed; call ``finish``."""

    def feed(self, chunk: bytes) -> bytes:
        """The wire form of the next chunk; may be shorter, even empty."""
        if self.done:
            return b""
        octets = self._stuffer.feed(chunk)
        if self._lines_left is None or not octets:
            return octets
        return self._cut(octets, self._lines_left)

    def finish(self) -> bytes:
        """What ends the reply: a line end if the last line lacks one, and the final dot."""
        return END if self.done else self._stuffer.finish()

    def _cut(self, octets: bytes, lines_left: int) -> bytes:
        """What TOP shows. Stuffing leaves lines and blank lines what they are, and the stuffer
        never lets go of half a line end."""
        at_line_start, self._at_line_start = self._at_line_start, octets.endswith(b"\r\n")
        position = 0
        if self._in_header:
            if at_line_start and octets.startswith(b"\r\n"):
                position = 2
            else:
                blank = octets.find(b"\r\n\r\n")
                if blank < 0:
                    return octets
                position = blank + 4
            self._in_header = False
        count = octets.count(b"\r\n", position)
        if count < lines_left:
            self._lines_left = lines_left - count
            return octets
        for _ in range(lines_left):
            position = octets.index(b"\r\n", position) + 2
        self.done = True
        return octets[:position]
