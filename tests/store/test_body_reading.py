"""A message is read while it has arrived and is not taken yet, small or large."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from tests.store.house import ALICE, LARGE, MESSAGE, House, delivered


@pytest.mark.parametrize("octets", [b"", MESSAGE, LARGE, LARGE * 2], ids=len)
def test_any_part_of_it(tmp_path: Path, octets: bytes) -> None:
    with House(tmp_path) as house:
        body = house.body(octets)
        for offset in (0, 1, 262_143, 262_144, len(octets) - 5, len(octets), len(octets) + 9):
            for length in (0, 1, 300_000):
                if offset >= 0:
                    read = house.wait(body.read(offset, length))
                    assert read == octets[offset : offset + length]
        body.discard()


def test_what_was_read_is_stored_as_it_is(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        message = house.message("1", ALICE, octets=LARGE)
        assert house.wait(message.body.read(0, 100)) == LARGE[:100]
        house.wait(house.store.accept(message))
        assert house.contents() == [delivered(LARGE)]


def test_a_client_that_goes_while_it_is_read_harms_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        body = house.body(LARGE)
        reading = house.pump.start(body.read(0, 100))
        body.discard()
        with contextlib.suppress(StoreUnavailable):
            assert house.pump.wait_for(reading) in (LARGE[:100], b"")
        with pytest.raises(StoreUnavailable):
            house.wait(body.read(0, 1))
