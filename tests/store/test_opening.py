"""Opening: one instance, known schema, private files, and what a crash left (SECURITY D8)."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from gateway.core.errors import SchemaTooNew, StoreFull, StoreUnavailable
from gateway.core.queue import Recorded
from gateway.store import quarantine
from gateway.store.engine import open_writer
from gateway.store.files import OsFiles
from gateway.store.holding import Holding
from gateway.store.layout import Layout
from gateway.store.migrations import migrate, version_of
from gateway.store.quarantine import KEEP_DAYS
from gateway.store.queue_lease import LONGEST_WAIT_S
from gateway.store.reserve import Reserve
from gateway.store.schema import STEPS
from tests.store.house import ALICE, CAROL, LARGE, NOW, House, delivered
from tests.support.waiting import eventually


def test_D8_a_second_instance_is_refused_and_told_why(tmp_path: Path) -> None:
    with House(tmp_path), pytest.raises(StoreUnavailable, match=rf"in use.*process {os.getpid()}"):
        House(tmp_path)
    House(tmp_path).__exit__(None, None, None)


def test_D8_who_has_the_store_is_told_as_what_it_is(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    command = subprocess.Popen(["bash", "-c", "exec -a gateway cat"], stdin=subprocess.PIPE)
    try:
        with House(tmp_path) as house:
            house.layout.lock.write_text(f"{ended.pid}\n")
            with pytest.raises(StoreUnavailable, match=r"was killed, and its workers are still"):
                House(tmp_path)
            house.layout.lock.write_text(f"{command.pid}\n")
            name = Path(f"/proc/{command.pid}/cmdline")
            eventually(lambda: name.read_bytes().startswith(b"gateway"))
            with pytest.raises(StoreUnavailable, match=r"by a command \(process \d+\); wait"):
                House(tmp_path)
    finally:
        command.communicate()


def test_D8_a_killed_instance_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from tests.store.house import *\n"
        "house = House(pathlib.Path(sys.argv[1]))\n"
        "house.deliver('1', ALICE)\n"
        "house.deliver('2', ALICE, octets=LARGE)\n"
        "body = house.body(LARGE)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=root, check=False)
    assert ended.returncode == -9
    assert list((tmp_path / "store/incoming").iterdir())
    with House(tmp_path) as house:
        assert house.contents() == [delivered(), delivered(LARGE)]
        assert list((tmp_path / "store/incoming").iterdir()) == []
        house.verify()


def test_an_older_program_refuses_a_newer_schema(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
    with sqlite3.connect(tmp_path / "store/index.sqlite") as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    connection.close()
    with pytest.raises(SchemaTooNew, match=r"version 99.*newer gateway"):
        House(tmp_path)
    with sqlite3.connect(tmp_path / "store/index.sqlite") as connection:
        connection.execute("UPDATE schema_version SET version = ?", (len(STEPS),))
    connection.close()
    with House(tmp_path) as house:  # the refusal changed nothing and released the lock
        assert house.uids() == [1]


def test_migrations_apply_what_is_missing_once_and_whole(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "index")
    steps = [*STEPS, ("CREATE TABLE later (a INTEGER)", "INSERT INTO later VALUES (1)")]
    assert migrate(connection) == len(STEPS)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [*steps[:-1], (*steps[-1], "nonsense")])
    assert version_of(connection) == len(STEPS)
    assert migrate(connection, steps) == 1
    assert migrate(connection, steps) == 0
    assert connection.execute("SELECT count(*) FROM later").fetchone() == (1,)
    connection.close()


def test_D8_files_are_private_and_open_directories_are_closed(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o755)
    with House(state_dir) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE, octets=LARGE)
        for path in [state_dir, *state_dir.rglob("*")]:
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory away")
def test_D8_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    os.chown(state_dir, 12345, 12345)
    with pytest.raises(StoreUnavailable, match="belongs to user id 12345"):
        House(state_dir)


def test_octets_past_the_last_indexed_record_are_dead(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
    (segment,) = (tmp_path / "store/segments").iterdir()
    with segment.open("ab") as file:
        file.write(b"GWm1\x00\x00\x10\x00torn")
    with House(tmp_path) as house:
        house.deliver("2", ALICE)
        assert house.contents() == [delivered(), delivered()]
        house.verify()


def test_D8_files_nobody_points_to_are_kept_aside_for_a_while(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE, octets=LARGE)
    root = tmp_path / "store"
    unknown = {
        "segments/0000000099.seg": b"never indexed",
        "segments/1.seg": b"no name of ours",
        "segments/letters.txt": b"foreign",
        "large/0123": b"renamed, never committed",
    }
    for name, octets in unknown.items():
        (root / name).write_bytes(octets)
    (root / "segments/0000000098.seg").touch()
    (root / "large/folder").mkdir()
    (root / "large/folder/letter").write_bytes(b"also foreign")
    (root / "incoming/4567").write_bytes(b"half of it")
    (root / "quarantine/by hand").write_bytes(b"without a date")
    with House(tmp_path) as house:
        assert house.contents() == [delivered(), delivered(LARGE)]
        house.deliver("3", ALICE)
        house.verify()
    assert len(list((root / "large").iterdir())) == 1
    assert len(list((root / "segments").iterdir())) == 2
    assert list((root / "incoming").iterdir()) == []
    found = "20231114-221320-"  # NOW
    kept = {path.name: path for path in (root / "quarantine").iterdir()}
    for name, octets in unknown.items():
        assert kept.pop(found + name.replace("/", "-")).read_bytes() == octets
    assert (kept.pop(found + "large-folder") / "letter").read_bytes() == b"also foreign"
    assert set(kept) == {"by hand"}
    later = NOW + KEEP_DAYS * 86_400
    Holding.take(tmp_path, wall_clock=lambda: later).close()
    assert len(list((root / "quarantine").iterdir())) == 6
    Holding.take(tmp_path, wall_clock=lambda: later + 1).close()
    assert [path.name for path in (root / "quarantine").iterdir()] == ["by hand"]


def crash_with_a_dead_segment(state_dir: Path, name: str) -> None:
    """A process that is killed after it wrote a segment whose messages are all gone again."""
    with House(state_dir) as house:
        house.deliver("1", ALICE)
        (segment,) = (state_dir / "store/segments").iterdir()
        house.wait(house.store.expunge(house.box(), None, only_deleted=False))
    segment.write_bytes(name.encode() * 1000)


def test_D8_crashes_without_end_do_not_fill_the_disk_with_what_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "DEAD_OCTETS", 3500)
    for name in "abcdef":
        crash_with_a_dead_segment(tmp_path, name)
    Holding.take(tmp_path, wall_clock=lambda: NOW).close()
    kept = sorted((tmp_path / "store/quarantine").iterdir())
    assert [path.read_bytes()[:1] for path in kept] == [b"d", b"e", b"f"]


def only_the_index(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith("index.sqlite")]


def test_D8_what_an_older_index_does_not_know_is_kept_however_much_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "DEAD_OCTETS", 0)
    with House(tmp_path) as house:
        house.deliver("before", ALICE)
    shutil.copytree(tmp_path / "store", older := tmp_path / "older", ignore=only_the_index)
    for number in range(3):
        with House(tmp_path) as house:
            house.deliver(str(number), ALICE)
    # With its log: who closes last need not be one who may write it into the index.
    for path in (tmp_path / "store").glob("index.sqlite*"):
        path.unlink()
    shutil.copytree(older, tmp_path / "store", dirs_exist_ok=True)
    for _ in range(3):
        with House(tmp_path) as house:
            assert house.contents() == [delivered()]
            house.verify()
    assert len(list((tmp_path / "store/quarantine").iterdir())) == 3


def test_D8_two_unknown_files_of_one_name_are_both_kept(tmp_path: Path) -> None:
    House(tmp_path).__exit__(None, None, None)
    for octets in (b"first", b"second"):
        (tmp_path / "store/large/0123").write_bytes(octets)
        Holding.take(tmp_path, wall_clock=lambda: NOW).close()
    kept = {path.read_bytes() for path in (tmp_path / "store/quarantine").iterdir()}
    assert kept == {b"first", b"second"}


def test_leases_of_the_run_before_are_free_again(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("1", remote=[CAROL])
        (item,) = house.lease(NOW, lease_s=3600)
    with House(tmp_path) as house:
        assert house.lease(NOW) == [item]


def test_a_store_copied_while_in_use_opens(tmp_path: Path) -> None:
    with House(tmp_path / "live") as house:
        house.deliver("1", ALICE)
        shutil.copytree(tmp_path / "live", tmp_path / "copy")
        with House(tmp_path / "copy") as other:
            assert other.contents() == [delivered()]
            other.verify()


def test_D7_no_wait_outlives_a_restart_with_the_clock_set_back(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("old", remote=[CAROL])
        (item,) = house.lease(NOW, lease_s=3600)
        later = Recorded(1, 1, NOW + 400 * 86400, "450 4.2.0 later")
        house.wait(house.store.record(item.queue_id, [later], None))
    with House(tmp_path) as house:
        # New mail is due at once, so that the earliest due time tells nothing.
        house.deliver("new", remote=[CAROL])
        items = house.lease(NOW + LONGEST_WAIT_S)
        assert sorted(one.recipients[0].last_reply for one in items) == ["", "450 4.2.0 later"]


def no_space(path: object) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 9, 0, 0, 9, 9, 9, 0, 255))


def test_D6_the_reserve_of_the_run_before_counts_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    layout.prepare(OsFiles())
    assert Reserve(layout).hold()
    monkeypatch.setattr(os, "statvfs", no_space)
    after_restart = Reserve(layout)
    assert after_restart.hold()
    assert after_restart.give_up()
    assert not after_restart.give_up()
    assert not after_restart.hold()


def test_D6_opening_on_a_full_disk_uses_the_reserve_and_deletes_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
    monkeypatch.setattr(os, "statvfs", no_space)
    with House(tmp_path) as house:
        assert not (tmp_path / "store/reserve").exists()
        with pytest.raises(StoreFull):
            house.deliver("2", ALICE)
        assert house.wait(house.store.expunge(house.box(), None, only_deleted=False)) == (1,)


def test_D3_every_new_directory_is_made_durable(tmp_path: Path) -> None:
    synced: list[Path] = []

    class Watching(OsFiles):
        def sync_directory(self, path: Path) -> None:
            synced.append(path)
            super().sync_directory(path)

    state_dir = tmp_path / "a" / "b" / "state"
    Layout(state_dir).prepare(Watching())
    assert {tmp_path, tmp_path / "a", tmp_path / "a/b", state_dir, state_dir / "store"} <= set(
        synced
    )


def test_the_log_is_folded_when_it_is_closed_however_long_a_reader_takes(tmp_path: Path) -> None:
    reading, go_on = Event(), Event()

    def read(_: object) -> bool:
        reading.set()
        return go_on.wait(60)

    house = House(tmp_path)
    house.deliver("1", ALICE)
    read_all = house.store._readers.run(read)
    assert reading.wait(60)
    closed = house.pump.start(house.store.close())
    committer = house.store._committer
    house.pump.until(lambda: not committer._thread.is_alive())
    assert committer._tx.connection.execute("SELECT 1").fetchone() == (1,), "readers go first"
    go_on.set()
    assert house.pump.wait_for(read_all)
    house.pump.wait_for(closed)
    assert not (tmp_path / "store/index.sqlite-wal").exists()
