"""Reading stored octets, always against their checksums.

Owns the open segment files of one reader thread (not shared between threads, so no locks). Never
writes. Damage is StoreDamaged; whether a missing message was meanwhile deleted, or moved by
compaction, is for the caller to find out (``StoredOctets.read`` looks at the index again).
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.errors import MessageGone, StoreDamaged
from gateway.core.ids import BlobId
from gateway.core.ports.store import Span, Unreadable
from gateway.store import engine
from gateway.store.bodies import BLOCK_OCTETS
from gateway.store.layout import Layout
from gateway.store.segments import HEADER, MAGIC

OPEN_SEGMENTS = 32

LOCATE = (
    "SELECT size_octets, segment_id, segment_offset, file_name, head, checksums"
    " FROM blobs WHERE blob_id = ?"
)
LOCATE_MANY = (
    "SELECT blob_id, size_octets, segment_id, segment_offset, file_name, head, checksums"
    " FROM blobs WHERE blob_id IN ({ids})"
)


class Location(NamedTuple):
    """A row of ``blobs``."""

    size_octets: int
    segment_id: int
    segment_offset: int
    file_name: str
    head: bytes
    checksums: bytes


class SegmentFiles:
    """Segments and large files, opened for reading."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._open: OrderedDict[int, int] = OrderedDict()

    def read(self, at: Location, offset: int, length: int) -> bytes:
        """Octets ``offset`` to ``offset + length``, fewer at the end.

        Raises:
            StoreDamaged: missing, short or different from what was stored.
        """
        end = min(offset + length, at.size_octets)
        if offset >= end:
            return b""
        try:
            if at.file_name:
                return self._read_file(at, offset, end)
            return self._read_record(at, offset, end)
        except OSError as error:
            raise StoreDamaged(errno=error.errno, file=at.file_name or at.segment_id) from error
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise StoreDamaged(row=type(error).__name__) from error  # no place that can be

    def check_empty(self, at: Location) -> None:
        """Of a message without octets there is a header all the same. Raises: StoreDamaged."""
        if at.size_octets < 0:
            raise StoreDamaged(size_octets=at.size_octets)
        try:
            self._read_record(at, 0, 0)
        except (OSError, ValueError, TypeError, OverflowError) as error:
            raise StoreDamaged(row=type(error).__name__) from error

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _segment(self, segment_id: int) -> int:
        fd = self._open.get(segment_id)
        if fd is None:
            if len(self._open) >= OPEN_SEGMENTS:
                os.close(self._open.popitem(last=False)[1])
            fd = os.open(self._layout.segment(segment_id), os.O_RDONLY | os.O_CLOEXEC)
            self._open[segment_id] = fd
        else:
            self._open.move_to_end(segment_id)
        return fd

    def _read_record(self, at: Location, offset: int, end: int) -> bytes:
        """The whole record is read for its checksum, whatever little is wanted of it."""
        fd = self._segment(at.segment_id)
        raw = os.pread(fd, HEADER.size + at.size_octets, at.segment_offset)
        if len(raw) == HEADER.size + at.size_octets:
            magic, size, checksum = HEADER.unpack_from(raw)
            if (
                magic == MAGIC
                and size == at.size_octets
                and at.checksums == struct.pack(">I", checksum)
                and zlib.crc32(memoryview(raw)[HEADER.size :]) == checksum
            ):
                return raw[HEADER.size + offset : HEADER.size + end]
        raise StoreDamaged(segment=at.segment_id, offset=at.segment_offset)

    def _read_file(self, at: Location, offset: int, end: int) -> bytes:
        head_size = len(at.head)
        pieces = [at.head[offset:end]]
        start, stop = max(0, offset - head_size), end - head_size
        if stop > start:
            file_size = at.size_octets - head_size
            fd = os.open(self._layout.large / at.file_name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                for index in range(start // BLOCK_OCTETS, (stop - 1) // BLOCK_OCTETS + 1):
                    base = index * BLOCK_OCTETS
                    block = os.pread(fd, min(BLOCK_OCTETS, file_size - base), base)
                    if struct.pack(">I", zlib.crc32(block)) != at.checksums[4 * index :][:4]:
                        raise StoreDamaged(file=at.file_name, block=index)
                    pieces.append(block[max(0, start - base) : stop - base])
            finally:
                os.close(fd)
        return b"".join(pieces)


class StoredOctets:
    """What a reader thread works with: its connection to the index and its open files."""

    def __init__(self, connection: sqlite3.Connection, layout: Layout) -> None:
        self.connection = connection
        self.layout = layout
        self.files = SegmentFiles(layout)

    def locate(self, blob_id: BlobId) -> Location:
        """Raises: MessageGone."""
        row = self.connection.execute(LOCATE, (blob_id,)).fetchone()
        if row is None:
            raise MessageGone(blob=blob_id)
        return Location(*row)

    def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        """Raises: StoreDamaged, MessageGone."""
        return self._read_at(self.locate(blob_id), blob_id, offset, length)

    def read_many(self, spans: Sequence[Span]) -> list[bytes | Unreadable]:
        """As ``read`` for each span, in the order asked; read in the order of the disk."""
        blob_ids = list({blob_id for blob_id, _, _ in spans})
        places = {
            row[0]: Location(*row[1:])
            for row in engine.rows_of(self.connection, LOCATE_MANY, blob_ids)
        }
        answers: list[bytes | Unreadable] = [
            MessageGone(blob=blob_id) if blob_id not in places else b"" for blob_id, _, _ in spans
        ]
        order = sorted(
            (at.segment_id, at.segment_offset, index)
            for index, (blob_id, _, _) in enumerate(spans)
            if (at := places.get(blob_id)) is not None
        )
        for _, _, index in order:
            blob_id, offset, length = spans[index]
            try:
                answers[index] = self._read_at(places[blob_id], blob_id, offset, length)
            except (StoreDamaged, MessageGone) as unreadable:
                answers[index] = unreadable
        return answers

    def _read_at(self, at: Location, blob_id: BlobId, offset: int, length: int) -> bytes:
        """What is not at a place looked up before may have been deleted since, or moved."""
        while True:
            try:
                return self.files.read(at, offset, length)
            except StoreDamaged as damage:
                looked_up, at = at, self.locate(blob_id)
                if at == looked_up:
                    raise damage

    def read_whole(self, blob_id: BlobId) -> bytes:
        """Raises: StoreDamaged, MessageGone."""
        return self.read(blob_id, 0, 1 << 62)

    def close(self) -> None:
        self.files.close()
        self.connection.close()
