"""The bounded form of the power cuts of ``make crash`` (SECURITY D1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.power_cut import need_mounts, power_cuts


@pytest.mark.timeout(600)
def test_D1_a_power_cut_loses_nothing_acknowledged(tmp_path: Path) -> None:
    need_mounts()
    tally = power_cuts(tmp_path, cuts=3, messages=1500, seed=20261121, workers=2)
    assert tally.cuts == 3
