"""Compaction while other processes write and delete (SECURITY D1, D6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import committer, compaction
from tests.store.beside import Guest, StopsAt
from tests.store.compacting import (
    FAST,
    OFF,
    ROLL,
    check,
    fill,
    keep_every,
    logged,
    segments,
    settle,
    text,
)
from tests.store.house import House
from tests.support.waiting import eventually


@pytest.fixture
def wasteful(tmp_path: Path) -> Path:
    """A closed store of three segments, each of them mostly dead."""
    with House(tmp_path, roll_octets=ROLL, compaction=OFF) as house:
        fill(house, 24)
        keep_every(house, 4)
    return tmp_path


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "LOOK_S", 0.01)
    monkeypatch.setattr(committer, "LOOK_S", 0.01)


@pytest.mark.usefixtures("looking_often")
def test_D6_one_process_compacts_what_others_have_emptied(tmp_path: Path) -> None:
    with (
        House(tmp_path, roll_octets=ROLL, compaction=FAST),
        Guest(tmp_path, "guest", roll_octets=ROLL, compaction=FAST) as guest,
    ):
        octets = fill(guest, 40)
        before = segments(tmp_path)
        keep_every(guest, 4)
        growing = max(before)
        eventually(lambda: len(before.keys() & segments(tmp_path).keys()) == 1)
        assert growing in segments(tmp_path)  # its own process may still append to it
        guest.append("INBOX", text(99))
        assert guest.contents() == [*octets[3::4], text(99)]
        guest.verify()


def test_who_does_not_care_compacts_nothing_until_it_does(wasteful: Path) -> None:
    before = segments(wasteful)
    with Guest(wasteful, "guest", roll_octets=ROLL, compaction=FAST) as guest:
        guest.append("INBOX", text(99))
        assert before.items() <= segments(wasteful).items()
        guest.wait(guest.store.take_care())
        settle(guest)
        check(guest, [*(text(number) for number in range(3, 24, 4)), text(99)])
        assert not before.keys() & segments(wasteful).keys()


def test_what_others_delete_during_a_step_is_left_out(wasteful: Path) -> None:
    files = StopsAt("fdatasync")
    files.armed = True
    with (
        logged() as events,
        Guest(wasteful, "guest", roll_octets=ROLL, compaction=OFF) as guest,
        House(wasteful, files=files, roll_octets=ROLL, compaction=FAST) as house,
    ):
        house.pump.until(lambda: files.stopped)  # copied, and not yet pointed to
        guest.wait(guest.store.expunge(guest.box(), ((1, 12),), only_deleted=False))
        files.go_on()
        settle(house)
        check(house, [text(number) for number in range(15, 24, 4)])
        assert {event["log_level"].name for event in events} == {"info"}  # nothing had to wait


def test_a_segment_that_others_empty_altogether_during_a_step(wasteful: Path) -> None:
    files = StopsAt("fdatasync")
    files.armed = True
    with (
        logged() as events,
        Guest(wasteful, "guest", roll_octets=ROLL, compaction=OFF) as guest,
        House(wasteful, files=files, roll_octets=ROLL, compaction=FAST) as house,
    ):
        house.pump.until(lambda: files.stopped)
        guest.wait(guest.store.expunge(guest.box(), None, only_deleted=False))
        files.go_on()
        settle(house)
        assert house.verify().blobs == 0
        assert {event["log_level"].name for event in events} <= {"info"}
        house.append("INBOX", text(99))
        assert guest.contents() == [text(99)]
