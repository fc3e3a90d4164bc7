"""What still belongs to a refused command, read and dropped so that it never runs (SECURITY I4).

Owns the end of a command that nobody wants: the rest of a literal that comes anyway, the rest of
the line, and further non-synchronising literals announced there. Holds no octets but the end of a
line that may announce a literal.

Limits: no more than ``command_octets`` are dropped of one command, whatever it announces; a client
that goes on is to be disconnected.
"""

from __future__ import annotations

import re

from gateway.wire.imap.events import ReaderLimits

# Where the line's start was dropped, the number can be so long that its "{" is not seen.
_ANNOUNCED = re.compile(rb"(\{?)([0-9]+)\+\}\Z")
_ANNOUNCED_OCTETS = 24  # "{", 20 digits, "+}" and one more
_DIGITS = 10  # of 2**32-1


class Endless(Exception):
    """There is more to drop than we want to read; the text says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def literal_size(digits: bytes) -> int | None:
    """An announced size, None for one beyond all reason; never trusted for allocation."""
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _DIGITS else None


class Discard:
    """The way to the end of one refused command.

    Args:
        limits: the reader's.
        left_octets: of a literal under way, still to come; dropped whatever their number.
        literals: whether lines can announce literals; not so in an exchange.
    """

    __slots__ = ("_dropped", "_left", "_limits", "_literals", "_searched")

    def __init__(
        self, limits: ReaderLimits, left_octets: int = 0, *, literals: bool = True
    ) -> None:
        self._limits = limits
        self._left = left_octets
        self._literals = literals
        self._dropped = 0
        self._searched = 0

    def drop(self, buffer: bytearray) -> bool:
        """Take octets off the buffer's start; True once the command has ended.

        Raises: Endless.
        """
        while buffer:
            if self._left:
                gone = min(self._left, len(buffer))
                del buffer[:gone]
                self._left -= gone
                continue
            end = buffer.find(b"\r\n", self._searched)
            arrived = len(buffer) if end < 0 else end + 2
            if self._dropped + arrived > self._limits.command_octets:
                raise Endless("line too long")
            if end < 0:
                self._shorten(buffer)
                return False
            tail = bytes(buffer[max(0, end - _ANNOUNCED_OCTETS) : end])
            del buffer[:arrived]
            self._searched = 0
            announced = _ANNOUNCED.search(tail) if self._literals else None
            if announced is None:
                return True
            size = literal_size(announced[2]) if announced[1] else None
            if size is None or size > self._limits.skip_octets:
                raise Endless("literal too long")
            self._dropped += arrived + size
            self._left = size
        return False

    def _shorten(self, buffer: bytearray) -> None:
        """Keep of an unfinished line what may announce a literal."""
        gone = max(0, len(buffer) - _ANNOUNCED_OCTETS)
        del buffer[:gone]
        self._dropped += gone
        self._searched = max(0, len(buffer) - 1)
