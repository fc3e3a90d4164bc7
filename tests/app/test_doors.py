"""What the doors are given."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app.doors import smtp_services
from tests.app.test_build import LDAP, settings


@pytest.mark.parametrize("keep_days", [0, 30])
def test_where_nothing_is_recorded_no_door_makes_records(tmp_path: Path, keep_days: int) -> None:
    made = settings(tmp_path, f"{LDAP}[trace]\nkeep_days = {keep_days}")
    trace, anything = object(), SimpleNamespace(octets=None, find=None, portal=None)
    parts: Any = SimpleNamespace(
        settings=made, store=SimpleNamespace(trace=trace), router=anything, logins=anything,
        quota=None, submission=None, policies={}, free_space=anything, directory=anything,
        queue_starter=None, posting=None,
    )  # fmt: skip
    listen = next(each for each in made.listen if each.protocol == "smtp")
    assert smtp_services(parts, listen).trace is (trace if keep_days else None)
