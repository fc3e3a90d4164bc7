"""A restored store is whole, and no client that saw what was lost is misled by it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import SchemaTooNew, StoreUnavailable
from gateway.core.ports.progress import silent
from gateway.store.exclusive import only_user
from gateway.store.layout import Layout
from gateway.store.presence import Presence
from gateway.store.restore import UIDS_SKIPPED, Restored, restore
from gateway.store.verify import verify
from tests.store.house import ALICE, BOB, CAROL, LARGE, NOW, House, delivered
from tests.store.test_backup import StopAt, Stopped, take

Folders = tuple[Path, Path, Path]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """A state directory, a backup of it, and where to restore to."""
    state, backup = tmp_path / "state", tmp_path / "backup"
    key = tmp_path / "self-signed.key"
    key.write_text("secret")
    with House(state) as house:
        house.deliver("1", ALICE, BOB)
        house.deliver("2", ALICE, octets=LARGE, remote=[CAROL])
        house.append("Sent", b"one", b"two", b"three", flags=["\\Seen"])
        house.wait(house.store.expunge(house.box(name="Sent"), ((2, 2),), only_deleted=False))
        take(state, backup, others=[key])
    return state, backup, tmp_path / "restored"


def bring_back(folders: Folders, **how: Any) -> Restored:
    _, backup, target = folders
    return restore(backup, target, wall_clock=lambda: float(NOW), progress=silent, **how)


def test_all_is_there_again(folders: Folders) -> None:
    done = bring_back(folders)
    assert done.report is not None
    assert done.report.sound, done.report.problems
    assert done.moved_aside is None
    with House(folders[2]) as house:
        assert house.contents() == [delivered(), delivered(LARGE)]
        assert house.contents(BOB) == [delivered()]
        assert house.contents(name="Sent") == [b"one", b"three"]
        assert house.wait(house.store.depth()).messages == 1
        house.verify()
    assert (folders[2] / "self-signed.key").read_text() == "secret"


def test_what_was_given_after_the_backup_is_never_given_again(folders: Folders) -> None:
    with House(folders[0]) as house:
        sent = house.find(name="Sent")
        house.append("Sent", b"after the backup")
        lost = house.uids(name="Sent")[-1]
        lost_modseq = house.find(name="Sent").highest_modseq
        house.wait(house.store.create_mailbox(ALICE, "Later"))
        later = house.find(name="Later")
    bring_back(folders)
    with House(folders[2]) as house:
        now = house.find(name="Sent")
        assert now.uid_validity == sent.uid_validity, "clients keep what they have"
        assert now.uid_next == sent.uid_next + UIDS_SKIPPED
        changes = house.wait(house.store.changes(now.mailbox_id, lost_modseq))
        assert [one.uid for one in changes.changed] == house.uids(name="Sent"), "looked at again"
        house.append("Sent", b"after the restore")
        assert house.uids(name="Sent")[-1] > lost + 1_000_000
        house.wait(house.store.create_mailbox(ALICE, "Later"))
        assert house.find(name="Later").uid_validity > later.uid_validity
        assert house.find(name="Later").mailbox_id > later.mailbox_id
        house.verify()


def test_a_client_hears_that_what_came_after_the_backup_is_gone(folders: Folders) -> None:
    with House(folders[0]) as house:
        house.append("Sent", b"after the backup")
        lost = house.uids(name="Sent")[-1]
        modseq = house.find(name="Sent").highest_modseq
    bring_back(folders)
    with House(folders[2]) as house:
        changes = house.wait(house.store.changes(house.box(name="Sent"), modseq))
        assert any(first <= lost <= last for first, last in changes.vanished)


def test_the_queue_can_be_left_out(folders: Folders) -> None:
    done = bring_back(folders, with_queue=False)
    assert done.dropped_queue == 1
    assert done.report is not None
    assert done.report.sound, done.report.problems
    with House(folders[2]) as house:
        assert house.wait(house.store.depth()).messages == 0
        assert house.contents() == [delivered(), delivered(LARGE)]


def test_a_store_that_is_there_is_moved_aside_and_only_if_told(folders: Folders) -> None:
    target = folders[2]
    with House(target) as house:
        house.append("INBOX", b"in the way")
        with pytest.raises(StoreUnavailable, match="in use"):
            bring_back(folders, force=True)
    with pytest.raises(StoreUnavailable, match="--force"):
        bring_back(folders)
    done = bring_back(folders, force=True)
    assert done.moved_aside is not None
    with House(target) as house:
        assert len(house.uids()) == 2
    aside = target.parent / "aside"
    aside.mkdir()
    shutil.move(done.moved_aside, aside / "store")
    assert verify(aside).messages == 1


def test_empty_directories_are_no_store(folders: Folders) -> None:
    (folders[2] / "store/segments").mkdir(parents=True)
    assert bring_back(folders).moved_aside is None


def test_a_stop_at_any_point_leaves_no_half_store(folders: Folders) -> None:
    _, backup, target = folders
    number = 0
    while True:
        number += 1
        try:
            restore(backup, target, wall_clock=lambda: float(NOW), progress=StopAt(number))
        except Stopped:
            assert not (target / "store").exists()
            continue
        break
    assert number > 5
    assert verify(target).sound


def test_what_is_damaged_in_the_backup_is_told_and_the_rest_is_restored(folders: Folders) -> None:
    (segment,) = (folders[1] / "segments").iterdir()
    octets = segment.read_bytes()
    segment.write_bytes(octets[:-1] + b"?")
    done = bring_back(folders)
    assert done.report is not None
    assert len(done.report.problems) == 1
    with House(folders[2]) as house:
        assert house.contents() == [delivered(), delivered(LARGE)]


def test_the_check_can_be_left_out(folders: Folders) -> None:
    assert bring_back(folders, check=False).report is None
    assert verify(folders[2]).sound


def test_a_directory_without_a_whole_backup_is_refused(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no backup that came to its end"):
        restore(tmp_path / "none", folders[2], wall_clock=lambda: 0.0, progress=silent)
    state, backup = folders[0], tmp_path / "interrupted"
    with House(state), pytest.raises(Stopped):
        take(state, backup, StopAt(2))
    with pytest.raises(StoreUnavailable, match="no backup that came to its end"):
        restore(backup, folders[2], wall_clock=lambda: 0.0, progress=silent)


def test_what_an_interrupted_later_backup_has_left_is_not_restored(folders: Folders) -> None:
    state, backup, target = folders
    with House(state, roll_octets=100) as house:
        for number in range(5):
            house.append("Sent", b"%d" % number * 200)
        with pytest.raises(Stopped):
            take(state, backup, StopAt(8))
    assert len(list((backup / "segments").iterdir())) > 1
    bring_back(folders)
    assert len(list((target / "store/segments").iterdir())) == 1


def test_a_restored_store_is_backed_up_where_the_old_one_was(folders: Folders) -> None:
    bring_back(folders)
    with House(folders[2]) as house:
        house.append("INBOX", b"new")
        done = take(folders[2], folders[1])
        assert done.copied_octets < 100, "what the backup has is known again"
        assert done.manifest.messages == 6


def test_only_one_command_has_a_store_for_itself(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with (
        only_user(layout),
        pytest.raises(StoreUnavailable, match="in use"),
        only_user(layout),
    ):
        pass
    layout.root.mkdir(exist_ok=True)
    command = Presence(layout, "import-1")
    with pytest.raises(StoreUnavailable, match="a command is using"), only_user(layout):
        pass
    command.close()


def test_messages_of_a_segment_that_is_not_listed_are_restored(folders: Folders) -> None:
    index = next(folders[1].glob("index-*.sqlite"))
    connection = sqlite3.connect(index)
    with connection:
        connection.execute("DELETE FROM segments")
    connection.close()
    done = bring_back(folders)
    assert done.report is not None
    assert all("not listed" in problem for problem in done.report.problems)


def test_a_backup_of_a_newer_gateway_is_refused_before_anything_is_copied(folders: Folders) -> None:
    path = folders[1] / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(SchemaTooNew, match=r"the backup in .* has schema version 99"):
        bring_back(folders)
    assert not folders[2].exists()


def test_a_restore_that_fails_leaves_nothing_behind(folders: Folders) -> None:
    (folders[1] / "index-000001.sqlite").write_bytes(b"no index" * 1000)
    with pytest.raises(StoreUnavailable, match="index of the backup cannot be used"):
        bring_back(folders)
    assert not (folders[2] / "store.restoring").exists()
    with House(folders[2]):
        pass


def test_no_gateway_starts_with_nothing_where_a_restore_was_stopped(folders: Folders) -> None:
    """As a kill between moving the old store aside and putting the new one there leaves it."""
    bring_back(folders)
    (folders[2] / "store").rename(folders[2] / "store.restoring")
    with pytest.raises(StoreUnavailable, match="run `gateway restore` again"):
        House(folders[2])
    bring_back(folders)
    with House(folders[2]) as house:
        assert house.contents(BOB) == [delivered()]
