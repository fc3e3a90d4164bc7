"""Several stores on one state directory, each as a process of its own would have it."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.store.compaction import Pace
from gateway.store.files import Files
from gateway.store.holding import Holding
from gateway.store.machinery import COMPACTION
from gateway.store.segments import ROLL_OCTETS
from gateway.store.store import Store
from tests.store.faults import Counting
from tests.store.house import NOW, House


class Guest(House):
    """A store that joined; somebody else holds it."""

    def __init__(
        self,
        state_dir: Path,
        name: str,
        *,
        care: bool = False,
        runs_queue: bool = False,
        files: Files | None = None,
        roll_octets: int = ROLL_OCTETS,
        compaction: Pace = COMPACTION,
    ) -> None:
        self.prepare(state_dir)
        self.store = Store.join(
            state_dir,
            name=name,
            care=care,
            runs_queue=runs_queue,
            call_from_thread=self.pump.call_from_thread,
            wall_clock=lambda: self.now,
            reader_threads=2,
            files=files,
            roll_octets=roll_octets,
            compaction=compaction,
        )


def hold(state_dir: Path, now: int = NOW) -> Holding:
    return Holding.take(state_dir, wall_clock=lambda: now)


class StopsAt(Counting):
    """Stops the thread that makes the first call of this name once ``armed``, until ``go_on``."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.armed = False
        self.stopped = False
        self.read_end, self.write_end = os.pipe()

    def step(self, name: str) -> None:
        super().step(name)
        if self.armed and name == self.name:
            self.armed = False
            self.stopped = True
            os.read(self.read_end, 1)

    def go_on(self) -> None:
        os.write(self.write_end, b"x")
