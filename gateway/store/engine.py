"""The SQLite engine: how its connections are opened and what its errors mean to us.

Owns every PRAGMA and every sqlite3 name that would differ for another engine. The store's
statements name ``string_agg``; SQLite before 3.44 calls it ``group_concat``, so ``local_sql``
translates here and nowhere else, and ``by_index`` says which index to use.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.core.errors import StoreFull, StoreUnavailable

STATEMENT_CACHE = 512
# Whoever writes takes turns (``turn``), so only the moments of opening and closing make us wait.
BUSY_TIMEOUT_S = 10.0
WRITER_CACHE_KIB = 32 * 1024
READER_CACHE_KIB = 8 * 1024
# Pages in the write-ahead log before the committer copies them into the index (16 MiB): rarer
# than SQLite's 1,000, as deliveries to the same mailboxes dirty the same pages again and again.
CHECKPOINT_PAGES = 4_000
IDS_PER_STATEMENT = 250
COPIED_PAGES = 2_000  # at once, when an index is copied
# What one huge change has made the log grow to is given back to the disk after the next checkpoint.
LOG_OCTETS = 64 * 1024 * 1024


def local_sql(statement: str) -> str:
    """A statement in this engine's words."""
    return statement.replace("string_agg(", "group_concat(")


def by_index(name: str) -> str:
    """Follows a table's name: it is read by this index, or the statement fails.

    SQLite prefers a table's key to a partial index whenever both would do. Other engines know from
    their statistics, and need no word here.
    """
    return f" INDEXED BY {name}"


def rows_of(
    connection: sqlite3.Connection, statement: str, ids: Sequence[int]
) -> list[tuple[Any, ...]]:
    """Rows of a SELECT for many ids, in no order; ``{ids}`` in it stands for their list."""
    rows: list[tuple[Any, ...]] = []
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        piece = ids[start : start + IDS_PER_STATEMENT]
        marks = ", ".join("?" * len(piece))
        rows += connection.execute(statement.replace("{ids}", marks), piece).fetchall()
    return rows


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENT_CACHE,
    )


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes. A commit is durable when COMMIT returns (SECURITY D1)."""
    connection = _connect(path)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":  # some network file systems cannot share memory
        connection.close()
        raise StoreUnavailable(f"{path.parent} lies on a file system that cannot hold a mail store")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_OCTETS}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; it never waits for the writer (WAL)."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def open_foreign(path: Path) -> sqlite3.Connection:
    """A read-only connection for another process (``verify``); it creates nothing."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def restart_log(connection: sqlite3.Connection, patience_s: float) -> bool:
    """Copy the whole log into the index, and have the next commit begin it anew.

    For whoever may write now. False when a reader has not come to its end in that time.
    """
    connection.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    return not busy


def copy_index(source: sqlite3.Connection, target: Path, told: Callable[[int, int], None]) -> None:
    """What the source's open read transaction sees, as one closed file; not synced yet.

    Inside a transaction the copy never begins anew, however much is written meanwhile.

    Args:
        told: pages copied, and how many there are.
    """
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")

        def tell(_: int, remaining: int, total: int) -> None:
            told(total - remaining, total)

        source.backup(copy, pages=COPIED_PAGES, progress=tell)
        copy.execute("PRAGMA journal_mode = DELETE")  # the file is then all there is
    finally:
        copy.close()


def integrity(connection: sqlite3.Connection) -> list[tuple[str]]:
    """What the engine's own check of its file finds; empty when all is well."""
    rows = connection.execute("PRAGMA integrity_check(100)").fetchall()
    return [row for row in rows if row != ("ok",)]


def is_readable(connection: sqlite3.Connection) -> bool:
    """Whether one pass over the file's pages finds nothing; cheaper than ``integrity``."""
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
    except sqlite3.DatabaseError:
        return False


def rebuild_indexes(connection: sqlite3.Connection) -> None:
    """Make every index again from its table."""
    connection.execute("REINDEX")


def store_error(error: sqlite3.Error) -> StoreUnavailable:
    """The error of the house for a failed statement."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return StoreFull(engine=name)
    return StoreUnavailable(engine=name or type(error).__name__, reason=str(error))


_OF_ONE_STATEMENT = frozenset({"SQLITE_ERROR", "SQLITE_MISUSE", "SQLITE_RANGE", "SQLITE_TOOBIG"})


def is_fatal(error: sqlite3.Error) -> bool:
    """Whether the whole transaction is lost (disk, damage), not only the statement."""
    if isinstance(error, sqlite3.IntegrityError):
        return False
    name = getattr(error, "sqlite_errorname", "")
    return bool(name) and name not in _OF_ONE_STATEMENT


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is not what the engine has written."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def is_of_one_statement(error: sqlite3.Error) -> bool:
    """Whether it came of the values that the statement met."""
    return getattr(error, "sqlite_errorname", "") in _OF_ONE_STATEMENT


@contextmanager
def errors_of_the_house() -> Iterator[None]:
    """Raises: StoreUnavailable for any error of the engine."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error) from error


def foreign_commits(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection, of any process, has committed."""
    number: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return number
