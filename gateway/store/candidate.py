"""One message that a search looks at; reads no more of it than the tests ask for.

Lives as long as the test of one message, in one reader thread.
"""

from __future__ import annotations

from gateway.core.ids import BlobId
from gateway.core.messages import MessageSummary
from gateway.store.blobs import StoredOctets
from gateway.store.flags import bit_of
from gateway.store.summaries import Summaries
from gateway.wire.mime.text import body_text, header_text, header_values, read_body_text

HEADER_STEP = 64 * 1024
HEADER_LIMIT = 1024 * 1024


class Candidate:
    """A row of ``messages`` with its octets on demand."""

    __slots__ = ("_header", "_stored", "_summaries", "blob_id", "internal_date", "keywords",
                 "mask", "size_octets", "uid")  # fmt: skip

    def __init__(
        self,
        row: tuple[int, int, str, int, int, BlobId],
        stored: StoredOctets,
        summaries: Summaries,
    ) -> None:
        (
            self.uid,
            self.mask,
            self.keywords,
            self.internal_date,
            self.size_octets,
            self.blob_id,
        ) = row
        self._stored = stored
        self._summaries = summaries
        self._header: bytes | None = None

    def has_flag(self, flag: str) -> bool:
        bit = bit_of(flag)
        if bit:
            return bool(self.mask & bit)
        return flag.casefold() in self.keywords.casefold().split()

    def header_values(self, name: str, *, fold: bool = True) -> list[str]:
        """Values of a header field, decoded; in folded case unless asked otherwise."""
        values = header_values(self._header_octets(), name)
        return [value.casefold() for value in values] if fold else values

    def has_text(self, folded: str, with_header: bool) -> bool:
        """Whether body (or header and body) hold text that is in folded case already."""
        if with_header and folded in header_text(self._header_octets()).casefold():
            return True
        summary = self._summaries.read_one(self._stored, self.blob_id)
        return folded in body_of(self._stored, self.blob_id, summary).casefold()

    def _header_octets(self) -> bytes:
        if self._header is None:
            size = HEADER_STEP
            header = self._stored.read(self.blob_id, 0, size)
            while b"\r\n\r\n" not in header and size < min(self.size_octets, HEADER_LIMIT):
                size *= 2
                header = self._stored.read(self.blob_id, 0, size)
            self._header = header
        return self._header


def body_of(
    stored: StoredOctets, blob_id: BlobId, summary: MessageSummary, message: bytes | None = None
) -> str:
    """The text of a message's body. Raises: StoreDamaged, MessageGone.

    Args:
        message: its octets, where they have been read already.
    """
    if message is None and stored.locate(blob_id).file_name:
        # Of a message with a file of its own, all but text stays unread.
        return read_body_text(lambda start, end: stored.read(blob_id, start, end - start), summary)
    return body_text(message if message is not None else stored.read_whole(blob_id), summary)
