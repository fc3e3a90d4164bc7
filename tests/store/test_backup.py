"""A backup is whole, holds only what is needed, copies only what is new, and outlives its end."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.progress import Progress, silent
from gateway.store.backup import BackedUp, back_up
from gateway.store.backup_place import BackupPlace
from gateway.store.copying import Copier
from gateway.store.restore import restore
from tests.store.house import ALICE, BOB, LARGE, NOW, House

ROLL = 20_000
HOSTNAME = "mail.example.test"


def take(state_dir: Path, target: Path, progress: Progress = silent, **how: Any) -> BackedUp:
    return back_up(
        state_dir,
        target,
        hostname=HOSTNAME,
        others=how.pop("others", ()),
        wall_clock=lambda: float(NOW),
        progress=progress,
        **how,
    )


def text(number: int, octets: int = 3_000) -> bytes:
    return (b"Subject: %d\r\n\r\n" % number + b"%d " % number * octets)[:octets]


def fill(house: House, numbers: Sequence[int]) -> None:
    for number in numbers:
        house.append("INBOX", text(number))


def place_sizes(target: Path) -> dict[str, int]:
    """Every file in the backup with octets of messages."""
    return {
        path.name: path.stat().st_size
        for folder in ("segments", "large")
        for path in (target / folder).iterdir()
    }


class Stopped(Exception):
    """Stands for whatever ends a backup in the middle."""


class StopAt:
    """Progress that stops the work at its call ``number``."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0

    def __call__(self, what: str, done: int, total: int, unit: str = "") -> None:
        self.calls += 1
        if self.calls == self.number:
            raise Stopped


