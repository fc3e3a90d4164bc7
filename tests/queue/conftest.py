"""The desk's fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.house import House
from tests.support.queue_office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with House(tmp_path) as house:
        office = Office(house, runs=True)
        yield office
        assert office.runner is not None
        stopping = house.pump.start(office.runner.stop())
        office.clock.pump([30] * 3)
        house.pump.wait_for(stopping)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Office]:
    """Nobody runs the queue."""
    with House(tmp_path) as house:
        yield Office(house, runs=False)
