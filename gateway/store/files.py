"""The operating system's file calls the store makes, as a port, so that tests can fail each one.

Owns the rules of durable files: short writes are checked, a new or renamed file's directory is
synced. Never retries an fsync: after an error the kernel marks the pages clean (SECURITY D3), so
callers treat the file as lost. SQLite does its own file calls; they do not come through here.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Protocol

from gateway.core.errors import StoreFull, StoreUnavailable

PRIVATE = 0o600
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Files(Protocol):
    """Thin calls over ``os``; each may raise OSError."""

    def create(self, path: Path) -> int:
        """A new file for reading and writing; it must not exist (O_EXCL), mode 0600."""
        ...

    def write(self, fd: int, data: bytes | memoryview) -> int: ...

    def fdatasync(self, fd: int) -> None: ...

    def close(self, fd: int) -> None: ...

    def truncate(self, file: int | Path, length: int) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None: ...


class OsFiles:
    """The real thing."""

    def create(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def fdatasync(self, fd: int) -> None:
        # Flushes the size as well, as reading back needs it; only times are left out.
        os.fdatasync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def truncate(self, file: int | Path, length: int) -> None:
        os.truncate(file, length)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_all(files: Files, fd: int, data: bytes) -> None:
    """Write everything; a short write is followed up, one of nothing is an error."""
    written = files.write(fd, data)
    while written < len(data):
        more = files.write(fd, memoryview(data)[written:])
        if more <= 0:
            raise OSError(errno.EIO, "nothing was written")
        written += more


def unlink_quietly(files: Files, path: Path) -> None:
    """Remove a file nobody needs; what cannot be removed now is removed at the next start."""
    try:
        files.unlink(path)
    except OSError:
        return


def remove_dead(files: Files, path: Path) -> None:
    """Remove a file whose octets nobody needs, also where a reader still has it open.

    Without the truncation its space would be taken until that reader happens to close it.
    """
    with contextlib.suppress(OSError):
        files.truncate(path, 0)
    unlink_quietly(files, path)


def store_error(error: OSError) -> StoreUnavailable:
    """The error of the house for a failed file call."""
    if error.errno in NO_SPACE:
        return StoreFull(errno=error.errno)
    return StoreUnavailable(errno=error.errno, reason=error.strerror)
