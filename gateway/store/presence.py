"""Which processes use a store, so that none puts in order what another one is still writing.

Each keeps ``store.guests`` open with two locks: a shared one on the file, which a start that must
change tables has to have for itself, and a record lock on its own name. The names of its files
begin with it (``incoming/NAME.…``, ``large/NAME.…``); so it can be told of each file whether the
process that made it still runs. Both locks are gone with the process.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.store import record_locks
from gateway.store.files import PRIVATE
from gateway.store.layout import Layout

JOINING_DEADLINE_S = 30.0
_POLL_S = 0.02
_NAME = re.compile(r"[A-Za-z0-9-]{1,48}")
_CARE = "/care"  # no name of a process
_LOCKS = Path("/proc/locks")


class Presence:
    """A process that uses the store under a name of its own, until closed."""

    def __init__(self, layout: Layout, name: str) -> None:
        """Raises: StoreUnavailable: the name is taken, or a start puts the store in order."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot begin a file name")
        self.name = name
        self._fd = _open(layout)
        try:
            if not record_locks.try_lock(self._fd, name):
                raise StoreUnavailable(
                    f"another process uses {layout.state_dir} under the name {name}"
                )
            end = time.monotonic() + JOINING_DEADLINE_S
            while not _try_flock(self._fd, fcntl.LOCK_SH):
                if time.monotonic() >= end:
                    raise StoreUnavailable(
                        f"the mail store in {layout.state_dir} is being put in order; "
                        "try again when the gateway has started"
                    )
                time.sleep(_POLL_S)
        except OSError as error:
            os.close(self._fd)
            raise StoreUnavailable(f"{layout.guests} cannot be locked: {error.strerror}") from error
        except BaseException:
            os.close(self._fd)
            raise

    def take_care(self) -> None:
        """Be the one process that looks after the store. Raises: StoreUnavailable."""
        try:
            alone = record_locks.try_lock(self._fd, _CARE)
        except OSError as error:
            raise StoreUnavailable(care=error.strerror) from error
        if not alone:
            raise StoreUnavailable("another process looks after this mail store")

    def close(self) -> None:
        os.close(self._fd)


class Roll:
    """Who is there, as a start sees it; nobody else comes while it is ``alone``."""

    def __init__(self, layout: Layout) -> None:
        """Raises: StoreUnavailable."""
        self._fd = _open(layout)
        self._there: dict[str, bool] = {}
        try:
            self.alone = _try_flock(self._fd, fcntl.LOCK_EX)
        except OSError as error:
            os.close(self._fd)
            raise StoreUnavailable(f"{layout.guests} cannot be locked: {error.strerror}") from error

    def has_owner(self, path: Path) -> bool:
        """Whether the process that made this file still runs."""
        name, dot, _ = path.name.partition(".")
        if not dot:
            return False
        there = self._there.get(name)
        if there is None:
            there = self._there[name] = record_locks.is_locked(self._fd, name)
        return there

    def processes(self) -> str:
        """The numbers of the processes that are there, for a text; may be empty."""
        inode = str(os.fstat(self._fd).st_ino)
        try:
            lines = [line.split() for line in _LOCKS.read_text().splitlines()]
        except OSError:
            return ""
        found = {
            words[4] for words in lines
            if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode
        }  # fmt: skip
        return ", ".join(sorted(found))

    def close(self) -> None:
        os.close(self._fd)


def _open(layout: Layout) -> int:
    try:
        return os.open(layout.guests, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StoreUnavailable(f"{layout.guests} cannot be opened: {error.strerror}") from error


def _try_flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
