"""Turns: one writer at a time, in the order of asking, and never for ever (SECURITY P5)."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import StoreUnavailable
from gateway.store.files import OsFiles
from gateway.store.layout import Layout
from gateway.store.turn import Turn
from tests.store.house import ALICE, LARGE, House, delivered
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
HOLDER = """
import pathlib, sys
from gateway.store.layout import Layout
from gateway.store.turn import Turn
turn = Turn(Layout(pathlib.Path(sys.argv[1])))
turn.take()
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.prepare(OsFiles())
    return layout


def is_locked(path: Path) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def takes_soon(turn: Turn, name: str, order: list[str]) -> threading.Thread:
    """Takes the turn in a thread, notes it, and gives it back."""

    def run() -> None:
        turn.take()
        order.append(name)
        turn.give_back()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@contextmanager
def holder(layout: Layout) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the turn."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, layout.state_dir],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"taken\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_who_has_just_written_does_not_overtake_who_waits(layout: Layout) -> None:
    first, second = Turn(layout), Turn(layout)
    order: list[str] = []
    for _ in range(20):
        first.take()
        waiting = takes_soon(second, "second", order)
        eventually(lambda: is_locked(layout.turn_next), every_s=0.001)
        first.give_back()
        first.take()
        order.append("first")
        first.give_back()
        waiting.join()
    assert order == ["second", "first"] * 20
    first.close()
    second.close()


def test_a_killed_process_gives_its_turn_back(layout: Layout) -> None:
    turn = Turn(layout)
    order: list[str] = []
    with holder(layout) as process:
        waiting = takes_soon(turn, "we", order)
        eventually(lambda: is_locked(layout.turn_next), every_s=0.001)
        assert order == []
        process.kill()
        waiting.join(30)
    assert order == ["we"]
    turn.close()


def test_at_start_a_stopped_process_is_waited_for_only_so_long(layout: Layout) -> None:
    turn = Turn(layout, deadline_s=0.1)
    with holder(layout) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match="another process holds up"):
            turn.take()
        process.send_signal(signal.SIGCONT)
    eventually(lambda: not is_locked(layout.turn_write))  # come after all, and handed back
    turn.take()
    turn.give_back()
    turn.close()


def test_P5_a_stopped_process_makes_writing_a_temporary_error(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("before", ALICE)
        committer = house.store._committer
        committer._turn._deadline_s = 0.1
        with holder(house.layout) as process:
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(StoreUnavailable):
                house.deliver("in hand", ALICE, octets=LARGE)
            with pytest.raises(StoreUnavailable):
                house.deliver("refused at once", ALICE)
            assert house.contents() == [delivered()]  # reading goes on
            assert house.wait(house.store.rows(house.box(), ((1, 1),)))
        eventually(lambda: not committer._turn.given_up)
        house.deliver("after", ALICE)
        assert house.contents() == [delivered(), delivered()]
        assert list((tmp_path / "store/large").iterdir()) == []
        house.verify()


def test_P5_what_waits_behind_a_batch_held_up_is_refused_with_it(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("before", ALICE)
        committer = house.store._committer
        committer._turn._deadline_s = 0.3
        with holder(house.layout):
            first = house.start("in hand", ALICE)
            house.pump.until(lambda: is_locked(house.layout.turn_next))
            behind = [house.start(f"behind {number}", ALICE) for number in range(5)]
            for one in (first, *behind):
                with pytest.raises(StoreUnavailable):
                    house.pump.wait_for(one)
        eventually(lambda: not committer._turn.given_up)
        assert house.uids() == [1]
        house.verify()


def test_closing_does_not_wait_for_a_turn_that_does_not_come(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.deliver("before", ALICE)
    house.store._committer._turn._deadline_s = 0.1
    with holder(house.layout):
        with pytest.raises(StoreUnavailable):
            house.deliver("held up", ALICE)
        house.wait(house.store.close())
    with House(tmp_path) as again:
        assert again.uids() == [1]
        again.verify()


def test_what_was_refused_is_not_done_when_the_turn_comes_after_all(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.deliver("before", ALICE)
        inbox = house.box()
    with House(tmp_path) as house:  # its first message needs a segment, whose id needs a turn
        turn = house.store._committer._turn
        turn._deadline_s = 0.2
        with holder(house.layout):
            expunge = house.store.expunge(inbox, None, only_deleted=False)
            refused: tuple[Deferred[Any], ...] = (
                house.start("1", ALICE, octets=LARGE),
                house.start("2", ALICE),
                house.pump.start(expunge),
            )
            for one in refused:
                with pytest.raises(StoreUnavailable):
                    house.pump.wait_for(one)
        eventually(lambda: not turn.given_up)
        house.deliver("after", ALICE)
        assert house.contents() == [delivered(), delivered()]
        assert list((tmp_path / "store/large").iterdir()) == []
        house.verify()
