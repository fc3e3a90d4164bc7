"""The tables of the picture's file, and what tells that it is ours.

Owns data definitions. Nothing is migrated: a file of another version is made anew and filled again
from the directory. What many entries share is there once, as a number: a large site's groups have
millions of members among a few names. What every recipient is asked for (``keys``, ``entries``) is
apart from what is large (``wholes``) and from what every listing changes (``listed``).
"""

from __future__ import annotations

import sqlite3

APPLICATION = 0x4D477069
VERSION = 1

TABLES: tuple[str, ...] = (
    # ``version`` rises with every change of people or groups.
    """CREATE TABLE sources (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        cursor TEXT NOT NULL DEFAULT '',
        listed_at INTEGER NOT NULL DEFAULT 0,
        refreshed_at INTEGER NOT NULL DEFAULT 0,
        stopped TEXT NOT NULL DEFAULT '',
        people INTEGER NOT NULL DEFAULT 0,
        groups INTEGER NOT NULL DEFAULT 0,
        listing INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        source INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        entry_id TEXT NOT NULL,
        brief BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX entries_by_id ON entries (source, kind, entry_id)",
    # ``keys``: the entry's rows of that table, packed, so that a change need not look for them.
    """CREATE TABLE wholes (
        entry INTEGER PRIMARY KEY,
        keys BLOB NOT NULL,
        whole BLOB NOT NULL
    )""",
    """CREATE TABLE listed (
        entry INTEGER PRIMARY KEY,
        source INTEGER NOT NULL,
        listing INTEGER NOT NULL
    )""",
    "CREATE INDEX listed_by_number ON listed (source, listing)",
    "CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE keys (
        kind INTEGER NOT NULL,
        name INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        PRIMARY KEY (kind, name, entry)
    ) WITHOUT ROWID""",
)


def make(connection: sqlite3.Connection) -> None:
    """All tables in an empty file, or none."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the file is a picture at all, of whatever version."""
    return _pragma(connection, "application_id") == APPLICATION


def is_current(connection: sqlite3.Connection) -> bool:
    return is_ours(connection) and _pragma(connection, "user_version") == VERSION


def is_empty(connection: sqlite3.Connection) -> bool:
    """As a process leaves it that ends before the tables are made."""
    count: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return count == 0 and _pragma(connection, "application_id") == 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value
