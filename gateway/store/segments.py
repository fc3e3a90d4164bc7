"""Append-only segment files: the octets of all messages below 1 MiB.

A record is magic, length, CRC-32 and the octets. The index is the truth: octets past the last
indexed record are dead, and a segment of an earlier run is never appended to. A batch of records
takes one write and one fdatasync. Used by the committer's thread alone; reading is in ``blobs``.

After any error the segment is abandoned and the next batch starts a new one: an fsync that failed
is never repeated on the same file (SECURITY D3).
"""

from __future__ import annotations

import contextlib
import errno
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.files import NO_SPACE, Files, store_error, unlink_quietly, write_all
from gateway.store.layout import Layout

MAGIC = b"GWm1"
HEADER = struct.Struct(">4sII")
# Small enough that deletion frees disk soon once a segment is dead, large enough that making a new
# file and syncing its directory is rare.
ROLL_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a record was put; ``offset`` is that of its header."""

    segment_id: int
    offset: int
    checksum: int


class SegmentWriter:
    """Appends batches of records durably."""

    def __init__(
        self, files: Files, layout: Layout, next_id: int, roll_octets: int = ROLL_OCTETS
    ) -> None:
        self._files = files
        self._layout = layout
        self._next_id = next_id
        self._roll_octets = roll_octets
        self._fd = -1
        self._position = 0
        self.current_id = 0
        """The segment that may still grow; 0 when there is none."""

    def append(self, records: Sequence[bytes]) -> list[Placed]:
        """Write all records and sync them.

        Raises:
            StoreFull: no space left; the disk is as it was before.
            StoreUnavailable: any other failure.
        """
        try:
            if self._fd >= 0 and self._position >= self._roll_octets:
                self._finish()
            if self._fd < 0:
                self._start()
            placed: list[Placed] = []
            pieces: list[bytes] = []
            position = self._position
            for octets in records:
                checksum = zlib.crc32(octets)
                pieces.append(HEADER.pack(MAGIC, len(octets), checksum))
                pieces.append(octets)
                placed.append(Placed(self.current_id, position, checksum))
                position += HEADER.size + len(octets)
            write_all(self._files, self._fd, b"".join(pieces))
            self._files.fdatasync(self._fd)
        except OSError as error:
            self._abandon(error)
            raise store_error(error) from error
        self._position = position
        return placed

    def close(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                self._finish()

    def _start(self) -> None:
        while True:
            self.current_id = self._next_id
            self._next_id += 1
            try:
                self._fd = self._files.create(self._layout.segment(self.current_id))
                break
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
        self._position = 0
        self._files.sync_directory(self._layout.segments)

    def _finish(self) -> None:
        fd, self._fd, self.current_id = self._fd, -1, 0
        self._files.close(fd)

    def _abandon(self, error: OSError) -> None:
        if self._fd < 0:
            return
        segment_id, position = self.current_id, self._position
        if error.errno in NO_SPACE:
            with contextlib.suppress(OSError):
                self._files.truncate(self._fd, position)  # gives back what the half write took
        with contextlib.suppress(OSError):
            self._finish()
        if position == 0:
            unlink_quietly(self._files, self._layout.segment(segment_id))
