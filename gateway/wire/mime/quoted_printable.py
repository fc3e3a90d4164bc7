"""Text to quoted-printable (RFC 2045 section 6.7), piece by piece.

Owns the lines' length and ends; holds back one line at most, and of a long one HELD_OCTETS.
"""

from __future__ import annotations

from binascii import b2a_qp

HELD_OCTETS = 4096


class QuotedLines:
    """Encodes one part, whose lines end in CRLF and which holds no other CR or LF."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        octets = self._held + octets
        end = octets.rfind(b"\r\n") + 2
        lines, self._held = (octets[:end], octets[end:]) if end > 1 else (b"", octets)
        # The first line end tells the function which one is meant.
        encoded = b2a_qp(lines) if lines else b""
        if len(self._held) > HELD_OCTETS:
            cr = self._held.endswith(b"\r")
            piece = self._held[:-1] if cr else self._held
            encoded += _quoted(piece) + b"=\r\n"  # a soft line break, wherever it falls
            self._held = b"\r" if cr else b""
        return encoded

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return _quoted(held)


def _quoted(piece: bytes) -> bytes:
    """Of a line; without an end in it the function makes soft breaks of bare LF."""
    return b2a_qp(piece).replace(b"\n", b"\r\n")
