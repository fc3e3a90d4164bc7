"""The index's log stays short although somebody reads at every moment."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.internet.task import Clock

from gateway.store import engine
from gateway.store.log_length import AGAIN_S, LOOK_S, LogLength

LONG_OCTETS = 256 * 1024
COMMITS = 300


@contextmanager
def always_read(path: Path) -> Iterator[None]:
    """Two readers; each ends its transaction when the other one has begun the next."""
    over = threading.Event()
    turns = [threading.Event(), threading.Event()]

    def read(number: int) -> None:
        reader = engine.open_reader(path)
        while not over.is_set():
            turns[number].wait(1)
            turns[number].clear()
            if reader.in_transaction:
                reader.execute("COMMIT")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM t").fetchone()
            turns[1 - number].set()
        reader.close()

    threads = [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    turns[0].set()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def make(folder: Path) -> tuple[sqlite3.Connection, Path]:
    index = folder / "index.sqlite"
    writer = engine.open_writer(index)
    writer.execute("CREATE TABLE t (octets BLOB)")
    return writer, index


def grow(writer: sqlite3.Connection) -> None:
    writer.execute("INSERT INTO t VALUES (zeroblob(16000))")


def log_octets(index: Path) -> int:
    return index.with_name("index.sqlite-wal").stat().st_size


def test_it_begins_anew_under_readers_that_never_pause(tmp_path: Path) -> None:
    writer, index = make(tmp_path)
    writer.execute("PRAGMA journal_size_limit = 0")
    clock = Clock()
    length = LogLength(writer, index, clock.seconds, LONG_OCTETS)
    longest = 0
    with always_read(index):
        for _ in range(COMMITS):
            grow(writer)
            clock.advance(AGAIN_S)
            length.look()
            longest = max(longest, log_octets(index))
    assert longest < COMMITS * 16_000 / 4
    writer.close()


def test_a_backup_that_reads_for_long_is_not_waited_for_again_and_again(tmp_path: Path) -> None:
    writer, index = make(tmp_path)
    clock = Clock()
    length = LogLength(writer, index, clock.seconds, LONG_OCTETS)
    backup = engine.open_reader(index)
    backup.execute("BEGIN")
    backup.execute("SELECT count(*) FROM t").fetchone()
    for _ in range(40):
        grow(writer)
    length.look()
    backup.execute("COMMIT")
    grow(writer)
    clock.advance(LOOK_S)
    length.look()
    before = log_octets(index)
    writer.execute("PRAGMA journal_size_limit = 0")
    grow(writer)
    assert log_octets(index) >= before, "it was not tried so soon"
    clock.advance(AGAIN_S)
    length.look()
    grow(writer)
    assert log_octets(index) < before
    assert writer.execute("PRAGMA busy_timeout").fetchone() == (10_000,)
    backup.close()
    writer.close()
