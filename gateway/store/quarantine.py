"""What is found below the store's directories and not known: kept aside for a while (SECURITY D8).

Owns ``quarantine/``. Each entry is named after when and where it was found. Nothing that holds
octets is deleted at once, as what nobody knows may be the only copy of something; after KEEP_DAYS
it is. Never looks into files.
"""

from __future__ import annotations

import calendar
import contextlib
import shutil
import time
from itertools import count
from pathlib import Path

from twisted.logger import Logger

from gateway.store.files import Files, unlink_quietly
from gateway.store.layout import Layout

KEEP_DAYS = 30
_STAMP = "%Y%m%d-%H%M%S"
_STAMP_LENGTH = len("20240101-000000")


class Quarantine:
    """The place for what is not known."""

    log = Logger()

    def __init__(self, files: Files, layout: Layout, now: int) -> None:
        self._files = files
        self._layout = layout
        self._now = now

    def take_in(self, path: Path) -> None:
        """Move a file or directory here; one without octets is removed. Never raises."""
        try:
            if path.is_file() and not path.is_symlink() and not path.stat().st_size:
                unlink_quietly(self._files, path)
                return
            target = self._free_name(path)
            self._files.rename(path, target)
        except OSError as error:
            self.log.warn("{path} is not known, and cannot be moved to {to}: {error}",
                          path=str(path), to=str(self._layout.quarantine), error=error)  # fmt: skip
            return
        self.log.warn("{path} belongs to no message; it is kept as {target} for {days} days",
                      path=str(path), target=str(target), days=KEEP_DAYS)  # fmt: skip

    def clear(self) -> None:
        """Remove entries that have been here for long enough. Never raises."""
        with contextlib.suppress(OSError):
            for path in tuple(self._layout.quarantine.iterdir()):
                if self._is_old(path.name):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        unlink_quietly(self._files, path)

    def _free_name(self, path: Path) -> Path:
        found = f"{time.strftime(_STAMP, time.gmtime(self._now))}-{path.parent.name}-{path.name}"
        for number in count(1):
            target = self._layout.quarantine / (found if number == 1 else f"{found}-{number}")
            if not target.exists():
                return target
        raise AssertionError

    def _is_old(self, name: str) -> bool:
        """What was put here by hand, and bears no date, stays."""
        try:
            found = calendar.timegm(time.strptime(name[:_STAMP_LENGTH], _STAMP))
        except ValueError:
            return False
        return found < self._now - KEEP_DAYS * 86_400
