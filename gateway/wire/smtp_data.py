"""The reader of DATA content: finds the one true ending, unstuffs dots, applies the newline policy.

Owns the framing of RFC 5321 section 4.5.2 and what is said about content after the dot. Only
CRLF . CRLF ends a message (SECURITY S1); this holds too while an over-long message is discarded
(S3). Apart from the first dot of a line that starts with one, and from bare CR and LF where the
policy is ``normalise``, no octet is ever changed: NUL, 8-bit octets and lines of any length pass.

Works on whole chunks with searches and counts that run at C speed; no object per line. At most four
octets are held back between chunks: the longest possible beginning of the ending.

Limits: ``size_octets`` are written, then ``discard_octets`` more are read and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.wire.smtp_header import HeaderScan
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import (
    BARE_NEWLINES,
    HEADER_TOO_BIG,
    TOO_BIG,
    TOO_MANY_HOPS,
    Reply,
)

_ENDING = b"\r\n.\r\n"


class ContentOverrun(Exception):
    """So much was sent beyond the size limit that the connection should be closed."""


class DataReader:
    """Reads the content of one message.

    Args:
        write: takes the message's octets, unstuffed, in pieces; called no more once the message is
            known to be refused.
        limits: of the session.
        bare_newlines: the policy of the door.
    """

    def __init__(
        self, write: Callable[[bytes], None], limits: SmtpLimits, bare_newlines: BareNewlines
    ) -> None:
        self._write = write
        self._limits = limits
        self._normalise = bare_newlines == "normalise"
        # The line before the first: what makes a dot or an ending possible at the very start.
        self._held = b"\r\n"
        self._at_start = True
        self._header = HeaderScan()
        self._bare_newlines = False
        self.octets = 0  # of content, as it came
        self.size_octets = 0  # of the message, as it is written

    @property
    def refusal(self) -> Reply | None:
        """Why the message cannot be accepted whatever follows, if so."""
        if self.size_octets > self._limits.size_octets:
            return TOO_BIG
        if self._bare_newlines:
            return BARE_NEWLINES
        if self._header.larger_than(self._limits.header_octets):
            return HEADER_TOO_BIG
        if self._header.received_fields > self._limits.received_fields:
            return TOO_MANY_HOPS
        return None

    def feed(self, data: bytes) -> bytes | None:
        """Read on.

        Returns:
            The octets behind the ending, or None when it has not come yet.

        Raises:
            ContentOverrun: more than both bounds together.
        """
        data = self._held + data
        end = data.find(_ENDING)
        if end >= 0:
            self._take(data[: end + 2])
            return data[end + 5 :]
        keep = len(data) - _held_back(data)
        self._held = data[keep:]
        if keep:
            self._take(data[:keep])
        if self.octets > self._limits.size_octets + self._limits.discard_octets:
            raise ContentOverrun
        return None

    def _take(self, piece: bytes) -> None:
        """One piece in which every CRLF is whole, as no piece but the last ends in CR."""
        self.octets += len(piece)
        if self.size_octets > self._limits.size_octets:
            return
        newlines = piece.count(b"\r\n")
        is_bare = piece.count(b"\n") != newlines or piece.count(b"\r") != newlines
        # Section 4.5.2: the first period of a line is deleted if other characters follow; that
        # none follow happens only in the ending, which is not in the piece.
        piece = piece.replace(b"\r\n.", b"\r\n")
        if self._at_start:
            self._at_start = False
            piece = piece[2:]
        if is_bare:
            if self._normalise:
                piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                piece = piece.replace(b"\n", b"\r\n")
            else:
                self._bare_newlines = True
        self.size_octets += len(piece)
        self._header.feed(piece)
        wanted = not self._bare_newlines and self.size_octets <= self._limits.size_octets
        if piece and wanted:
            self._write(piece)


def _held_back(data: bytes) -> int:
    """How many octets at the end may be the beginning of the ending."""
    for length in (4, 3, 2, 1):
        if data.endswith(_ENDING[:length]):
            return length
    return 0
