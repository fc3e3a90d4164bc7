"""The port to the record of what happened; kept by the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.trace import TraceRecord


class TraceStore(Protocol):
    """Takes records, and finds them for as long as they are kept."""

    def note(self, record: TraceRecord) -> None:
        """Keep it with the next commit, or soon. Never waits, never fails: in trouble it is lost.

        Records that must not be lost go with the message (``NewMessage.trace``).
        """
        ...

    async def find(
        self, term: str, *, since: int | None = None, until: int | None = None, limit: int = 1000
    ) -> Sequence[TraceRecord]:
        """Records with this id (of a message, or of a connection with all its messages) or key,
        and all others about the messages that a key finds; ascending by time, the latest
        ``limit`` of them."""
        ...
