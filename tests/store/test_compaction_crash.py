"""Compaction loses nothing, whatever fails or is the last (SECURITY D1, D3, D6)."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store.compaction import Compactor, Pace
from gateway.store.engine import open_writer
from gateway.store.files import OsFiles
from gateway.store.layout import Layout
from gateway.store.operations import Operation
from gateway.store.reserve import Reserve
from gateway.store.segments import SegmentWriter
from gateway.store.transaction import Transaction
from gateway.store.verify import verify
from tests.store.beside import StopsAt
from tests.store.compacting import (
    FAST,
    OFF,
    ROLL,
    check,
    fill,
    is_settled,
    keep_every,
    logged,
    segments,
    settle,
    text,
)
from tests.store.faults import FailingAt, KilledAt
from tests.store.house import ALICE, House

LONGEST = 80  # more file calls than opening and compacting make
EXPECTED = [text(number) for number in range(3, 24, 4)]


@pytest.fixture
def wasteful(tmp_path: Path) -> Path:
    """A closed store of three segments, each of them mostly dead."""
    state_dir = tmp_path / "wasteful"
    with House(state_dir, roll_octets=ROLL, compaction=OFF) as house:
        fill(house, 24)
        keep_every(house, 4)
    assert len(segments(state_dir)) == 3
    return state_dir


def check_after(state_dir: Path) -> None:
    """As the stop left it, and when compaction has been taken up again."""
    report = verify(state_dir)
    assert report.sound, report.problems
    with House(state_dir, roll_octets=ROLL, compaction=FAST) as house:
        assert house.contents() == EXPECTED
        settle(house)
        check(house, EXPECTED)
        assert not {"0000000001.seg", "0000000002.seg"} & segments(state_dir).keys()
        house.deliver("afterwards", ALICE)
        assert len(house.contents()) == len(EXPECTED) + 1


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_D3_every_failing_call_loses_nothing(code: int, wasteful: Path, tmp_path: Path) -> None:
    names = set()
    for number in range(1, LONGEST):
        state_dir = tmp_path / str(number)
        shutil.copytree(wasteful, state_dir)
        files = FailingAt(number, code)
        files.counting = True
        try:
            with House(state_dir, files=files, roll_octets=ROLL, compaction=FAST) as house:
                settle(house)
                check(house, EXPECTED)
        except StoreUnavailable:
            pass  # it could not be opened
        if not files.failed:
            break
        names.update(files.failed)
        check_after(state_dir)
    else:
        pytest.fail("there are more file calls than expected")
    assert {"create", "sync_directory", "write", "fdatasync", "truncate", "unlink"} <= names


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
def test_D3_stopping_before_every_call_loses_nothing(
    power_cut: bool, wasteful: Path, tmp_path: Path
) -> None:
    names = set()
    for number in range(1, LONGEST):
        live, copy = tmp_path / f"live{number}", tmp_path / f"copy{number}"
        shutil.copytree(wasteful, live)
        files = KilledAt(live, copy, number, power_cut=power_cut)
        files.counting = True
        with House(live, files=files, roll_octets=ROLL, compaction=FAST) as house:
            settle(house)
            if not files.reached:
                files.take_copy()
        names.add(files.reached)
        check_after(copy)
        if not files.reached:
            break
    else:
        pytest.fail("there are more file calls than expected")
    assert {"create", "sync_directory", "write", "fdatasync", "truncate", "unlink"} <= names


@pytest.mark.parametrize("name", ["SQLITE_IOERR_FSYNC", "SQLITE_FULL"])
def test_D3_a_transaction_that_fails_moves_nothing(
    name: str, wasteful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Transaction.commit
    failing = [True] * 3

    def fails_first(tx: Transaction) -> None:
        if tx.dead_segments and failing:
            failing.pop()
            error = sqlite3.OperationalError("no")
            error.sqlite_errorname = name
            raise error
        commit(tx)

    monkeypatch.setattr(Transaction, "commit", fails_first)
    with logged() as events, House(wasteful, roll_octets=ROLL, compaction=FAST) as house:
        settle(house)
        assert not failing
        check(house, EXPECTED)
        waits = [event for event in events if event["log_level"].name == "warn"]
        assert len(waits) == (1 if name == "SQLITE_IOERR_FSYNC" else len(waits))
    check_after(wasteful)


class Quota(OsFiles):
    """A disk for the segments that has this much room."""

    def __init__(self, state_dir: Path, octets: int) -> None:
        self.state_dir = state_dir
        self.octets = octets

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if sum(segments(self.state_dir).values()) + len(data) > self.octets:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


def test_D6_room_for_one_step_is_enough(wasteful: Path) -> None:
    used = sum(segments(wasteful).values())
    files = Quota(wasteful, used + FAST.step_octets)
    with House(wasteful, files=files, roll_octets=ROLL, compaction=FAST) as house:
        settle(house)
        check(house, EXPECTED)
        house.append("INBOX", *EXPECTED)  # there is room again
    assert sum(segments(wasteful).values()) < used


def test_D6_on_a_full_disk_it_uses_the_reserve_or_waits(
    wasteful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [0]
    patient = Pace(step_octets=3_000, pause_s=0.0, retry_s=0.01)
    monkeypatch.setattr(Reserve, "_free_octets", lambda _: free[0])
    before = segments(wasteful)
    with logged() as events, House(wasteful, roll_octets=ROLL, compaction=patient) as house:
        house.pump.until(lambda: events)
        assert {event["log_level"].name for event in events} == {"warn"}
        assert segments(wasteful).keys() == before.keys()  # a dead end costs no room
        assert house.contents() == EXPECTED
        assert not (wasteful / "store/reserve").exists()
        free[0] = 1 << 30
        settle(house)
        check(house, EXPECTED)
        house.append("INBOX", text(99))
        assert (wasteful / "store/reserve").exists()


def test_closing_in_the_middle(wasteful: Path) -> None:
    small = Pace(step_octets=1, pause_s=0.0, busy_pause_s=0.0)
    files = StopsAt("fdatasync")
    files.armed = True
    house = House(wasteful, files=files, roll_octets=ROLL, compaction=small)
    house.pump.until(lambda: files.stopped)
    closing = house.pump.start(house.store.close())
    files.go_on()
    house.pump.wait_for(closing)
    assert files.calls["fdatasync"] < len(EXPECTED) + 1
    check_after(wasteful)


def test_steps_leave_the_committer_to_others_most_of_the_time(wasteful: Path) -> None:
    layout, files, seconds = Layout(wasteful), OsFiles(), [0.0]
    connection = open_writer(layout.index)
    tx = Transaction(connection)
    served = []

    def serve(operation: Operation[None]) -> None:
        seconds[0] += 1.0
        served.append(operation)
        assert operation.run is not None
        tx.begin(0)
        operation.run(tx)
        tx.commit()

    compactor = Compactor(
        connection,
        SegmentWriter(files, layout, lambda: 9),
        files,
        layout,
        Reserve(layout),
        lambda: seconds[0],
        Pace(step_octets=1, pause_s=0.25, busy_pause_s=1.0),
    )
    assert compactor.wait_s() == 0.0
    compactor.step(serve)
    assert len(served) == 1
    assert compactor.wait_s() == 4.0  # a slow step is followed by a long pause
    assert not compactor.is_overdue()
    seconds[0] += 4.5
    assert compactor.wait_s() == 0.0
    assert not compactor.is_overdue()
    seconds[0] += 0.5
    assert compactor.is_overdue()
    while compactor.wait_s() is not None:
        compactor.step(serve)
    assert len(served) >= len(EXPECTED) - 1
    assert not compactor.is_overdue()
    compactor.close()
    connection.close()


def test_a_fault_of_its_own_stops_only_itself(
    wasteful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Compactor, "_cut", broken)
        with logged() as events, House(wasteful, roll_octets=ROLL, compaction=FAST) as house:
            house.pump.until(lambda: events)
            assert is_settled(house)
            assert house.contents() == EXPECTED
            house.append("INBOX", b"x")
            house.wait(house.store.expunge(house.box(), ((25, 25),), only_deleted=False))
    check_after(wasteful)
