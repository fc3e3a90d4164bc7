"""POP3 lines: a stream of octets cut at CRLF, and the words of other protocols in it.

Owns the line limits. Never knows a command of its own.

Limits: a line is at most MAX_LINE_OCTETS with its CRLF; lines of an AUTH exchange are at most
MAX_SASL_LINE_OCTETS. Only CRLF ends a line; a bare CR or LF or a NUL in it is refused, never taken
for a line's end (SECURITY S6).
"""

from __future__ import annotations

from gateway.wire.foreign import HTTP_VERBS

MAX_LINE_OCTETS = 255
"""RFC 2449 section 4, CRLF included."""

MAX_SASL_LINE_OCTETS = 12288
"""As RFC 4954 section 4 has it for SMTP; RFC 5034 names no number for responses."""


class Broken(Exception):
    """Octets after which the stream cannot be trusted; say so and close. The text is ours alone."""


class LineReader:
    """Cuts a stream into lines. Remembers how far it searched, so dripped octets cost nothing."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_line(self, limit_octets: int = MAX_LINE_OCTETS) -> bytes | None:
        """The next line without its CRLF, or None until there is one.

        Raises:
            Broken: the line is longer than the limit, or not ended by CRLF alone.
        """
        # RFC 5034 section 4 keeps AUTH with an initial response to 255 octets too. Clients with
        # long passwords or tokens do not; deliberately lenient.
        if self._buffer[:5].upper() == b"AUTH ":
            limit_octets = MAX_SASL_LINE_OCTETS
        end = self._buffer.find(b"\n", self._searched, limit_octets)
        if end < 0:
            if len(self._buffer) >= limit_octets:
                raise Broken("line too long")
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        self._searched = 0
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            raise Broken("lines end with CRLF and hold no CR, LF or NUL")
        return line[:-2]


_FOREIGN_WORDS = HTTP_VERBS | {b"HELO", b"EHLO", b"MAIL"}


def is_foreign(line: bytes) -> bool:
    """Whether a line was meant for a server of another protocol (SECURITY S20)."""
    return line.partition(b" ")[0].upper() in _FOREIGN_WORDS
