"""The picture's file: how it is opened to read and to write, and made anew where it is no use.

Owns its place on disk, its permissions and the settings of its connections. A file that is damaged
or somebody else's is moved aside, one of another version of ours goes; both are said in the log and
neither stops anybody: the picture is filled again from the directory. A power cut may undo the last
changes (``synchronous = NORMAL``), and damages nothing.

Limits: CHECKPOINT_PAGES and LOG_OCTETS of the write-ahead log, one file moved aside.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.clock import CallFromThread
from gateway.store import engine
from gateway.store.files import PRIVATE
from gateway.store.picture import tables
from gateway.store.picture.reading import PictureReader
from gateway.store.picture.writing import PictureWriter

# A reader is on the reactor's thread; in WAL mode it waits only where a crash is being mended.
READER_WAITS_S = 0.05
WRITER_WAITS_S = 10.0
READER_CACHE_KIB = 16 * 1024
WRITER_CACHE_KIB = 32 * 1024
CHECKPOINT_PAGES = 4_000
LOG_OCTETS = 64 * 1024 * 1024
ASIDE = ".damaged"

_log = Logger()


class PictureFile:
    """Opens the picture; both ways work whether or not there is a file."""

    @staticmethod
    def open_reading(
        path: Path, *, monotonic: Callable[[], float] = time.monotonic
    ) -> PictureReader:
        """Implements ReadsPicture; nothing is opened before something is read."""
        return PictureReader(path, open_reader, monotonic)

    @staticmethod
    def open_writing(
        path: Path,
        *,
        call_from_thread: CallFromThread,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> PictureWriter:
        """Implements WritesPicture; the file is looked at, and made, by the writer's thread."""
        reader = PictureFile.open_reading(path, monotonic=monotonic)
        return PictureWriter(path, reader, open_writer, call_from_thread)


def open_reader(path: Path) -> sqlite3.Connection | None:
    """A connection that cannot write; None while there is no picture of this version.

    Raises: sqlite3.Error
    """
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        timeout=READER_WAITS_S,
        isolation_level=None,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
        if tables.is_current(connection):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def open_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes, to a file that has been checked. For a thread: it reads it all.

    Raises: StoreUnavailable, sqlite3.Error
    """
    try:
        connection = _opened(path)
        if connection is None:
            connection = _opened(path)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be used: {error.strerror}") from error
    if connection is None:
        raise StoreUnavailable(f"{path} cannot be made anew: remove it")
    return connection


def _opened(path: Path) -> sqlite3.Connection | None:
    """None: there was something that is no use, and it is gone now."""
    _own(path)
    connection = sqlite3.connect(
        path, timeout=WRITER_WAITS_S, isolation_level=None, check_same_thread=False
    )
    try:
        # First of all: nothing is written into a file before it is known to be a picture.
        if tables.is_empty(connection):
            _prepare(connection, path)
            tables.make(connection)
            return connection
        if tables.is_current(connection):
            _prepare(connection, path)
            if engine.is_readable(connection):
                return connection
            _set_aside(path, connection, "it is damaged")
        elif tables.is_ours(connection):
            connection.close()
            _remove(path)
            _log.info("{path}: made anew, as it is of another version", path=str(path))
        else:
            _set_aside(path, connection, "it is no picture of a directory")
    except sqlite3.Error as error:
        if not engine.is_damage(error):
            connection.close()
            raise
        _set_aside(path, connection, "it is damaged")
    except BaseException:
        connection.close()
        raise
    return None


def _own(path: Path) -> None:
    """The file is there, private; SQLite gives its log files the same mode.

    One that exists is not opened here: closing it again would drop the locks that this process's
    other connections have on it (fcntl(2)).
    """
    if not path.exists():
        _remove(path)  # the logs of a file that somebody has removed alone
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
    if path.stat().st_mode & 0o077:
        path.chmod(PRIVATE)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":  # some network file systems cannot share memory
        raise StoreUnavailable(f"{path.parent} lies on a file system that cannot hold a picture")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_OCTETS}")
    connection.execute("PRAGMA temp_store = MEMORY")


def _set_aside(path: Path, connection: sqlite3.Connection, why: str) -> None:
    aside = path.with_name(path.name + ASIDE)
    connection.close()
    path.replace(aside)
    _remove(path)
    _log.error(
        "{path}: {why}; it is now {aside}, and the picture is filled again from the directory",
        path=str(path),
        why=why,
        aside=aside.name,
    )


def _remove(path: Path) -> None:
    """The logs go before another file can be made in their place."""
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
