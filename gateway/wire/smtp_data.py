"""The reader of DATA content: finds the one true ending and unstuffs dots.

Owns the framing of RFC 5321 section 4.5.2; what is said about the content is in ``smtp_content``.
Only CRLF . CRLF ends a message (SECURITY S1); this holds too while an over-long message is
discarded (S3).

Works on whole chunks with searches that run at C speed; no object per line. At most four octets are
held back between chunks: the longest possible beginning of the ending.

Limits: ``size_octets`` are written, then ``discard_octets`` more are read and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.wire.smtp_content import ContentOverrun, MessageContent, has_bare_newlines
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import Reply

_ENDING = b"\r\n.\r\n"
_DOT = _ENDING[:3]


class DataReader:
    """Reads the content of one message.

    Args:
        write: takes the message's octets, unstuffed, in pieces.
        limits: of the session.
        bare_newlines: the policy of the door.
    """

    __slots__ = ("_at_start", "_content", "_held", "_most", "octets")

    def __init__(
        self, write: Callable[[bytes], None], limits: SmtpLimits, bare_newlines: BareNewlines
    ) -> None:
        self._content = MessageContent(write, limits, bare_newlines)
        self._most = limits.size_octets + limits.discard_octets
        # The line before the first: what makes a dot or an ending possible at the very start.
        self._held = b"\r\n"
        self._at_start = True
        self.octets = 0  # of content, as it came

    @property
    def refusal(self) -> Reply | None:
        """Why the message cannot be accepted whatever follows, if so."""
        return self._content.refusal

    @property
    def tls_optional(self) -> bool:
        """Its header says so (RFC 8689 section 5)."""
        return self._content.tls_optional

    @property
    def size_octets(self) -> int:
        """Of the message, as it is written."""
        return self._content.size_octets

    def feed(self, data: bytes) -> bytes | None:
        """Read on.

        Returns:
            The octets behind the ending, or None when it has not come yet.

        Raises:
            ContentOverrun: more than both bounds together.
        """
        data = self._held + data
        # A line that begins with a dot is stuffed, or the ending; most pieces have none.
        dot = data.find(_DOT)
        end = data.find(_ENDING, dot) if dot >= 0 else -1
        if end >= 0:
            self._take(data[: end + 2], stuffed=dot < end)
            return data[end + 5 :]
        keep = len(data) - _held_back(data)
        self._held = data[keep:]
        if keep:
            self._take(data[:keep], stuffed=dot >= 0)
        if self.octets > self._most:
            raise ContentOverrun
        return None

    def _take(self, piece: bytes, *, stuffed: bool) -> None:
        """One piece in which every CRLF is whole, as no piece but the last ends in CR."""
        self.octets += len(piece)
        bare = has_bare_newlines(piece)
        # Section 4.5.2: the first period of a line is deleted if other characters follow; that
        # none follow happens only in the ending, which is not in the piece.
        if stuffed:
            piece = piece.replace(_DOT, b"\r\n")
        if self._at_start:
            self._at_start = False
            piece = piece[2:]
        self._content.take(piece, bare=bare)


def _held_back(data: bytes) -> int:
    """How many octets at the end may be the beginning of the ending."""
    for length in (4, 3, 2, 1):
        if data.endswith(_ENDING[:length]):
            return length
    return 0
