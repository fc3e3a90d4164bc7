"""What a backup holds on to: while one copies, nothing it may still need is cut or removed.

Owns the file ``store/pin.lock``. A backup holds it shared (flock) from before its snapshot of the
index until all is copied; whoever cuts a segment or removes a file asks first, after the commit
that made the octets dead. A pin that is taken later belongs to a snapshot that has seen the commit,
so a "yes" stays true. What was postponed is done with the first commit after the backup, or found
by the next start as files that no row points to. An flock vanishes with its process, so a killed
backup hinders nothing for long.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.store.files import PRIVATE, Files, unlink_quietly
from gateway.store.layout import Layout
from gateway.store.segments import remove_if_dead


def _open(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        owner = path.parent.stat()
        if os.fstat(fd).st_uid != owner.st_uid:  # made by root; the gateway has to open it too
            os.fchown(fd, owner.st_uid, owner.st_gid)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Pin:
    """Held by a backup; use as a context manager. Several may be held at the same time."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.root / "pin.lock"
        self._fd = -1

    def __enter__(self) -> Pin:
        """Raises: StoreUnavailable."""
        try:
            self._fd = _open(self._path)
            fcntl.flock(self._fd, fcntl.LOCK_SH)  # whoever asks holds it for an instant only
        except OSError as error:
            self.__exit__()
            raise StoreUnavailable(f"{self._path} cannot be locked: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class Pins:
    """Asks whether a backup holds on to the store. Used by one thread."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.root / "pin.lock"
        self._fd = -1

    def allow_removal(self) -> bool:
        """Whether nobody holds a pin. Ask after the commit that made the octets dead."""
        try:
            if self._fd < 0:
                self._fd = _open(self._path)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError:
            return False  # dead octets can wait; those of a backup cannot be had back
        return True

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class Removals:
    """Removes what no row points to any more, or remembers it while a pin is held.

    Used by one thread; it remembers names only, so what it forgets in a crash is found at start.
    """

    def __init__(self, files: Files, layout: Layout, connection: sqlite3.Connection) -> None:
        self._files = files
        self._layout = layout
        self._connection = connection
        self._pins = Pins(layout)
        self._large: list[str] = []
        self._segments: list[int] = []

    def remove(self, large: Sequence[str], segments: Sequence[int]) -> None:
        """Large files and segments that are dead since the last commit, and what was postponed."""
        self._large += large
        self._segments += segments
        if not (self._large or self._segments) or not self._pins.allow_removal():
            return
        for name in self._large:
            unlink_quietly(self._files, self._layout.large / name)
        for segment_id in self._segments:
            remove_if_dead(self._files, self._layout, self._connection, segment_id)
        self._large.clear()
        self._segments.clear()

    def close(self) -> None:
        self._pins.close()
