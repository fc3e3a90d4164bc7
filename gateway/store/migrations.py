"""Brings an index to this program's schema version at start, or refuses a newer one.

Owns the table ``schema_version``. Each step is one transaction, so that a crash leaves the store at
a whole version. Runs under the store's lock, while no other process has the store open, and so
takes no turns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.core.errors import SchemaTooNew, StoreUnavailable
from gateway.store.schema import STEPS


def version_of(connection: sqlite3.Connection) -> int:
    """The index's schema version; 0 for a new one."""
    known = connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"
    ).fetchone()[0]
    if not known:
        return 0
    row = connection.execute("SELECT version FROM schema_version").fetchone()
    return int(row[0]) if row else 0


def check_current(connection: sqlite3.Connection) -> None:
    """For who joins a store that others use, and may not change its tables.

    Raises:
        StoreUnavailable: no gateway of this version has started with it yet.
        SchemaTooNew: a newer gateway has written this store.
    """
    found = version_of(connection)
    if found > len(STEPS):
        raise _too_new(found, len(STEPS))
    if found < len(STEPS):
        raise StoreUnavailable(
            f"the mail store has schema version {found}, and this program needs {len(STEPS)}; "
            "start the gateway of this version with it first"
        )


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = STEPS) -> int:
    """Apply the missing steps; returns how many there were.

    Raises:
        SchemaTooNew: a newer gateway has written this store.
    """
    found = version_of(connection)
    if found > len(steps):
        raise _too_new(found, len(steps))
    for version, statements in enumerate(steps[found:], start=found + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version == 1:
                connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
                connection.execute("INSERT INTO schema_version (version) VALUES (0)")
            for statement in statements:
                connection.execute(statement)
            connection.execute("UPDATE schema_version SET version = ?", (version,))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return len(steps) - found


def _too_new(found: int, known: int) -> SchemaTooNew:
    return SchemaTooNew(
        f"the mail store has schema version {found}, but this gateway knows only "
        f"{known}; install the newer gateway again, or restore a backup",
        found=found,
        known=known,
    )
