"""What is found below the store's directories and not known: kept aside for a while (SECURITY D8).

Owns ``quarantine/``. Each entry is named after when and where it was found. Nothing that holds
octets is deleted at once, as what nobody knows may be the only copy of something; after KEEP_DAYS
it is. What this index itself gave out and has no row for ("dead") was never acknowledged, or has
been deleted since; a process that is killed again and again leaves such a file of up to 64 MiB each
time. Of these the newest DEAD_OCTETS are kept, so that they do not fill the disk. Never looks into
files.
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
DEAD_OCTETS = 1024 * 1024 * 1024
_STAMP = "%Y%m%d-%H%M%S"
_STAMP_LENGTH = len("20240101-000000")
_DEAD = "dead"


class Quarantine:
    """The place for what is not known."""

    log = Logger()

    def __init__(self, files: Files, layout: Layout, now: int) -> None:
        self._files = files
        self._layout = layout
        self._now = now

    def take_in(self, path: Path, *, dead: bool = False) -> None:
        """Move a file or directory here; one without octets is removed. Never raises.

        Args:
            dead: a name of this very index, so that what is in it is certainly of no use to it.
        """
        try:
            if path.is_file() and not path.is_symlink() and not path.stat().st_size:
                unlink_quietly(self._files, path)
                return
            target = self._free_name(path, _DEAD if dead else path.parent.name)
            self._files.rename(path, target)
        except OSError as error:
            self.log.warn("{path} is not known, and cannot be moved to {to}: {error}",
                          path=str(path), to=str(self._layout.quarantine), error=error)  # fmt: skip
            return
        self.log.warn("{path} belongs to no message; it is kept as {target} for {days} days",
                      path=str(path), target=str(target), days=KEEP_DAYS)  # fmt: skip

    def clear(self) -> None:
        """Remove entries that have been here for long enough, and dead ones that are too many.

        Never raises.
        """
        dead_octets = 0
        with contextlib.suppress(OSError):
            for path in sorted(self._layout.quarantine.iterdir(), reverse=True):  # newest first
                found_at = _found_at(path.name)
                if found_at is None:
                    continue  # put here by hand, or by a repair
                if path.name[_STAMP_LENGTH:].startswith(f"-{_DEAD}-"):
                    dead_octets += path.lstat().st_size
                    is_too_much = dead_octets > DEAD_OCTETS
                else:
                    is_too_much = False
                if not (is_too_much or found_at < self._now - KEEP_DAYS * 86_400):
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    unlink_quietly(self._files, path)

    def _free_name(self, path: Path, where: str) -> Path:
        found = f"{time.strftime(_STAMP, time.gmtime(self._now))}-{where}-{path.name}"
        for number in count(1):
            target = self._layout.quarantine / (found if number == 1 else f"{found}-{number}")
            if not target.exists():
                return target
        raise AssertionError


def _found_at(name: str) -> int | None:
    """When an entry was taken in; None for a name without a date."""
    try:
        return calendar.timegm(time.strptime(name[:_STAMP_LENGTH], _STAMP))
    except ValueError:
        return None
