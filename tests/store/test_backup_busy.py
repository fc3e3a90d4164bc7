"""A backup while mail arrives, is deleted and compacted holds all that was there when it began."""

from __future__ import annotations

import threading
from pathlib import Path

from gateway.core.ports.progress import silent
from gateway.store.backup import BackedUp
from gateway.store.layout import Layout
from gateway.store.pins import Pin
from gateway.store.restore import restore
from gateway.store.verify import verify
from tests.store.compacting import FAST, ROLL, fill, keep_every, segments, settle, text
from tests.store.house import ALICE, LARGE, NOW, House
from tests.store.test_backup import take
from tests.support.waiting import eventually

DEADLINE_S = 30


class Background:
    """A backup in a thread of its own, which waits with its snapshot until it may copy."""

    def __init__(self, state_dir: Path, target: Path) -> None:
        self.has_snapshot = threading.Event()
        self.may_copy = threading.Event()
        self.done: BackedUp | None = None
        self.error: BaseException | None = None
        self._arguments = (state_dir, target)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> BackedUp:
        self.may_copy.set()
        self._thread.join(DEADLINE_S)
        assert self.error is None, self.error
        assert self.done is not None
        return self.done

    def _run(self) -> None:
        try:
            self.done = take(*self._arguments, self._progress)
        except BaseException as error:
            self.error = error
        finally:
            self.has_snapshot.set()

    def _progress(self, what: str, done: int, total: int, unit: str = "") -> None:
        if what == "copying messages":
            self.has_snapshot.set()
            assert self.may_copy.wait(DEADLINE_S)


def test_each_backup_holds_what_was_acknowledged_before_it(tmp_path: Path) -> None:
    state, target = tmp_path / "state", tmp_path / "backup"
    with House(state, roll_octets=ROLL, compaction=FAST) as house:
        number = 0
        for round_number in range(3):
            for _ in range(25):
                house.append("INBOX", text(number), *([LARGE] if number % 20 == 0 else []))
                number += 1
            expected = house.contents(ALICE)
            backup = Background(state, target)
            assert backup.has_snapshot.wait(DEADLINE_S)
            # All but a few go, and their segments would, and more mail arrives.
            keep_every(house, 10)
            for _ in range(10):
                house.append("INBOX", text(number))
                number += 1
            assert backup.finish().damaged == ()
            place = tmp_path / f"restored-{round_number}"
            done = restore(target, place, wall_clock=lambda: float(NOW), progress=silent)
            assert done.report is not None
            assert done.report.sound, done.report.problems
            with House(place) as restored:
                assert restored.contents(ALICE) == expected
        settle(house)
        house.verify()


def test_nothing_is_cut_or_removed_under_a_pin_and_all_of_it_afterwards(tmp_path: Path) -> None:
    with House(tmp_path, roll_octets=ROLL, compaction=FAST) as house:
        fill(house, 30)
        house.append("Sent", LARGE)
        settle(house)
        before = segments(tmp_path)
        with Pin(Layout(tmp_path)), Pin(Layout(tmp_path)):
            keep_every(house, 10)
            house.wait(house.store.expunge(house.box(name="Sent"), None, only_deleted=False))
            house.append("INBOX", b"one more")
            now = segments(tmp_path)
            assert all(now[name] >= size for name, size in before.items())
            assert len(list((tmp_path / "store/large").iterdir())) == 1
        house.append("INBOX", b"and one more")
        # Removed behind the promise, by the thread that made it.
        eventually(lambda: not list((tmp_path / "store/large").iterdir()))
        settle(house)
        assert sum(segments(tmp_path).values()) < 2 * ROLL
        house.verify()


def test_a_start_under_a_pin_removes_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.append("INBOX", b"one")
    (left,) = (tmp_path / "store/segments").iterdir()
    dead = left.with_name("0000000099.seg")
    dead.write_bytes(b"what a snapshot may still point to")
    with Pin(Layout(tmp_path)):
        with House(tmp_path):
            assert dead.exists()
        assert dead.exists()
    with House(tmp_path):
        assert not dead.exists()
    assert verify(tmp_path).sound
