"""Several stores on one state directory, each as a process of its own would have it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gateway.store.compaction import Pace
from gateway.store.files import Files
from gateway.store.holding import Holding
from gateway.store.machinery import COMPACTION, Options
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
        self.store = join(
            self,
            name,
            care=care,
            runs_queue=runs_queue,
            options={
                "reader_threads": 2,
                "files": files,
                "roll_octets": roll_octets,
                "compaction": compaction,
            },
        )


def join(
    house: House, name: str, *, care: bool, options: Options, runs_queue: bool = False
) -> Store:
    """A store with the pump and clock of this house."""
    return Store.join(
        house.state_dir,
        name=name,
        care=care,
        runs_queue=runs_queue,
        call_from_thread=house.pump.call_from_thread,
        wall_clock=lambda: house.now,
        **options,
    )


class InTurns:
    """Two stores on one state directory that tell each other of their commits; each use of this one
    is a use of the other of them."""

    def __init__(self, house: House, options: Options) -> None:
        self._holding = Holding.take(house.state_dir, wall_clock=lambda: house.now)
        try:
            one = join(house, "one", care=True, options=options)
        except BaseException:
            self._holding.close()
            raise
        two = join(house, "two", care=False, options=options)
        one.share(two.heard)
        two.share(one.heard)
        self._stores = (one, two)
        self._turn = 0

    def __getattr__(self, name: str) -> Any:
        self._turn += 1
        return getattr(self._stores[self._turn % 2], name)

    async def close(self) -> None:
        for store in self._stores:
            await store.close()
        self._holding.close()


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
