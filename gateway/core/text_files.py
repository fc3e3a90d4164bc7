"""Text of a file that an administrator writes: bounded UTF-8, with or without a byte order mark.

Owns which octets are text, and where they are not; the words about it are the caller's. Never opens
a file: the caller reads one octet more than the bound.
"""

from __future__ import annotations


class TooMuchText(ValueError):
    """More octets than allowed."""


class NotText(ValueError):
    """Octets that are not UTF-8; ``line`` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def text_of(octets: bytes, most_octets: int) -> str:
    """Raises: TooMuchText, NotText."""
    # First, as what was cut off may be half a character.
    if len(octets) > most_octets:
        raise TooMuchText
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotText(octets.count(b"\n", 0, error.start) + 1) from None
