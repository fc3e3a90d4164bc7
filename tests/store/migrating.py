"""How much an engine does to bring a store of an older version up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from gateway.store import engine
from gateway.store.migrations import migrate
from gateway.store.schema import STEPS


def migration_steps(folder: Path, version: int, fill: Callable[[sqlite3.Connection], None]) -> int:
    """Thousands of the engine's steps, for a store of that version with these rows."""
    folder.mkdir()
    connection = engine.open_writer(folder / "index.sqlite")
    migrate(connection, STEPS[:version])
    fill(connection)
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    connection.set_progress_handler(tick, 1_000)
    migrate(connection)
    connection.close()
    return ticks


def counted(rows: int) -> str:
    """Gives a statement the numbers from 1 as ``n (i)``."""
    return f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows})"
