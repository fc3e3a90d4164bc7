"""Append-only segment files: the octets of all messages below 1 MiB.

A record is magic, length, CRC-32 and the octets. The index is the truth: octets past the last
indexed record are dead, and a segment of an earlier run is never appended to. A batch of records
takes one write and one fdatasync. Used by the committer's thread alone; reading is in ``blobs``.

Each process appends to a segment of its own, under an id that no segment ever had, and keeps an
flock on the file for as long as it may still grow: what it has written there and not yet committed
looks dead to everybody else, so nobody else removes or cuts a file that is locked.

After any error the segment is abandoned and the next batch starts a new one: an fsync that failed
is never repeated on the same file (SECURITY D3).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.store.files import (
    NO_SPACE,
    Files,
    remove_dead,
    store_error,
    unlink_quietly,
    write_all,
)
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
        self,
        files: Files,
        layout: Layout,
        claim: Callable[[], int],
        roll_octets: int = ROLL_OCTETS,
    ) -> None:
        """
        Args:
            claim: a segment id never given before; may raise StoreUnavailable.
        """
        self._files = files
        self._layout = layout
        self._claim = claim
        self._roll_octets = roll_octets
        self._finished: list[int] = []
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

    def take_finished(self) -> list[int]:
        """Segments that have grown for the last time, told once."""
        finished, self._finished = self._finished, []
        return finished

    def _start(self) -> None:
        while True:
            segment_id = self._claim()
            path = self._layout.segment(segment_id)
            try:
                fd = self._files.create(path)
            except OSError as error:
                if error.errno != errno.EEXIST:  # left by an older store
                    raise
                continue
            # Until it is locked, another process may take it for a leftover.
            if try_lock(fd) and _is_at(fd, path):
                break
            self._files.close(fd)
        self._fd, self.current_id, self._position = fd, segment_id, 0
        self._files.sync_directory(self._layout.segments)

    def _finish(self) -> None:
        fd, self._fd = self._fd, -1
        self._finished.append(self.current_id)
        self.current_id = 0
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


def try_lock(fd: int) -> bool:
    """Lock a segment's file as whoever writes it does; False when somebody else has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_growing(layout: Layout, segment_id: int) -> bool:
    """Whether a process may still append to this segment, or cannot be told not to."""
    try:
        fd = os.open(layout.segment(segment_id), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def remove_if_dead(
    files: Files, layout: Layout, connection: sqlite3.Connection, segment_id: int
) -> None:
    """Remove a segment the index does not know. One that another process may still append to stays:
    that process looks at it again when it grows no more."""
    path = layout.segment(segment_id)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if try_lock(fd) and not is_known(connection, segment_id):
            remove_dead(files, path)
    except sqlite3.Error:
        return  # found again at the next start
    finally:
        os.close(fd)


def is_known(connection: sqlite3.Connection, segment_id: int) -> bool:
    """Whether the index has a row for this segment."""
    row = connection.execute(
        "SELECT 1 FROM segments WHERE segment_id = ?", (segment_id,)
    ).fetchone()
    return row is not None


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False
