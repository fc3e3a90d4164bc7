"""What is kept of removed UIDs: as few stretches as there are gaps, and none is ever missed."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from gateway.core.uidset import Ranges, contains, from_sorted
from gateway.store import engine, migrations
from gateway.store.schema import STEPS, VERSION_3
from tests.store.house import ALICE, EVERY, House


def kept(state_dir: Path, mailbox_id: int) -> list[tuple[int, int, int]]:
    """MODSEQ, first and last UID of each stretch."""
    connection = engine.open_reader(state_dir / "store/index.sqlite")
    rows = connection.execute(
        "SELECT modseq, first_uid, last_uid FROM expunged WHERE mailbox_id = ? ORDER BY first_uid",
        (mailbox_id,),
    ).fetchall()
    connection.close()
    return rows


def test_neighbours_become_one_whenever_they_go(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 20)
        box, before = house.box(), house.find().highest_modseq

        def lose(*ranges: tuple[int, int]) -> list[tuple[int, int, int]]:
            house.wait(house.store.expunge(box, ranges, only_deleted=False))
            return [(modseq - before, low, high) for modseq, low, high in kept(tmp_path, box)]

        assert lose((3, 5)) == [(1, 3, 5)]
        assert lose((8, 8), (10, 10), (12, 12)) == [
            (1, 3, 5), (2, 8, 8), (2, 10, 10), (2, 12, 12)
        ]  # fmt: skip
        assert lose((6, 6)) == [(3, 3, 6), (2, 8, 8), (2, 10, 10), (2, 12, 12)]
        assert lose((7, 7), (11, 11), (20, 20)) == [
            (4, 3, 8), (4, 10, 12), (4, 20, 20)
        ]  # fmt: skip
        assert lose((1, 20)) == [(5, 1, 20)]
        house.verify()


def test_the_table_is_bounded_by_gaps_not_by_traffic(tmp_path: Path) -> None:
    """And a client that comes back after any time is told all that vanished since."""
    chooser = random.Random(5)
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 200)
        box, store = house.box(), house.store
        visits = [(house.find().highest_modseq, set(house.uids()))]
        for _ in range(60):
            left = house.uids()
            gone = from_sorted(sorted(chooser.sample(left, min(len(left), 3))))
            house.wait(store.expunge(box, gone, only_deleted=False))
            visits.append((house.find().highest_modseq, set(house.uids())))
        left = house.uids()
        stretches = kept(tmp_path, box)
        assert len(stretches) <= len(left) + 1
        covered = [uid for _, low, high in stretches for uid in range(low, high + 1)]
        assert sorted(covered + left) == list(range(1, 201))
        for modseq, knew in visits:
            vanished = house.wait(store.changes(box, modseq)).vanished
            assert knew - set(left) <= {uid for uid in knew if contains(vanished, uid)}
            assert not any(contains(vanished, uid) for uid in left)
        house.verify()


def test_moving_and_renaming_all_there_is_writes_one_row(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", *[b"x"] * 30)
        inbox, store = house.box(), house.store
        gone: Ranges = ((4, 6), (9, 9), (30, 30))
        house.wait(store.expunge(inbox, gone, only_deleted=False))
        uids = house.uids()
        modseq = house.find().highest_modseq
        house.wait(store.rename_mailbox(ALICE, "INBOX", "old"))
        assert kept(tmp_path, inbox) == [(modseq + 1, 1, 30)]
        old = house.box(name="old")
        assert [tuple(uids) for _, *uids in kept(tmp_path, old)] == list(gone)
        assert house.uids(name="old") == uids
        house.wait(store.copy(old, EVERY, ALICE, "Trash", move=True))
        assert [tuple(uids) for _, *uids in kept(tmp_path, old)] == [(1, 30)]
        house.verify()


def test_a_store_of_the_version_before_gets_what_is_missing_as_stretches(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "index", isolation_level=None)
    migrations.migrate(connection, STEPS[: STEPS.index(VERSION_3)])
    connection.executemany(
        "INSERT INTO mailboxes VALUES (?, 'a', ?, '', 1, ?, 50, ?, ?, 0, 0)",
        [(1, "INBOX", 21, 5, 8), (2, "empty", 1, 1, 0), (3, "emptied", 4, 4, 0)],
    )
    connection.executemany(
        "INSERT INTO messages VALUES (1, ?, 1, 1, 0, '', 0, 0, 1)",
        [(uid,) for uid in (2, 3, 4, 8, 9, 13, 14, 15)],
    )
    # 1 and 10 to 12 were never given, as after a RENAME of INBOX.
    gone = [(1, 7, uid) for uid in (5, 6, *range(16, 21))] + [(1, 9, 7), (3, 3, 1), (3, 5, 2)]
    connection.executemany("INSERT INTO expunged VALUES (?, ?, ?)", gone)
    migrations.migrate(connection, STEPS[: STEPS.index(VERSION_3) + 1])
    assert connection.execute(
        "SELECT mailbox_id, modseq, first_uid, last_uid FROM expunged"
        " ORDER BY mailbox_id, first_uid"
    ).fetchall() == [
        (1, 1, 1, 1), (1, 9, 5, 7), (1, 1, 10, 12), (1, 7, 16, 20), (3, 5, 1, 3)
    ]  # fmt: skip
    assert connection.execute("SELECT old_messages FROM mailboxes").fetchall() == [(3,), (0,), (0,)]
    connection.close()
