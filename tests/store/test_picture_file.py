"""The picture's file: absent, damaged, foreign, replaced, written by another process."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.picture import EntryKind, KeyKind, PicturedEntry, SourceState
from gateway.store.picture.changes import Changes
from gateway.store.picture.file import PictureFile
from gateway.store.picture.file import open_writer as open_file
from gateway.store.picture.reading import LOOK_S, PictureReader
from gateway.store.picture.writing import PictureWriter
from tests.support.pump import Pump
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


def person(number: int) -> PicturedEntry:
    keys = ((KeyKind.ADDRESS, f"p{number}@example.test"),)
    return PicturedEntry("", f"id-{number}", EntryKind.PERSON, b"x" * 200, b"y" * 600, keys)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "directory.sqlite"


@pytest.fixture
def pump() -> Pump:
    return Pump()


class Reading:
    """A reader with a clock that is moved by hand."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.reader = PictureFile.open_reading(path, monotonic=lambda: self.now)

    def count(self) -> int:
        self.now += LOOK_S
        return self.reader.state("").people


@pytest.fixture
def reading(path: Path) -> Iterator[Reading]:
    reading = Reading(path)
    yield reading
    reading.reader.close()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    events: list[str] = []
    observer = lambda event: events.append(str(event))  # noqa: E731
    globalLogPublisher.addObserver(observer)  # type: ignore[arg-type]
    yield events
    globalLogPublisher.removeObserver(observer)  # type: ignore[arg-type]


def open_writer(path: Path, pump: Pump) -> PictureWriter:
    return PictureFile.open_writing(path, call_from_thread=pump.call_from_thread)


def write(path: Path, pump: Pump, *numbers: int) -> None:
    writer = open_writer(path, pump)
    pump.wait(writer.put([person(number) for number in numbers]))
    pump.wait(writer.close())


def test_without_a_file_nobody_is_there_until_somebody_makes_it(
    path: Path, pump: Pump, reading: Reading
) -> None:
    assert reading.count() == 0
    assert reading.reader.find(KeyKind.ADDRESS, ["p1@example.test"]) == []
    assert reading.reader.entry("", "id-1") is None
    assert not path.exists()  # who reads makes nothing
    writer = open_writer(path, pump)
    pump.wait(writer.put([person(1)]))
    assert reading.count() == 1
    assert path.stat().st_mode & 0o777 == 0o600
    logs = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    assert [log.stat().st_mode & 0o777 for log in logs] == [0o600, 0o600]
    pump.wait(writer.close())


def test_the_writers_own_reads_see_what_it_has_written(path: Path, pump: Pump) -> None:
    writer = open_writer(path, pump)
    assert writer.find(KeyKind.ADDRESS, ["p1@example.test"]) == []
    pump.wait(writer.put([person(1)]))
    assert len(writer.find(KeyKind.ADDRESS, ["p1@example.test"])) == 1
    pump.wait(writer.close())


@pytest.mark.parametrize(
    "octets",
    [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000, b"\0" * 4096],
    ids=["text", "broken", "zeros"],
)
def test_a_damaged_file_is_set_aside_and_stops_nobody(
    path: Path, pump: Pump, octets: bytes, reading: Reading, logged: list[str]
) -> None:
    path.write_bytes(octets)
    with pytest.raises(StoreUnavailable):
        reading.count()
    write(path, pump, 1, 2)
    assert path.with_name("directory.sqlite.damaged").read_bytes() == octets
    assert reading.count() == 2
    assert sum("directory.sqlite.damaged" in event for event in logged) == 1


def test_a_picture_with_a_damaged_page_is_found_out_at_the_start(
    path: Path, pump: Pump, logged: list[str]
) -> None:
    write(path, pump, *range(200))
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(os.urandom(4096 * 4))
    writer = open_writer(path, pump)
    assert pump.wait(writer.sources()) == []
    assert writer.state("") == SourceState()
    pump.wait(writer.put([person(1)]))
    assert writer.state("").people == 1
    pump.wait(writer.close())
    assert path.with_name("directory.sqlite.damaged").exists()


def test_damage_while_it_runs_is_said_once_and_the_next_change_works(
    path: Path, pump: Pump
) -> None:
    writer = open_writer(path, pump)
    pump.wait(writer.put([person(n) for n in range(300)]))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    with pytest.raises(StoreUnavailable):
        # More than the caches hold may be needed to meet the damage.
        for number in range(50):
            pump.wait(writer.put([person(1000 + number)]))
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pump.wait(writer.put([person(1)]))
    assert writer.state("").people == 1
    pump.wait(writer.close())


