"""A file that keeps some space back, so that deleting still works on a full disk (SECURITY D6).

Even a deletion writes to the index's log first. When that fails for lack of space, the reserve is
given up and the deletion repeated; until the disk has room for a new reserve, nothing is added.
Used at the start, then by the committer's thread alone. All processes share the one file: whichever
runs out of space gives it up for all, and the others notice within LOOK_S, or when they run out
themselves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from gateway.store.layout import Layout

RESERVE_OCTETS = 4 * 1024 * 1024  # about what expunging 10,000 messages writes to the log
LOOK_S = 1.0  # how often the file of others is looked for
OPENING_OCTETS = 256 * 1024  # more than the engine's log, its index and putting in order take


class Reserve:
    """Space kept back while ``held``."""

    def __init__(
        self,
        layout: Layout,
        octets: int = RESERVE_OCTETS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = layout.reserve
        self._octets = octets
        self._monotonic = monotonic
        self._next_look_at = 0.0
        self.held = False

    def hold(self) -> bool:
        """Make the reserve if it is missing and the disk has room for twice as much."""
        if self.held and self._monotonic() < self._next_look_at:
            return True
        self._next_look_at = self._monotonic() + LOOK_S
        if self.held and self._path.exists():
            return True
        self.held = False
        try:
            present = self._path.stat().st_blocks * 512 if self._path.exists() else 0
            # One that the run before has left is as good, however full the disk is by now.
            if present < self._octets and self._free_octets() + present < 2 * self._octets:
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
        """Free the space; False when there was none to free.

        When another process has freed it since, there may be room now as well.
        """
        held, self.held = self.held, False
        try:
            self._path.unlink()
        except FileNotFoundError:
            return held
        except OSError:
            return False
        return True

    def make_room(self, octets: int = OPENING_OCTETS) -> bool:
        """Whether so much is free, after giving the reserve up if that is what it takes.

        For opening a store and for compaction, which write on a full disk too.
        """
        try:
            return self._free_octets() >= octets or (
                self.give_up() and self._free_octets() >= octets
            )
        except OSError:
            return False

    def _free_octets(self) -> int:
        space = os.statvfs(self._path.parent)
        return space.f_bavail * space.f_frsize
