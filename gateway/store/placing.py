"""Where a batch's octets go before its transaction: into the newest segment, with one write.

Owns telling payloads where they lie, and removing the files of large ones that nothing will point
to. The committer's thread; ``forget`` is for any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.errors import StoreFull, StoreUnavailable
from gateway.store.files import Files, unlink_quietly
from gateway.store.layout import Layout
from gateway.store.operations import Operation
from gateway.store.reserve import Reserve
from gateway.store.segments import SegmentWriter


class Placing:
    """Writes octets for one committer."""

    def __init__(
        self, segments: SegmentWriter, files: Files, layout: Layout, reserve: Reserve
    ) -> None:
        self._segments = segments
        self._files = files
        self._layout = layout
        self._reserve = reserve

    def place(self, adding: Sequence[Operation[Any]]) -> None:
        """Make the octets of these operations durable. What has no room is told so, and what
        deletes goes by it as well.

        Raises: StoreUnavailable, StoreFull; what they would have added is gone then.
        """
        has_room = self._reserve.hold()
        if not adding:
            return
        try:
            if not has_room:
                raise StoreFull(reserve="used")
            records = [p for o in adding for p in o.payloads if not p.file_name]
            if not records:
                return
            placed = self._segments.append([payload.octets for payload in records])
        except StoreUnavailable:
            self.forget(adding)
            raise
        for payload, place in zip(records, placed, strict=True):
            payload.segment_id = place.segment_id
            payload.segment_offset = place.offset
            payload.checksums = place.checksum.to_bytes(4, "big")

    def forget(self, operations: Sequence[Operation[Any]]) -> None:
        """Remove large files of operations that certainly are not in the index."""
        for operation in operations:
            for payload in operation.payloads:
                if payload.file_name:
                    unlink_quietly(self._files, self._layout.large / payload.file_name)
