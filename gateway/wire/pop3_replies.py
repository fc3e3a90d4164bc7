"""POP3 replies: status lines and multi-line bodies.

Owns the form of RFC 1939 section 3: ``+OK`` and ``-ERR`` lines with the response codes of RFC 2449
section 8 and RFC 3206, and messages on the wire: line ends normalised, dots stuffed, the final
``.`` once and at the end. Works by the state of the stream, so any chunking gives the same octets
(SECURITY S7, P3). Never reads a message itself.

Limits: a status line is at most MAX_STATUS_OCTETS with its CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_STATUS_OCTETS = 512
"""RFC 2449 section 4, CRLF included."""

END = b".\r\n"

_LINE_END = re.compile(rb"\r\n|\r|\n")
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
        self._lines_left = body_lines
        self._in_header = body_lines is not None
        self._held_cr = False
        self._at_line_start = True
        self.done = False
        """No more chunks are needed; call ``finish``."""

    def feed(self, chunk: bytes) -> bytes:
        """The wire form of the next chunk."""
        if self._held_cr:
            chunk = b"\r" + chunk
        # Whether a CR at the end is bare, only the next chunk tells.
        self._held_cr = chunk.endswith(b"\r")
        if self._held_cr:
            chunk = chunk[:-1]
        return self._render(_normalised(chunk))

    def finish(self) -> bytes:
        """What ends the reply: a line end if the last line lacks one, and the final dot."""
        rest = b""
        if self._held_cr:
            self._held_cr = False
            rest = self._render(b"\r\n")
        if not self._at_line_start:
            rest += b"\r\n"
        return rest + END

    def _render(self, text: bytes) -> bytes:
        if self._lines_left is not None:
            text = self._cut(text, self._lines_left)
        if not text:
            return b""
        stuffed = text.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and text.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = text.endswith(b"\r\n")
        return stuffed

    def _cut(self, text: bytes, lines_left: int) -> bytes:
        """What TOP shows of the text. ``text`` has normal line ends and none that is cut in two."""
        if self.done:
            return b""
        position = 0
        if self._in_header:
            if self._at_line_start and text.startswith(b"\r\n"):
                position = 2
            else:
                blank = text.find(b"\r\n\r\n")
                if blank < 0:
                    return text
                position = blank + 4
            self._in_header = False
        count = text.count(b"\r\n", position)
        if count < lines_left:
            self._lines_left = lines_left - count
            return text
        for _ in range(lines_left):
            position = text.index(b"\r\n", position) + 2
        self._lines_left = 0
        self.done = True
        return text[:position]


def _normalised(text: bytes) -> bytes:
    """Every line end as CRLF. A bare LF or CR would end a line for some clients and not for others:
    what follows it could pass for the end of the reply (SECURITY S7)."""
    pairs = text.count(b"\r\n")
    if text.count(b"\n") == pairs and text.count(b"\r") == pairs:
        return text
    return _LINE_END.sub(b"\r\n", text)
