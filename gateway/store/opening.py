"""What happens to the files and the index when a store is opened.

Owns making a new index, bringing an old one up to date, and putting in order what a crash left.
Runs before any thread does, under the store's lock. Commands that joined the store may be writing
meanwhile: what a running process has made and not committed yet is left alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from gateway.core.errors import StoreUnavailable
from gateway.store import engine
from gateway.store.files import PRIVATE, Files, unlink_quietly
from gateway.store.layout import Layout
from gateway.store.migrations import check_current, migrate, version_of
from gateway.store.pins import Pins, Removals
from gateway.store.presence import Roll
from gateway.store.quarantine import Quarantine
from gateway.store.queue_lease import free_leases
from gateway.store.schema import STEPS
from gateway.store.segments import is_known, try_lock
from gateway.store.transaction import Transaction
from gateway.store.turn import Turn

SETTLE = (
    "INSERT OR REPLACE INTO counters (name, value)"
    " SELECT 'settled_segment', value FROM counters WHERE name = 'segment'"
)
"""What was given out by now is put in order by this start."""


class Owners(Protocol):
    """Tells whose process still runs; kept by ``presence.Roll``."""

    def has_owner(self, path: Path) -> bool: ...


@contextmanager
def usable(layout: Layout) -> Iterator[None]:
    """Raises: StoreUnavailable for any error of the disk or the engine."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{layout.root} cannot be used: {error.strerror}") from error
    except sqlite3.Error as error:
        failure = engine.store_error(error)
        text = f"{layout.index} cannot be used: {error}"
        raise type(failure)(text, **failure.fields) from error


def open_index(files: Files, layout: Layout, roll: Roll) -> sqlite3.Connection:
    """The writing connection, at this program's schema version.

    Raises:
        StoreUnavailable: a command holds up the change of the tables.
        SchemaTooNew, OSError, sqlite3.Error
    """
    # SQLite gives its log files the mode of the index.
    os.close(os.open(layout.index, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
    connection = engine.open_writer(layout.index)
    try:
        found = version_of(connection)
        if found < len(STEPS) and not roll.alone:
            raise StoreUnavailable(
                f"the mail store in {layout.state_dir} must be brought from schema version "
                f"{found} to {len(STEPS)}, but a command is using it (process "
                f"{roll.processes() or 'unknown'}); wait until that has ended, then start again"
            )
        migrate(connection)
        files.sync_directory(layout.root)
    except BaseException:
        connection.close()
        raise
    return connection


def check_schema(layout: Layout) -> None:
    """For who wants a look at a store, which may be an older program's, and leaves it as it is.

    Raises: StoreUnavailable (older, or not to be read), SchemaTooNew.
    """
    try:
        with closing(engine.open_foreign(layout.index)) as connection:
            check_current(connection)
    except sqlite3.Error as error:
        raise engine.store_error(error) from error


def recover(
    connection: sqlite3.Connection,
    files: Files,
    layout: Layout,
    turn: Turn,
    owners: Owners,
    now: int,
) -> None:
    """Free leases, remove dead blobs, put aside files nobody points to."""
    tx = Transaction(connection)
    of_last_run = _claimed(connection)
    with turn.transaction(tx, now):
        tx.execute(SETTLE)
        free_leases(tx)
        tx.sweep(0)
    removals = Removals(files, layout, connection)
    removals.remove(tx.dead_files, tx.dead_segments)
    removals.close()
    for path in tuple(layout.incoming.iterdir()):
        if not owners.has_owner(path):
            unlink_quietly(files, path)
    quarantine = Quarantine(files, layout, now)
    put_aside(connection, layout, quarantine, owners, of_last_run)
    quarantine.clear()


def put_aside(
    connection: sqlite3.Connection,
    layout: Layout,
    quarantine: Quarantine,
    owners: Owners,
    claimed: range,
) -> None:
    """Quarantine segments and large files no index row points to, unless a backup may."""
    if not _may_remove(layout):
        return
    # In this order: what a process has made is in the index by the time it is found to be gone.
    large = [path for path in tuple(layout.large.iterdir()) if not owners.has_owner(path)]
    known = {name for (name,) in connection.execute(
        "SELECT file_name FROM blobs WHERE file_name <> ''"
    )}  # fmt: skip
    for path in large:
        if path.name not in known:
            quarantine.take_in(path)
    _put_segments_aside(connection, layout, quarantine, claimed)


def _put_segments_aside(
    connection: sqlite3.Connection, layout: Layout, quarantine: Quarantine, claimed: range
) -> None:
    segments = {number for (number,) in connection.execute("SELECT segment_id FROM segments")}
    for path in tuple(layout.segments.iterdir()):
        segment_id = int(path.stem) if path.suffix == ".seg" and path.stem.isdecimal() else 0
        if path != layout.segment(segment_id):
            quarantine.take_in(path)
        elif segment_id not in segments:
            is_dead = segment_id in claimed
            _put_segment_aside(connection, path, segment_id, quarantine, is_dead)


def _put_segment_aside(
    connection: sqlite3.Connection,
    path: Path,
    segment_id: int,
    quarantine: Quarantine,
    is_dead: bool,
) -> None:
    """Unless a process may still append to it; looked up again under its lock."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if try_lock(fd) and not is_known(connection, segment_id):
            quarantine.take_in(path, dead=is_dead)
    finally:
        os.close(fd)


def clear_predecessor(
    connection: sqlite3.Connection, files: Files, layout: Layout, name: str, now: int
) -> None:
    """What a process of this name left that has died while others went on."""
    prefix = f"{name}."
    for path in tuple(layout.incoming.iterdir()):
        if path.name.startswith(prefix):
            unlink_quietly(files, path)
    if not _may_remove(layout):
        return
    quarantine = Quarantine(files, layout, now)
    for path in tuple(layout.large.iterdir()):
        if path.name.startswith(prefix) and not _has_row(connection, path.name):
            # The start of the gateway has left none, so it was made since.
            quarantine.take_in(path, dead=True)
    _put_segments_aside(connection, layout, quarantine, _claimed(connection))
    quarantine.clear()


def _claimed(connection: sqlite3.Connection) -> range:
    """Ids that this index has given to segments since the start before.

    Such a segment without a row holds nothing that was acknowledged and is still wanted. Of others
    that cannot be said: where somebody has put an older index into place, they are newer mail.
    """
    numbers: dict[str, int] = dict(
        connection.execute("SELECT name, value FROM counters WHERE name LIKE '%segment'").fetchall()
    )
    last = numbers["segment"]
    return range(numbers.get("settled_segment", last) + 1, last + 1)


def _may_remove(layout: Layout) -> bool:
    pins = Pins(layout)
    try:
        return pins.allow_removal()
    finally:
        pins.close()


def _has_row(connection: sqlite3.Connection, file_name: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM blobs WHERE file_name <> '' AND file_name = ?", (file_name,)
    ).fetchone()
    return row is not None
