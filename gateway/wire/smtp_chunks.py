"""The reader of BDAT content: chunks of announced length, put together (RFC 3030).

Owns the counting of a chunk's octets, so that nothing in a chunk is ever run as a command (SECURITY
S10, S13), and the one octet that may be half of a CRLF over the border of two chunks. Never knows
dots: a message that comes in chunks has no ending but its length. What is said about the content is
in ``smtp_content``.

Limits: a chunk is passed on as it arrives and never held; of a message that is refused
``discard_octets`` are thrown away (S11); ``MAX_EMPTY_CHUNKS`` per message.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.wire.smtp_content import MessageContent, Newlines, has_bare_newlines
from gateway.wire.smtp_limits import SmtpLimits
from gateway.wire.smtp_replies import Reply, too_big

MAX_EMPTY_CHUNKS = 100
"""More get nobody further, and cost us a reply each."""


class ChunkReader:
    """Reads one message, chunk by chunk.

    Args:
        write: takes the message's octets in pieces.
        limits: of the session.
        newlines: the policy of the door, or ``keep`` for BODY=BINARYMIME.
    """

    __slots__ = ("_content", "_limits", "_may_hold", "_pending_cr", "empty_chunks", "octets")

    def __init__(
        self, write: Callable[[bytes], None], limits: SmtpLimits, newlines: Newlines
    ) -> None:
        self._content = MessageContent(write, limits, newlines)
        self._limits = limits
        self._may_hold = newlines != "keep"
        self._pending_cr = False
        self.octets = 0  # of all chunks, as they came
        self.empty_chunks = 0

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

    def refusal_of(self, size_octets: int) -> Reply | None:
        """Why a chunk of this length need not be looked at."""
        octets, most = self.octets + size_octets, self._limits.size_octets
        return too_big(octets, most) if octets > most else None

    def feed(self, data: bytes) -> None:
        """Octets of a chunk."""
        self.octets += len(data)
        if self._pending_cr:
            data = b"\r" + data
        # Whether a CR at the end stands alone is known with the next octet only.
        self._pending_cr = self._may_hold and data.endswith(b"\r")
        if self._pending_cr:
            data = data[:-1]
        if data:
            self._content.take(data, bare=self._may_hold and has_bare_newlines(data))

    def finish(self) -> None:
        """The last chunk is over."""
        if self._pending_cr:
            self._pending_cr = False
            self._content.take(b"\r", bare=True)
