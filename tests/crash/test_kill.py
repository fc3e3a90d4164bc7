"""The bounded form of ``make crash`` (SECURITY D1, D11)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.kill_loop import kill_loop
from tests.crash.queue_kills import queue_kills


@pytest.mark.timeout(600)
def test_D1_D11_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    kill_loop(tmp_path / "d", rounds=2, messages=1000, seed=20261121)


@pytest.mark.timeout(600)
def test_D1_D11_kill_9_of_one_worker_or_all_loses_nothing_acknowledged(tmp_path: Path) -> None:
    kill_loop(tmp_path / "d", rounds=2, messages=600, seed=20261122, workers=3)


@pytest.mark.timeout(600)
def test_D4_D5_kill_9_of_the_queue_loses_nobody_and_repeats_only_what_was_not_answered(
    tmp_path: Path,
) -> None:
    queue_kills(tmp_path / "d", rounds=2, messages=200, seed=20261123, workers=3)
