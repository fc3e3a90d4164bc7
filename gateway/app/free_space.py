"""How much room the disk of the store has, asked at most once a second (SECURITY S15, D6).

Owns the one look at the file system; what follows from it is the doors' business. A disk that
cannot be asked counts as having room: the store will say what is wrong when it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gateway.core.ports.clock import Timers

LOOK_EVERY_S = 1.0
PLENTY = 2**63


class FreeSpace:
    """The free octets below one folder."""

    def __init__(
        self,
        folder: Path,
        timers: Timers,
        ask: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        self._folder = folder
        self._timers = timers
        self._ask = ask
        self._octets = PLENTY
        self._looked_at = -LOOK_EVERY_S

    def octets(self) -> int:
        """What can still be written, 0 if no file can be made."""
        now = self._timers.seconds()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._octets = self._look()
        return self._octets

    def _look(self) -> int:
        try:
            told = self._ask(self._folder)
        except OSError:
            return PLENTY
        if told.f_files and not told.f_favail:
            return 0  # no inodes left; file systems without a bound on them say f_files = 0
        return told.f_bavail * told.f_frsize
