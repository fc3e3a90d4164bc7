"""How many workers there are: as the settings say, or one a processor that may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.processors import worker_count


@pytest.mark.parametrize(
    ("cpu_max", "processors", "expected"),
    [
        (None, 4, 4),
        ("max 100000\n", 4, 4),
        ("200000 100000\n", 32, 2),
        ("150000 100000\n", 32, 2),
        ("1000 100000\n", 32, 1),
        ("400000 100000\n", 2, 2),
        ("nonsense", 2, 2),
        (None, 500, 64),
    ],
)
def test_auto_is_one_a_processor(
    tmp_path: Path, cpu_max: str | None, processors: int, expected: int
) -> None:
    path = tmp_path / "cpu.max"
    if cpu_max is not None:
        path.write_text(cpu_max)
    assert worker_count("auto", processors=lambda: processors, cpu_max=path) == expected


def test_a_number_is_that_number() -> None:
    assert worker_count(7, processors=lambda: 2) == 7
    assert worker_count("auto") >= 1
