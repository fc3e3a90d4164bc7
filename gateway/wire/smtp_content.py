"""What is said about the content of a message, however it came: size, header, newlines, hops.

Owns the rules that DATA and BDAT share, and the policy for CR and LF that are not a CRLF (SECURITY
S2, S14). Never frames: where content ends is found in ``smtp_data`` and ``smtp_chunks``. Apart from
those newlines where the policy is ``normalise``, no octet is ever changed: NUL, 8-bit octets and
lines of any length pass.

Works on whole pieces with counts that run at C speed; no object per line.
"""

from __future__ import annotations

from collections.abc import Callable
from io import IncrementalNewlineDecoder
from typing import Literal

from gateway.wire.smtp_header import HeaderScan
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import (
    BARE_NEWLINES,
    HEADER_TOO_BIG,
    TOO_MANY_HOPS,
    Reply,
    too_big,
)

Newlines = BareNewlines | Literal["keep"]
"""``keep``: binary content, where CR and LF are octets like others (RFC 3030 section 3)."""


class ContentOverrun(Exception):
    """So much was sent beyond the size limit that the connection should be closed."""


class MessageContent:
    """The content of one message on its way through.

    Args:
        write: takes the message's octets in pieces; called no more once the message is known to be
            refused. What follows is only counted, so that the refusal can say the whole size.
        limits: of the session.
        newlines: the policy.
    """

    __slots__ = ("_has_bare_newlines", "_header", "_limits", "_newlines", "_write", "size_octets")

    def __init__(
        self, write: Callable[[bytes], None], limits: SmtpLimits, newlines: Newlines
    ) -> None:
        self._write = write
        self._limits = limits
        self._newlines = newlines
        self._header = HeaderScan()
        self._has_bare_newlines = False
        self.size_octets = 0  # of the message, as it is written

    @property
    def refusal(self) -> Reply | None:
        """Why the message cannot be accepted whatever follows, if so."""
        if self.size_octets > self._limits.size_octets:
            return too_big(self.size_octets, self._limits.size_octets)
        if self._has_bare_newlines:
            return BARE_NEWLINES
        if self._header.larger_than(self._limits.header_octets):
            return HEADER_TOO_BIG
        if self._header.received_fields > self._limits.received_fields:
            return TOO_MANY_HOPS
        return None

    @property
    def tls_optional(self) -> bool:
        """The message says ``TLS-Required: No`` (RFC 8689 section 5)."""
        return self._header.tls_optional

    def take(self, piece: bytes, *, bare: bool) -> None:
        """The next octets of the message.

        Args:
            piece: in which every CRLF is whole.
            bare: it holds a CR or LF outside of them.
        """
        if bare and self._newlines != "keep":
            if self._newlines == "normalise":
                piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                piece = piece.replace(b"\n", b"\r\n")
            else:
                self._has_bare_newlines = True
        self.size_octets += len(piece)
        self._header.feed(piece)
        wanted = not self._has_bare_newlines and self.size_octets <= self._limits.size_octets
        if piece and wanted:
            self._write(piece)


def has_bare_newlines(piece: bytes) -> bool:
    """Whether a piece in which every CRLF is whole holds another CR or LF."""
    # What text files are read with tells which line ends it saw, in a third of the time that
    # counting CRLF, CR and LF takes, which was half of what a large message costs.
    seen = IncrementalNewlineDecoder(None, translate=False)
    seen.decode(piece.decode("latin-1"), final=True)
    return seen.newlines not in (None, "\r\n")
