"""The store stopped after any call it makes, and failing at any call, in a bounded form; the full
form is ``make crash``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.errors import GatewayError
from tests.crash.every_call import MIGRATED, MIGRATION, Recording, recorded, stop_everywhere
from tests.crash.failing_calls import fail_each

# Each starts programs under strace and opens a store hundreds of times.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded()


def test_D1_D3_D9_a_stop_after_any_call_loses_nothing(recording: Recording, tmp_path: Path) -> None:
    tally = stop_everywhere(recording, tmp_path, every=13)
    assert tally.kills >= 50
    assert tally.messages > 500


@pytest.mark.parametrize("version", MIGRATED)
def test_a_migration_stopped_after_any_call_is_done_at_the_next_start(
    tmp_path: Path, version: str
) -> None:
    tally = stop_everywhere(recorded(MIGRATION, [version]), tmp_path, every=3, from_line=1)
    assert tally.kills >= 20


def test_the_check_sees_what_a_disk_loses_that_lies_about_syncs(
    recording: Recording, tmp_path: Path
) -> None:
    lying = replace(
        recording,
        events=[one for one in recording.events if (one.kind, one.path[-4:]) != ("sync", "-wal")],
    )
    with pytest.raises((AssertionError, GatewayError)):
        stop_everywhere(lying, tmp_path, every=9)


def test_D3_D6_a_call_that_fails_is_a_temporary_error_and_changes_nothing() -> None:
    failed, refused = fail_each(every=200)
    assert failed >= 8
    assert refused >= 3
