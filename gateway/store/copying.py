"""Copies files durably and at a bounded rate, for backup and restore.

Owns the pieces, the pace and the syncs. Octets are synced when a call returns; names are not, that
is for the caller, once for all. Knows nothing of what the files hold.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from gateway.core.ports.progress import Progress
from gateway.store.files import PRIVATE, OsFiles, write_all

PIECE_OCTETS = 1024 * 1024


class Copier:
    """Copies ranges of files and tells how far it is.

    Args:
        total: octets that will be copied, as far as is known.
        limit_octets_s: at most so many in a second; 0 for as fast as it goes.
    """

    def __init__(
        self,
        what: str,
        progress: Progress,
        *,
        limit_octets_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.total = 0
        self.octets = 0
        self.files = 0
        self._what = what
        self._progress = progress
        self._limit = limit_octets_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._next_at = 0.0
        self._os = OsFiles()

    def tell(self) -> None:
        self._progress(self._what, self.octets, max(self.total, self.octets), "octets")

    def whole(self, source: Path, target: Path, end: int | None = None) -> None:
        """A file, up to ``end``; it has its name when all is there, and before ends in ``.part``.

        Raises: OSError.
        """
        part = target.with_name(target.name + ".part")
        part.unlink(missing_ok=True)
        self.stretch(source, part, 0, source.stat().st_size if end is None else end)
        part.replace(target)

    def stretch(self, source: Path, target: Path, start: int, end: int) -> None:
        """Make octets ``start`` to ``end`` of the target those of the source, and end it there.

        A source that is shorter ends the target earlier. After an error the target ends at
        ``start``: what the disk did not take must not be found there later (SECURITY D3).

        Raises: OSError.
        """
        reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            writing = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            try:
                os.ftruncate(writing, start)
                self._copy(reading, writing, start, end)
                sync_or_cut(writing, start)
            finally:
                os.close(writing)
        finally:
            os.close(reading)
        self.files += 1

    def _copy(self, reading: int, writing: int, at: int, end: int) -> None:
        os.lseek(writing, at, os.SEEK_SET)
        while at < end:
            piece = os.pread(reading, min(PIECE_OCTETS, end - at), at)
            if not piece:
                return
            write_all(self._os, writing, piece)
            at += len(piece)
            self._count(len(piece))

    def _count(self, octets: int) -> None:
        self.octets += octets
        self.tell()
        if self._limit:
            now = self._monotonic()
            self._next_at = max(self._next_at, now) + octets / self._limit
            if self._next_at > now:
                self._sleep(self._next_at - now)


def sync_or_cut(fd: int, synced: int) -> None:
    """Sync a file whose first octets are synced already; when that fails, only those stay.

    The kernel takes what it could not write for written, so a later sync would succeed (SECURITY
    D3). Raises: OSError.
    """
    try:
        os.fdatasync(fd)
    except OSError:
        os.ftruncate(fd, synced)
        raise
