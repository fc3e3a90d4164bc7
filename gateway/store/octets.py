"""The files of a store against its index: every octet, every checksum, and what nobody points to.

Goes through the index in pages, each a look of its own, so that a check of hours keeps no snapshot
of the index and little memory. What a running gateway has deleted or moved meanwhile is looked up
again before it is called damage. Only reads.
"""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.core.errors import StoreDamaged
from gateway.core.ports.progress import Progress
from gateway.store.blobs import LOCATE, Location, SegmentFiles
from gateway.store.bodies import BLOCK_OCTETS
from gateway.store.layout import Layout
from gateway.store.segments import HEADER, is_growing

PAGE = 1_000
# What the system says of a place that cannot be, and not of a disk that fails.
NO_SUCH_PLACE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP}
)
# A file of a message that is being accepted has no row yet.
_ARRIVING_S = 3600.0

_PAGE = (
    "SELECT * FROM (SELECT blob_id, size_octets, segment_id, segment_offset, file_name, head,"
    " checksums FROM blobs WHERE blob_id > ? ORDER BY blob_id LIMIT ?) AS page"
    " ORDER BY segment_id, segment_offset"
)


_TYPES = (int, int, int, str, bytes, bytes)


class Damage(NamedTuple):
    """Octets that cannot be read whole."""

    blob_id: int
    at: Location
    error: StoreDamaged

    @property
    def is_of_the_disk(self) -> bool:
        """Whether the disk refused, which may pass; not: other octets than were written."""
        code = self.error.fields.get("errno")
        return code is not None and code not in NO_SUCH_PLACE


@dataclass(frozen=True, slots=True)
class SegmentSpace:
    """How much of a segment's file is alive."""

    segment_id: int
    file_octets: int
    live_octets: int

    @property
    def dead_octets(self) -> int:
        return max(0, self.file_octets - self.live_octets)


def is_known_lost(at: Location) -> bool:
    """Whether ``repair`` has found these octets damaged, and noted that there are none to read."""
    return not at.file_name and at.segment_id == 0


def read_whole(files: SegmentFiles, at: Location) -> None:
    """Raises: StoreDamaged."""
    if at.size_octets <= 0:
        files.check_empty(at)
    piece = 4 * BLOCK_OCTETS if at.file_name else 1 << 40
    for offset in range(0, at.size_octets, piece):
        files.read(at, offset, piece)


def is_whole(files: SegmentFiles, at: Location) -> bool:
    try:
        read_whole(files, at)
    except StoreDamaged:
        return False
    return True


def damages(
    connection: sqlite3.Connection, layout: Layout, progress: Progress, total: int
) -> Iterator[Damage]:
    """All octets that cannot be read. ``connection`` must not be inside a transaction."""
    files = SegmentFiles(layout)
    done = last = 0
    try:
        while True:
            progress("reading messages", done, total, "octets")
            page = connection.execute(_PAGE, (last, PAGE)).fetchall()
            if not page:
                return
            last = max(row[0] for row in page)
            for blob_id, *place in page:
                at = Location(*place)
                if tuple(map(type, at)) != _TYPES:
                    yield Damage(blob_id, at, StoreDamaged(row="impossible"))
                    continue
                done += at.size_octets
                if is_known_lost(at):
                    continue
                try:
                    read_whole(files, at)
                except StoreDamaged as error:
                    if not is_gone_or_moved(connection, files, blob_id, at):
                        yield Damage(blob_id, at, error)
                if at.size_octets >= BLOCK_OCTETS:
                    progress("reading messages", done, total, "octets")
    finally:
        files.close()


def is_gone_or_moved(
    connection: sqlite3.Connection, files: SegmentFiles, blob_id: int, at: Location
) -> bool:
    """Whether the running gateway has since deleted it, or put it where it is whole."""
    while True:
        row = connection.execute(LOCATE, (blob_id,)).fetchone()
        if row is None:
            return True
        before, at = at, Location(*row)
        if at == before:
            return False
        if is_whole(files, at):
            return True


def space(connection: sqlite3.Connection, layout: Layout) -> Iterator[SegmentSpace]:
    """Of each segment that is listed and there."""
    for segment_id, blobs, octets in connection.execute(
        "SELECT segment_id, CAST(live_blobs AS INTEGER), CAST(live_octets AS INTEGER) FROM segments"
        " ORDER BY segment_id"
    ).fetchall():
        with contextlib.suppress(OSError):
            size = layout.segment(segment_id).stat().st_size
            yield SegmentSpace(segment_id, size, octets + blobs * HEADER.size)


def strays(connection: sqlite3.Connection, layout: Layout, now: float) -> Iterator[Path]:
    """Files that no row points to and no running process is still writing."""
    for path in _files(layout.segments):  # listed before the index is asked
        segment_id = int(path.stem) if path.suffix == ".seg" and path.stem.isdecimal() else 0
        if path != layout.segment(segment_id) or not (
            _exists(connection, "segments WHERE segment_id = ?", segment_id)
            or _exists(connection, "blobs WHERE segment_id = ?", segment_id)
            or is_growing(layout, segment_id)
        ):
            yield path
    for path in _files(layout.large):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            is_old = now - path.stat().st_mtime > _ARRIVING_S
            if is_old and not _exists(connection, "blobs WHERE file_name = ?", path.name):
                yield path


def _files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _exists(connection: sqlite3.Connection, where: str, value: object) -> bool:
    row = connection.execute(f"SELECT 1 FROM {where} LIMIT 1", (value,)).fetchone()  # noqa: S608 - own names only
    return row is not None
