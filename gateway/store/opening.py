"""What happens to the files and the index when a store is opened.

Owns making a new index, bringing an old one up to date, and putting in order what a crash left.
Runs before any thread does, under the store's lock.
"""

from __future__ import annotations

import os
import sqlite3

from gateway.core.errors import StoreUnavailable
from gateway.store import engine
from gateway.store.deliveries import prune_ingests
from gateway.store.files import PRIVATE, Files, unlink_quietly
from gateway.store.layout import Layout
from gateway.store.migrations import migrate
from gateway.store.queue_tables import free_leases
from gateway.store.transaction import Transaction


def open_index(files: Files, layout: Layout) -> sqlite3.Connection:
    """The writing connection, at this program's schema version.

    Raises:
        StoreUnavailable, SchemaTooNew
    """
    try:
        # SQLite gives its log files the mode of the index.
        os.close(os.open(layout.index, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        connection = engine.open_writer(layout.index)
        try:
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        files.sync_directory(layout.root)
    except OSError as error:
        raise StoreUnavailable(f"{layout.index} cannot be used: {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{layout.index} cannot be used: {error}") from error
    return connection


def recover(connection: sqlite3.Connection, files: Files, layout: Layout, now: int) -> int:
    """Free leases, remove dead blobs and files nobody points to; returns the next segment's id."""
    tx = Transaction(connection)
    tx.begin(now)
    try:
        free_leases(tx)
        prune_ingests(tx)
        tx.sweep(0)
        tx.commit()
    except BaseException:
        tx.roll_back()
        raise
    for name in tx.dead_files:
        unlink_quietly(files, layout.large / name)
    large = {name for (name,) in tx.fetch_all(
        "SELECT file_name FROM blobs WHERE file_name <> ''"
    )}  # fmt: skip
    segments = {number for (number,) in tx.fetch_all("SELECT segment_id FROM segments")}
    layout.remove_leftovers(files, large=frozenset(large), segments=segments)
    return 1 + max(segments, default=0)
