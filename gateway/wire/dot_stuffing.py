"""The body of DATA on its way out: line ends made whole and dots stuffed (RFC 5321 section 4.5.2).

Owns the state between chunks, so that where a chunk ends never changes what is sent (SECURITY S7:
stuffing per chunk lets a message smuggle commands). Never splits, folds or drops a line; a bare CR
or bare LF becomes CRLF (RFC 5321 section 2.3.8 forbids both on the wire).
"""

from __future__ import annotations


def whole_lines(octets: bytes) -> bytes:
    """A whole message with every line end as CRLF, also the last one; for BDAT (RFC 3030), where
    no dots are stuffed."""
    octets = _with_crlf(octets)
    return octets if not octets or octets.endswith(b"\n") else octets + b"\r\n"


def _with_crlf(octets: bytes) -> bytes:
    pairs = octets.count(b"\r\n")
    if pairs == octets.count(b"\n") == octets.count(b"\r"):
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


class LineEnds:
    """Makes each line end a CRLF, chunk by chunk; where a chunk ends changes nothing."""

    __slots__ = ("_pending_cr",)

    def __init__(self) -> None:
        self._pending_cr = False

    def feed(self, chunk: bytes) -> bytes:
        """The octets that these become; may be shorter, even empty."""
        if self._pending_cr:
            chunk = b"\r" + chunk
        # Whether a CR at the end stands alone is known with the next octet only.
        self._pending_cr = chunk.endswith(b"\r")
        if self._pending_cr:
            chunk = chunk[:-1]
        return _with_crlf(chunk)

    def finish(self) -> bytes:
        """The rest; the last line may still have no end."""
        pending, self._pending_cr = self._pending_cr, False
        return b"\r\n" if pending else b""


class DotStuffer:
    """Turns message octets into DATA octets, chunk by chunk.

    The receiver's unstuffing gives back the message with every line end as CRLF, and with a final
    CRLF where the message had none (RFC 5321 section 4.1.1.4).
    """

    __slots__ = ("_at_line_start", "_lines")

    def __init__(self) -> None:
        self._at_line_start = True
        self._lines = LineEnds()

    def feed(self, chunk: bytes) -> bytes:
        """The octets to send for these octets of the message; may be shorter, even empty."""
        chunk = self._lines.feed(chunk)
        if not chunk:
            return b""
        stuffed = chunk.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = stuffed.endswith(b"\n")
        return stuffed

    def finish(self) -> bytes:
        """The rest of the message and the one end of data."""
        whole = self._at_line_start and not self._lines.finish()
        self._at_line_start = True
        return b".\r\n" if whole else b"\r\n.\r\n"
