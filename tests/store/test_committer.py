"""Group commit: few syncs for many, one that fails fails alone, a full disk can be emptied."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import MailboxExists, StoreFull, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.store import reserve as reserving
from gateway.store import waiting as waiting_line
from gateway.store.transaction import Transaction
from tests.store.faults import Counting, ShortWrites
from tests.store.house import ALICE, BOB, LARGE, House, delivered


class Stopped(Counting):
    """Holds the committer at its first sync, so that a test can line up what waits behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.read_end, self.write_end = os.pipe()

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        if self.calls["fdatasync"] == 1:
            os.read(self.read_end, 1)

    def go_on(self) -> None:
        os.write(self.write_end, b"x")


def test_what_arrives_while_a_commit_runs_is_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Stopped()
    hand_overs = []
    with House(tmp_path, files=files) as house:
        first = house.start("first", ALICE)
        house.pump.until(lambda: files.calls["fdatasync"])
        people = [AccountId(f"p{number % 7}") for number in range(100)]
        waiting = [house.start(f"i{number}", one) for number, one in enumerate(people)]
        created = house.pump.start(house.store.ensure_account(BOB))
        handed_over = house.store._committer._hand_over

        def count(*arguments: Any) -> None:
            hand_overs.append(len(arguments[0]))
            handed_over(*arguments)

        monkeypatch.setattr(house.store._committer, "_hand_over", count)
        files.go_on()
        for one in [first, *waiting]:
            house.pump.wait_for(one)
        house.pump.wait_for(created)
        assert files.calls["fdatasync"] <= 4  # two, unless the readers came between
        assert hand_overs[0] == 1
        assert hand_overs[1] >= 100
        assert sum(len(house.uids(one)) for one in set(people)) == 100
        house.verify()


def test_an_operation_that_fails_fails_alone(tmp_path: Path) -> None:
    files = Stopped()
    with House(tmp_path, files=files) as house:
        first = house.start("first", ALICE)
        house.pump.until(lambda: files.calls["fdatasync"])
        store = house.store

        def broken(tx: Transaction) -> None:
            tx.execute("UPDATE mailboxes SET messages = 999")
            tx.next_id("blob")
            raise ZeroDivisionError

        def wrong(tx: Transaction) -> None:
            tx.execute("UPDATE mailboxes SET messages = 998")
            tx.execute("SELECT nonsense FROM nowhere")

        before = house.start("before", ALICE, BOB)
        crash = store._committer.write(broken)
        statement = store._committer.write(wrong)
        taken = house.pump.start(store.create_mailbox(ALICE, "INBOX"))
        made = house.pump.start(store.create_mailbox(ALICE, "made"))
        after = house.start("after", ALICE)
        files.go_on()
        for good in (first, before, after):
            house.pump.wait_for(good)
        house.pump.wait_for(made)
        with pytest.raises(ZeroDivisionError):
            house.pump.wait_for(crash)
        with pytest.raises(StoreUnavailable):
            house.pump.wait_for(statement)
        with pytest.raises(MailboxExists):
            house.pump.wait_for(taken)
        assert house.uids() == [1, 2, 3]
        house.verify()


def test_a_delivery_that_cannot_be_stored_does_not_hinder_those_beside_it(tmp_path: Path) -> None:
    files = Stopped()
    with House(tmp_path, files=files) as house:
        first = house.start("first", ALICE)
        house.pump.until(lambda: files.calls["fdatasync"])
        good = [house.start(f"g{number}", AccountId(f"p{number}")) for number in range(5)]
        bad = house.start("bad \ud800", ALICE)  # the index takes no lone surrogates
        good += [house.start(f"h{number}", AccountId(f"p{number}")) for number in range(5)]
        files.go_on()
        for one in [first, *good]:
            house.pump.wait_for(one)
        with pytest.raises(UnicodeEncodeError):
            house.pump.wait_for(bad)
        assert all(house.uids(AccountId(f"p{number}")) == [1, 2] for number in range(5))
        assert house.uids() == [1]
        house.verify()


def test_D3_short_writes_are_followed_up(tmp_path: Path) -> None:
    with House(tmp_path, files=ShortWrites()) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE, octets=LARGE[: 2**20 + 5000])
        assert house.contents() == [delivered(), delivered(LARGE[: 2**20 + 5000])]
        house.verify()


def test_too_many_waiting_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_line, "MAX_WAITING", 5)
    files = Stopped()
    with House(tmp_path, files=files) as house:
        first = house.start("first", ALICE)
        house.pump.until(lambda: files.calls["fdatasync"])
        waiting = [house.start(str(number), ALICE) for number in range(5)]
        with pytest.raises(StoreUnavailable):
            house.deliver("too many", ALICE)
        with pytest.raises(StoreUnavailable):
            house.deliver("too many and large", ALICE, octets=LARGE)
        assert list((tmp_path / "store/large").iterdir()) == [], "the refused one's file is gone"
        files.go_on()
        for one in [first, *waiting]:
            house.pump.wait_for(one)
        assert len(house.uids()) == 6


class FullIndex:
    """Makes the index's transactions fail as on a full disk, while ``reserve`` is held."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reserve = house.store._committer._reserve
        self.full = True
        original = Transaction.commit

        def commit(tx: Transaction) -> None:
            if self.full and self.reserve.held:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorname = "SQLITE_FULL"
                raise error
            original(tx)

        monkeypatch.setattr(Transaction, "commit", commit)


def test_D6_deletes_work_on_a_full_disk_and_additions_wait_for_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(tmp_path) as house:
        house.deliver("1", ALICE)
        house.deliver("2", ALICE)
        inbox = house.box()
        assert (tmp_path / "store/reserve").stat().st_size == reserving.RESERVE_OCTETS
        disk = FullIndex(house, monkeypatch)
        with pytest.raises(StoreFull):
            house.deliver("full", ALICE, octets=LARGE)
        with pytest.raises(StoreFull):
            house.wait(house.store.create_mailbox(ALICE, "more"))
        deleted: Deferred[object] = house.pump.start(
            house.store.store_flags(inbox, ((1, 1),), "add", frozenset({"\\Deleted"}))
        )
        house.pump.wait_for(deleted)
        assert house.wait(house.store.expunge(inbox, None, only_deleted=True)) == (1,)
        assert not (tmp_path / "store/reserve").exists()
        monkeypatch.setattr(reserving, "RESERVE_OCTETS", 0)
        disk.reserve._octets = 1 << 60  # no room for a new reserve: nothing is added
        with pytest.raises(StoreFull):
            house.deliver("still full", ALICE)
        disk.reserve._octets, disk.full = 1 << 20, False
        house.deliver("3", ALICE)
        assert (tmp_path / "store/reserve").exists()
        assert house.uids() == [2, 3]
        assert list((tmp_path / "store/large").iterdir()) == []
        house.verify()