def test_the_second_backup_copies_only_what_is_new(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state", roll_octets=ROLL) as house:
        fill(house, range(20))
        house.append("INBOX", LARGE)
        first = take(house.state_dir, target)
        assert first.manifest.messages == 21
        assert first.copied_octets > len(LARGE) + 20 * 3_000
        assert first.manifest.hostname == HOSTNAME
        fill(house, range(20, 22))
        second = take(house.state_dir, target)
        assert second.manifest.number == 2
        assert second.manifest.messages == 22 + 1
        assert 2 * 3_000 <= second.copied_octets <= 2 * 3_100, "the growing segment's end"
        third = take(house.state_dir, target)
        assert (third.copied_octets, third.copied_files) == (0, 0)
        assert [path.name for path in target.glob("index*")] == ["index-000003.sqlite"]


def test_all_of_it_is_private(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    key = tmp_path / "self-signed.key"
    key.write_text("secret")
    with House(tmp_path / "state") as house:
        fill(house, range(2))
        house.append("INBOX", LARGE)
        take(house.state_dir, target, others=[key, tmp_path / "missing.pem"])
    assert (target / "state/self-signed.key").read_text() == "secret"
    for path in [target, *target.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_is_deleted_leaves_the_backup_with_the_next_one(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state", roll_octets=ROLL) as house:
        fill(house, range(20))
        house.append("Sent", LARGE)
        take(house.state_dir, target)
        before = place_sizes(target)
        house.wait(house.store.expunge(house.box(), None, only_deleted=False))
        house.wait(house.store.expunge(house.box(name="Sent"), None, only_deleted=False))
        assert take(house.state_dir, target).removed_files == len(before)
        assert place_sizes(target) == {}


def test_an_interrupted_backup_leaves_the_last_one_and_the_next_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state", roll_octets=ROLL) as house:
        fill(house, range(10))
        take(house.state_dir, target)
        manifest = BackupPlace(target).manifest()
        fill(house, range(10, 40))
        house.append("INBOX", LARGE)
        number = 0
        while True:
            number += 1
            stop = StopAt(number)
            try:
                done = take(house.state_dir, target, stop)
            except Stopped:
                assert BackupPlace(target).manifest() == manifest
                continue
            break
        assert number > 4
        assert done.found_files, "what was copied is not copied again"
        assert done.copied_octets < len(LARGE) + 2 * ROLL
        assert take(house.state_dir, target, check_all=True).copied_octets == 0


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    with House(tmp_path / "state") as house:
        fill(house, range(1))
        (tmp_path / "other").mkdir()
        (tmp_path / "other/file").write_text("mine")
        for target in ("other", "state", "state/store/segments"):
            with pytest.raises(StoreUnavailable):
                take(house.state_dir, tmp_path / target)
        assert os.listdir(tmp_path / "other") == ["file"]
    with pytest.raises(StoreUnavailable, match="no mail store"):
        take(tmp_path / "nowhere", tmp_path / "backup")


def test_the_backup_of_another_store_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "one") as house:
        fill(house, range(5))
        take(house.state_dir, target)
    before = place_sizes(target)
    with House(tmp_path / "two") as house:
        fill(house, range(100, 105))
        with pytest.raises(StoreUnavailable, match="another store"):
            take(house.state_dir, target)
    assert place_sizes(target) == before
    with House(tmp_path / "one") as house:
        assert take(house.state_dir, target, check_all=True).copied_octets == 0


def test_two_backups_into_one_directory_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state") as house:
        fill(house, range(1))
        fd = BackupPlace(target).claim()
        with pytest.raises(StoreUnavailable, match="another backup"):
            take(house.state_dir, target)
        os.close(fd)
        take(house.state_dir, target)


def test_damage_in_the_store_is_told_each_time_until_it_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state") as house:
        fill(house, range(3))
        (segment,) = (house.state_dir / "store/segments").iterdir()
        sound = segment.read_bytes()
        segment.write_bytes(sound[:3_500] + b"?" + sound[3_501:])
        assert len(take(house.state_dir, target).damaged) == 1
        fill(house, [4])
        done = take(house.state_dir, target)
        assert len(done.damaged) == 1
        assert done.copied_octets < 3_100
        grown = segment.read_bytes()
        segment.write_bytes(sound + grown[len(sound) :])
        assert take(house.state_dir, target).damaged == ()
        segment.unlink()
        fill(house, [5])
        assert take(house.state_dir, target).damaged


@pytest.mark.parametrize("damage", ["changed", "cut", "removed"])
@pytest.mark.parametrize("folder", ["segments", "large"])
def test_check_all_repairs_the_backup_itself(damage: str, folder: str, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state") as house:
        fill(house, range(3))
        house.append("INBOX", LARGE)
        take(house.state_dir, target)
        (path,) = (target / folder).iterdir()
        octets = path.read_bytes()
        if damage == "removed":
            path.unlink()
        else:
            path.write_bytes(octets[:500] + b"?" + octets[501 if damage == "changed" else 600 :])
        done = take(house.state_dir, target, check_all=damage == "changed")
        assert done.copied_files == 1
        assert path.read_bytes() == octets


def test_a_damaged_or_newer_manifest_is_refused_with_words(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state") as house:
        fill(house, range(1))
        take(house.state_dir, target)
        manifest = target / "manifest.json"
        known = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(known | {"format": 2}))
        with pytest.raises(StoreUnavailable, match="has format 2"):
            take(house.state_dir, target)
        manifest.write_text("{")
        with pytest.raises(StoreUnavailable, match="is damaged"):
            take(house.state_dir, target)


def test_the_rate_is_bounded(tmp_path: Path) -> None:
    slept: list[float] = []

    def make(*arguments: Any, **options: Any) -> Copier:
        return Copier(*arguments, **options, monotonic=lambda: 50.0, sleep=slept.append)

    with House(tmp_path / "state") as house:
        house.append("INBOX", LARGE, LARGE)
        done = take(house.state_dir, tmp_path / "backup", limit_octets_s=1_000_000.0, copier=make)
    assert slept[-1] == pytest.approx(done.copied_octets / 1_000_000)


def test_a_disk_without_room_is_told_in_words(tmp_path: Path) -> None:
    def make(*arguments: Any, **options: Any) -> Copier:
        copier = Copier(*arguments, **options)

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device", "segment")

        copier.stretch = refuse  # type: ignore[method-assign, assignment]
        return copier

    with House(tmp_path / "state") as house:
        house.deliver("1", ALICE, BOB)
        with pytest.raises(StoreUnavailable, match="No space left on device"):
            take(house.state_dir, tmp_path / "backup", copier=make)


def test_D3_what_a_disk_did_not_take_is_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup"
    failing = [True]
    sync = os.fdatasync

    def fail(fd: int) -> None:
        if failing and str(target) in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EIO, "Input/output error")
        sync(fd)

    monkeypatch.setattr("os.fdatasync", fail)
    with House(tmp_path / "state") as house:
        failing.clear()
        fill(house, range(3))
        take(house.state_dir, target)
        kept = place_sizes(target)
        fill(house, range(3, 6))
        # Copied, but stopped before anybody synced it; then the sync fails; then a copy's does.
        (segment,) = (house.state_dir / "store/segments").iterdir()
        shutil.copy(segment, target / "segments")
        for _ in range(2):
            failing.append(True)
            with pytest.raises(StoreUnavailable, match="Input/output error"):
                take(house.state_dir, target)
            failing.clear()
            assert place_sizes(target) == kept
        assert take(house.state_dir, target).copied_octets > 3 * 3_000


def test_a_damaged_index_never_follows_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state") as house:
        fill(house, range(40))
        take(house.state_dir, target)
    before = BackupPlace(target).manifest()
    index = tmp_path / "state/store/index.sqlite"
    octets = bytearray(index.read_bytes())
    octets[-4096 * 8 :] = b"?" * 4096 * 8
    index.write_bytes(octets)
    with pytest.raises(StoreUnavailable, match="the backup before stays"):
        take(tmp_path / "state", target)
    assert BackupPlace(target).manifest() == before
    done = restore(target, tmp_path / "new", wall_clock=lambda: float(NOW), progress=silent)
    assert done.report is not None
    assert done.report.sound


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    target.mkdir()
    os.chown(target, 12345, 12345)
    with House(tmp_path / "state") as house:
        fill(house, range(2))
        with pytest.raises(StoreUnavailable, match="belongs to user id 12345"):
            take(house.state_dir, target)
    assert list(target.iterdir()) == []


def test_a_manifest_of_something_else_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with House(tmp_path / "state") as house:
        fill(house, range(2))
        take(house.state_dir, target)
        path = target / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "number": "two"}))
        with pytest.raises(StoreUnavailable, match="is damaged"):
            take(house.state_dir, target)
