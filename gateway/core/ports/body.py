"""The octets of one message while they arrive."""

from __future__ import annotations

from typing import Protocol


class IncomingBody(Protocol):
    """In memory when small, streamed to disk when large; memory is bounded whatever the size.

    Used on the reactor thread by one connection.
    """

    @property
    def size_octets(self) -> int: ...

    def write(self, data: bytes) -> None:
        """Add octets. A failing disk is remembered and raised by accept or append."""
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Octets that were written, fewer at the end. Not after accept or append.

        Raises:
            StoreFull, StoreUnavailable: the disk failed while the body arrived, or fails now.
        """
        ...

    def discard(self) -> None:
        """Forget everything; safe to call twice and after accept."""
        ...
