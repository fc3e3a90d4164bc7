"""Octets to the lines of base64 that a part holds (RFC 2045 section 6.8), piece by piece.

Owns the lines' length and ends; holds back less than one line.
"""

from __future__ import annotations

from base64 import b64encode

_LINE_OCTETS = 57  # which become 76, the most that a line may have


class Base64Lines:
    """Encodes one part; CRLF stands between its lines, and none at the end."""

    __slots__ = ("_begun", "_held")

    def __init__(self) -> None:
        self._held = b""
        self._begun = False

    def feed(self, octets: bytes) -> bytes:
        octets = self._held + octets
        whole = len(octets) - len(octets) % _LINE_OCTETS
        self._held = octets[whole:]
        return self._lines(octets[:whole])

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return self._lines(held)

    def _lines(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        encoded = b64encode(octets)
        text = b"\r\n".join([encoded[at : at + 76] for at in range(0, len(encoded), 76)])
        if self._begun:
            return b"\r\n" + text
        self._begun = True
        return text
