"""What a message's octets are, found out by reading them once: for servers that do not take all.

Owns the facts only; what follows from them is decided in ``smtp_client_offer``. Works on chunks of
any size and keeps nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LINE_OCTETS = 998  # RFC 5322 section 2.1.1, without CRLF


@dataclass(frozen=True, slots=True)
class Content:
    """Facts about one message.

    Args:
        ascii_header: no octet over 127 before the first empty line.
        eight_bit: some octet is over 127.
        is_text: fit for DATA as it is: no NUL, every line ends in CRLF (the last one may lack it)
            and has at most MAX_LINE_OCTETS.
    """

    ascii_header: bool
    eight_bit: bool
    is_text: bool


class ContentScan:
    """Reads a message chunk by chunk."""

    __slots__ = ("_ascii_header", "_eight_bit", "_in_header", "_is_text", "_line_octets", "_tail")

    def __init__(self) -> None:
        self._ascii_header = self._is_text = self._in_header = True
        self._eight_bit = False
        self._tail = b"\n"  # as if a line had ended: the header may be empty
        self._line_octets = 0

    def feed(self, chunk: bytes) -> None:
        if not chunk:
            return
        if self._in_header:
            self._read_header(chunk)
        self._eight_bit = self._eight_bit or not chunk.isascii()
        if self._is_text:
            self._read_lines(chunk)
        self._tail = (self._tail + chunk[-2:])[-2:]

    def end(self) -> Content:
        """The facts, once all octets were fed."""
        is_text = self._is_text and not self._tail.endswith(b"\r")
        return Content(self._ascii_header, self._eight_bit, is_text)

    def _read_header(self, chunk: bytes) -> None:
        seen = self._tail + chunk
        ends = [at for at in (seen.find(b"\n\r\n"), seen.find(b"\n\n")) if at >= 0]
        header = seen[: min(ends)] if ends else seen
        self._ascii_header = self._ascii_header and header.isascii()
        self._in_header = not ends

    def _read_lines(self, chunk: bytes) -> None:
        after_cr = self._tail.endswith(b"\r")
        if after_cr and not chunk.startswith(b"\n"):
            self._is_text = False
            return
        pairs = chunk.count(b"\r\n") + after_cr
        strays = chunk.count(b"\n") != pairs
        strays = strays or chunk.count(b"\r") - chunk.endswith(b"\r") != pairs - after_cr
        if strays or b"\0" in chunk:
            self._is_text = False
            return
        first, *others = chunk.split(b"\n")
        longest = max([self._line_octets + len(first), *map(len, others)])
        self._line_octets = len(others[-1]) if others else self._line_octets + len(first)
        self._is_text = longest <= MAX_LINE_OCTETS + 1  # the CR counts here
