"""Records that lie in segments, whether a row points to them or not.

Owns one look at the headers of all segments, made when the first damage needs it and kept outside
of memory, so that finding a record again does not read every segment for each damage. Never tells
whose a record is: one that no row points to may be anybody's deleted mail.
"""

from __future__ import annotations

import mmap
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gateway.store.layout import Layout
from gateway.store.segments import HEADER, MAGIC
from gateway.store.transaction import Transaction


class Records:
    """All records of a store."""

    def __init__(self, tx: Transaction, layout: Layout) -> None:
        self._tx = tx
        self._layout = layout
        self._found: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._found is not None:
            self._found.close()

    def unclaimed(self, size_octets: int, checksum: int | None) -> Iterator[tuple[int, int, int]]:
        """Segment, offset and checksum of those of this size that no row points to.

        Raises: OSError, sqlite3.Error.
        """
        if not 0 <= size_octets < 2**32:
            return
        for segment_id, offset, found in self._look().execute(
            "SELECT segment_id, segment_offset, checksum FROM records WHERE size_octets = ?1"
            " AND (?2 IS NULL OR checksum = ?2) ORDER BY segment_id DESC, segment_offset DESC",
            (size_octets, checksum),
        ):
            if not self.is_claimed(segment_id, offset):
                yield segment_id, offset, found

    def is_claimed(self, segment_id: int, offset: int, but_by: int = 0) -> bool:
        """Whether a row points there, besides that of the message ``but_by``."""
        row = self._tx.fetch_one(
            "SELECT 1 FROM blobs WHERE segment_id = ? AND segment_offset = ? AND file_name = ''"
            " AND blob_id <> ?",
            (segment_id, offset, but_by),
        )
        return row is not None

    def _look(self) -> sqlite3.Connection:
        if self._found is None:
            self._found = sqlite3.connect("", isolation_level=None)  # a file that has no name
            self._found.execute("BEGIN")
            self._found.execute(
                "CREATE TABLE records (segment_id INTEGER, segment_offset INTEGER,"
                " size_octets INTEGER, checksum INTEGER)"
            )
            for path in sorted(self._layout.segments.iterdir()):
                if path.stem.isdecimal() and path == self._layout.segment(int(path.stem)):
                    self._found.executemany(
                        "INSERT INTO records VALUES (?, ?, ?, ?)",
                        ((int(path.stem), *header) for header in _headers(path)),
                    )
            self._found.execute("CREATE INDEX by_size ON records (size_octets, checksum)")
        return self._found


def _headers(path: Path) -> Iterator[tuple[int, int, int]]:
    """Offset, size and checksum of each record, where damage may lie between them."""
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        if end < HEADER.size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            at = octets.find(MAGIC)
            while 0 <= at <= end - HEADER.size:
                _, size, checksum = HEADER.unpack_from(octets, at)
                after = at + HEADER.size + size
                if after <= end:
                    yield at, size, checksum
                # A length that leads nowhere is damaged: what it would skip may hold records.
                leads = after == end or octets[after : after + len(MAGIC)] == MAGIC
                at = octets.find(MAGIC, after if leads else at + 1)