def test_another_programs_file_is_not_written_to(path: Path, pump: Pump, reading: Reading) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (value TEXT)")
        connection.execute("INSERT INTO precious VALUES ('kept')")
        connection.commit()
    octets = path.read_bytes()
    assert reading.count() == 0
    write(path, pump, 1)
    assert path.with_name("directory.sqlite.damaged").read_bytes() == octets
    assert reading.count() == 1


def test_a_picture_of_another_version_is_made_anew(
    path: Path, pump: Pump, reading: Reading
) -> None:
    write(path, pump, 1, 2, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert reading.count() == 0
    write(path, pump, 4)
    assert reading.count() == 1
    assert not path.with_name("directory.sqlite.damaged").exists()


def test_a_file_that_is_removed_or_replaced_is_noticed_by_all(
    path: Path, pump: Pump, reading: Reading
) -> None:
    writer = open_writer(path, pump)
    pump.wait(writer.put([person(1), person(2)]))
    assert reading.count() == 2
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink()
    assert reading.count() == 0
    # The writer makes another one; nothing goes into a file that has no name any more.
    pump.wait(writer.put([person(3)]))
    assert reading.count() == 1
    assert writer.state("").people == 1
    pump.wait(writer.put([person(4)]))
    assert reading.count() == 2
    pump.wait(writer.close())


_READER = """
import sys
from pathlib import Path
from gateway.store.picture.file import PictureFile

reader = PictureFile.open_reading(Path(sys.argv[1]))
for line in sys.stdin:
    reader.look_again()
    print(reader.state("").people, flush=True)
"""


def test_a_file_that_is_removed_alone_while_another_process_reads_it_is_made_anew(
    path: Path, pump: Pump
) -> None:
    writer = open_writer(path, pump)
    pump.wait(writer.put([person(1), person(2)]))
    child = subprocess.Popen(
        [sys.executable, "-c", _READER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:

        def told() -> bytes:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(b"?\n")
            child.stdin.flush()
            return child.stdout.readline()

        assert told() == b"2\n"
        path.unlink()  # its logs stay, and the child has them open
        pump.wait(writer.put([person(3)]))
        assert writer.state("").people == 1
        assert told() == b"1\n"
    finally:
        child.kill()
        child.communicate()
        pump.wait(writer.close())


def test_a_full_disk_keeps_what_was_there_and_is_got_over(path: Path, reading: Reading) -> None:
    with closing(open_file(path)) as connection:
        changes = Changes(connection)
        changes.put([person(1), person(2)], 0)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            changes.put([person(number) for number in range(3, 500)], 0)
        assert reading.count() == 2
        connection.execute("PRAGMA max_page_count = 100000")
        changes.put([person(3)], 0)
        assert reading.count() == 3


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path, pump: Pump) -> None:
    writer = open_writer(tmp_path / "nowhere" / "directory.sqlite", pump)
    with pytest.raises(StoreUnavailable, match="nowhere"):
        pump.wait(writer.put([person(1)]))
    pump.wait(writer.close())


_CHILD = """
import sys
from pathlib import Path
from gateway.store.picture.file import PictureFile
from tests.store.test_picture_file import person
from tests.support.pump import Pump

pump = Pump()
writer = PictureFile.open_writing(Path(sys.argv[1]), call_from_thread=pump.call_from_thread)
for start in range(0, 1_000_000, 20):
    pump.wait(writer.put([person(start + n) for n in range(20)]))
    if start == 200:
        print("some", flush=True)
"""


def test_others_read_while_a_process_writes_and_after_it_is_killed(
    path: Path, pump: Pump, reading: Reading
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"some\n"
        seen = [reading.count()]

        def look() -> bool:
            seen.append(reading.count())
            return seen[-1] > seen[0] + 100

        eventually(look, every_s=0.001)
        # A transaction is seen whole or not at all, and nothing that was seen goes.
        assert all(count % 20 == 0 for count in seen)
        assert seen == sorted(seen)
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    left = Reading(path)
    assert left.count() >= seen[-1]
    left.reader.close()
    # The next process to write goes on where that one was.
    writer = open_writer(path, pump)
    known = writer.state("").people
    pump.wait(writer.put([person(2_000_000)]))
    assert writer.state("").people == known + 1
    pump.wait(writer.close())


def test_a_reader_never_holds_up_the_log(path: Path, pump: Pump, reading: Reading) -> None:
    writer = open_writer(path, pump)
    pump.wait(writer.put([person(1)]))
    assert reading.count() == 1
    page = list(reading.reader.page("", EntryKind.PERSON, "", 10))
    assert page
    with closing(sqlite3.connect(path)) as connection:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not busy
    pump.wait(writer.close())


def test_a_reader_with_a_file_that_is_no_picture_is_no_trouble(path: Path) -> None:
    path.touch()  # as between making a file and making its tables
    reader: PictureReader = PictureFile.open_reading(path)
    assert reader.state("") == SourceState()
    reader.close()
