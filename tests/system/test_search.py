"""The search indexer as the process it is: beside a gateway, killed at any moment, left by its
parent."""

from __future__ import annotations

import imaplib
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.core.search import HeaderHas, Not, SearchKey, TextHas
from tests.store.searching import SearchHouse, indexed, indexer_process
from tests.support.gateway_process import running_demo
from tests.support.mail import BOB
from tests.support.processes import tree_of
from tests.support.waiting import eventually

KILLS = 3
PART = 200
"""Messages before each of them, and after the last."""


def letter(number: int) -> bytes:
    words = " ".join(f"w{number * 7 % 1_000 + step} x{number}" for step in range(120))
    needle = "needle" if number % 50 == 0 else "hay"
    return f"Subject: letter n{number}\r\n\r\n{words} {needle}\r\n".encode()


def wait_for_growth(path: Path) -> None:
    size = path.stat().st_size if path.exists() else 0
    eventually(lambda: path.exists() and path.stat().st_size > size, every_s=0.001)


def test_a_search_index_killed_at_any_moment_is_whole_and_complete_in_the_end(
    tmp_path: Path,
) -> None:
    keys: list[SearchKey] = [
        TextHas("needle", with_header=False),
        TextHas("x77", with_header=True),
        Not(TextHas("w10", with_header=True)),
        HeaderHas("Subject", "n13"),
    ]
    with SearchHouse(tmp_path) as house:
        log = house.file().with_name(house.file().name + "-wal")
        for part in range(KILLS):
            house.append("INBOX", *map(letter, range(part * PART, (part + 1) * PART)))
            with indexer_process(tmp_path) as (process, _):
                # The log grows while a batch is written, before it is committed.
                wait_for_growth(log)
                process.kill()
            for key in keys[:1]:
                assert house.search(key) == house.without_index(key)
        house.append("INBOX", *map(letter, range(KILLS * PART, (KILLS + 1) * PART)))
        with indexer_process(tmp_path) as (process, _):
            eventually(lambda: indexed(house.file()) == (KILLS + 1) * PART)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        with closing(sqlite3.connect(house.file())) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for key in keys:
            assert house.search(key) == house.without_index(key)


def test_the_indexer_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    with SearchHouse(tmp_path) as house:
        house.append()
        with indexer_process(tmp_path) as (process, line):
            eventually(lambda: (tmp_path / "store/search/writer.lock").exists())
            line.close()
            assert process.wait(60) == 0


def test_people_search_mail_that_arrives_while_the_indexer_dies_again_and_again(
    tmp_path: Path,
) -> None:
    with running_demo(tmp_path / "demo") as demo:
        assert demo.process is not None
        with imaplib.IMAP4("127.0.0.1", demo.port(143)) as client:
            client.login(*BOB)
            client.select("INBOX")
            expected: list[int] = []
            for number in range(1, 181):
                client.append("INBOX", "", "", letter(number))
                expected += [number] if number % 50 == 0 else []
                if number % 60 == 0:
                    kill_indexer(demo.process.pid)
                    assert search(client) == expected
            places = list((tmp_path / "demo").rglob("store/search"))
            assert len(places) == 1
            eventually(lambda: any(map(indexed, places[0].rglob("*.sqlite"))))
            assert search(client) == expected
            client.store("100", "+FLAGS", "\\Deleted")
            client.expunge()
            assert search(client) == [50, 149]


def search(client: imaplib.IMAP4) -> list[int]:
    _, data = client.search(None, "BODY", "needle")
    return [int(number) for number in data[0].split()]


def kill_indexer(pid: int) -> None:
    def find() -> list[int]:
        return [child for child in tree_of(pid) if b"gateway.app.indexer" in _command_of(child)]

    for child in eventually(find):
        os.kill(child, signal.SIGKILL)


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # gone meanwhile
