"""A file that keeps some space back, so that deleting still works on a full disk (SECURITY D6).

Even a deletion writes to the index's log first. When that fails for lack of space, the reserve is
given up and the deletion repeated; until the disk has room for a new reserve, nothing is added.
Used by the committer's thread alone.
"""

from __future__ import annotations

import contextlib
import os

from gateway.store.layout import Layout

RESERVE_OCTETS = 4 * 1024 * 1024  # about what expunging 10,000 messages writes to the log


class Reserve:
    """Space kept back while ``held``."""

    def __init__(self, layout: Layout, octets: int = RESERVE_OCTETS) -> None:
        self._path = layout.reserve
        self._octets = octets
        self.held = False

    def hold(self) -> bool:
        """Make the reserve if it is missing and the disk has room for twice as much."""
        if self.held:
            return True
        try:
            space = os.statvfs(self._path.parent)
            present = self._path.stat().st_blocks * 512 if self._path.exists() else 0
            if space.f_bavail * space.f_frsize + present < 2 * self._octets:
                return False
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, self._octets)
            finally:
                os.close(fd)
        except OSError:
            return False
        self.held = True
        return True

    def give_up(self) -> bool:
        """Free the space; False when there was none to free."""
        if not self.held:
            return False
        self.held = False
        with contextlib.suppress(OSError):
            self._path.unlink()
        return True
