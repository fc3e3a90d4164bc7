"""A house whose mail is indexed when a test says so, and searched with and without the index."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.app.boot import boot_file
from gateway.core.ids import AccountId, MailboxId
from gateway.core.search import SearchKey
from gateway.store.blobs import Location, SegmentFiles
from gateway.store.layout import Layout
from gateway.store.search_index.indexer import EVERYTHING, Appetite, Indexer
from gateway.store.search_index.places import Places
from tests.store.house import ALICE, House
from tests.support.gateway_process import ROOT

PLENTY = 1 << 40


class SearchHouse(House):
    """One store, and the indexer that the process beside it would run."""

    def __init__(
        self, state_dir: Path, *, appetite: Appetite = EVERYTHING, reader_threads: int = 1
    ) -> None:
        super().__init__(state_dir, reader_threads=reader_threads)
        self.appetite = appetite
        self.free_octets = PLENTY
        self.clock_s = 0.0
        self.places = Places(Layout(state_dir))

    def __enter__(self) -> SearchHouse:
        return self

    def indexer(self, monotonic: Callable[[], float] | None = None) -> Indexer:
        return Indexer(
            Layout(self.state_dir),
            appetite=self.appetite,
            free_octets=lambda: self.free_octets,
            monotonic=monotonic or (lambda: self.clock_s),
            wall_clock=lambda: self.now,
        )

    def index(self) -> int:
        """Index what there is, as a new process would; returns how many messages."""
        indexer = self.indexer()
        try:
            while indexer.step():
                pass
            return indexer.indexed
        finally:
            indexer.close()

    def search(self, key: SearchKey, box: MailboxId | None = None) -> list[int]:
        found = self.wait(self.store.search(box or self.box(), key))
        return [int(uid) for uid in found]

    def file(self, account_id: AccountId = ALICE) -> Path:
        return self.places.file(account_id)

    def without_index(self, key: SearchKey, box: MailboxId | None = None) -> list[int]:
        """The answer of looking at every message."""
        away = self.places.root.with_name("search.away")
        self.places.root.rename(away)
        try:
            return self.search(key, box)
        finally:
            away.rename(self.places.root)


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one with each read of a message's octets."""
    reads: list[int] = []
    read = SegmentFiles.read

    def counting(self: SegmentFiles, at: Location, offset: int, length: int) -> bytes:
        reads.append(length)
        return read(self, at, offset, length)

    monkeypatch.setattr(SegmentFiles, "read", counting)
    return reads


@contextmanager
def indexer_process(state_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """The process, and the line whose end it takes for its parent's."""
    ours, theirs = socket.socketpair()
    boot = boot_file({"state_dir": str(state_dir)})
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "gateway.app.indexer", str(boot)],
        stdin=theirs.fileno(),
        stdout=subprocess.PIPE,
        pass_fds=(boot,),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    theirs.close()
    os.close(boot)
    try:
        yield process, ours
    finally:
        ours.close()
        process.kill()
        process.communicate()


def indexed(path: Path) -> int:
    """How many messages a search file knows."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
            count: int = file.execute("SELECT coalesce(sum(documents), 0) FROM runs").fetchone()[0]
            return count
    except sqlite3.OperationalError:
        return 0  # not made yet


def letter(text: str, subject: str = "a letter") -> bytes:
    return f"From: ann@example.test\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()


def fill(house: SearchHouse, count: int = 30, every: int = 5) -> list[int]:
    """Append so many messages, each ``every``th with a needle; returns those."""
    texts = [letter("needle" if n % every == 0 else f"hay {n}", f"s{n}") for n in range(count)]
    uids = house.append("INBOX", *texts).uids
    return [int(uid) for uid in uids[::every]]
