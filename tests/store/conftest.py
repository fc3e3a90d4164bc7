"""Modules that use the fixture ``processes`` run each test twice: with a store of one process, and
with one that two processes use in turns, as far as that can be seen from inside one.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.beside import InTurns
from tests.store.house import House

ONE, TWO = "one process", "two processes"
# What they look at is the affair of each process by itself.
ABOUT_ONE = frozenset(
    {
        "test_a_full_read_queue_is_refused",
        "test_D5_a_report_is_kept_with_the_results_or_neither",
    }
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "processes" in metafunc.fixturenames:
        kinds = [ONE] if metafunc.function.__name__ in ABOUT_ONE else [ONE, TWO]
        metafunc.parametrize("processes", kinds, indirect=True)


@pytest.fixture
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == TWO:

        def open_store(house: House, **options: Any) -> Any:
            return InTurns(house, options)  # type: ignore[arg-type]

        monkeypatch.setattr(House, "open_store", open_store)
