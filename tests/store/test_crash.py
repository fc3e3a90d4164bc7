"""Nothing acknowledged is ever lost, whichever file call fails or is the last (SECURITY D1, D3)."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import StoreFull, StoreUnavailable
from gateway.core.messages import AppendMessage
from tests.store.faults import Counting, FailingAt, KilledAt
from tests.store.house import ALICE, LARGE, MESSAGE, NOW, House, delivered

SIZES = {"small": MESSAGE, "large": LARGE}
LONGEST = 40  # more file calls than any operation makes


def begin(house: House, how: str, octets: bytes, number: int) -> Deferred[object]:
    """Start an accept or an append of one message."""
    if how == "accept":
        return house.pump.start(
            house.store.accept(house.message(f"i{number}", ALICE, octets=octets))
        )
    message = AppendMessage(house.body(octets), frozenset(), NOW)
    return house.pump.start(house.store.append(ALICE, "INBOX", [message]))


def stored_as(how: str, octets: bytes) -> bytes:
    return delivered(octets) if how == "accept" else octets


def check_after(state_dir: Path, expected: bytes, *, acknowledged: bool, last_uid: int) -> None:
    """Reopen: present if acknowledged, whole or absent otherwise, sound, no UID given twice."""
    with House(state_dir) as house:
        house.verify()
        first, *rest = house.contents()
        assert first == delivered()
        assert all(octets == expected for octets in rest)
        assert len(rest) <= 1
        assert rest or not acknowledged
        house.deliver("afterwards", ALICE)
        assert house.uids()[-1] > last_uid
        assert house.contents()[-1] == delivered()
        house.verify()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["accept", "append"])
def test_D3_every_failing_call_is_a_temporary_error_and_loses_nothing(
    how: str, size: str, tmp_path: Path
) -> None:
    octets = SIZES[size]
    names = []
    for number in range(1, LONGEST):
        state_dir = tmp_path / str(number)
        files = FailingAt(number, errno.EIO)
        with House(state_dir, files=files) as house:
            house.deliver("before", ALICE)
            files.counting = True
            acknowledged = True
            try:
                house.pump.wait_for(begin(house, how, octets, number))
            except StoreUnavailable:
                acknowledged = False
            files.counting = False
            if not acknowledged:
                # The store goes on by itself; the failed file is not used again.
                house.deliver("next", ALICE)
                assert house.contents() == [delivered(), delivered()]
                house.verify()
            uids = house.uids()
        if not files.failed:
            break
        names += files.failed
        if acknowledged:
            check_after(state_dir, stored_as(how, octets), acknowledged=True, last_uid=uids[-1])
        leftovers = list((state_dir / "store" / "incoming").iterdir())
        assert leftovers == []
    else:
        pytest.fail("the operation makes more file calls than expected")
    assert {"write", "fdatasync"} <= set(names)
    if size == "large":
        assert {"create", "rename", "sync_directory"} <= set(names)


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["accept", "append"])
def test_D3_stopping_before_every_call_leaves_a_sound_store(
    how: str, size: str, power_cut: bool, tmp_path: Path
) -> None:
    octets = SIZES[size]
    for number in range(1, LONGEST):
        live, copy = tmp_path / f"live{number}", tmp_path / f"copy{number}"
        files = KilledAt(live, copy, number, power_cut=power_cut)
        with House(live, files=files) as house:
            house.deliver("before", ALICE)
            files.counting = True
            house.pump.wait_for(begin(house, how, octets, number))
            files.counting = False
            if not files.reached:  # all calls are through: stop right after the answer
                files.take_copy()
        check_after(copy, stored_as(how, octets), acknowledged=not files.reached, last_uid=1)
        if not files.reached:
            return
    pytest.fail("the operation makes more file calls than expected")


def test_D6_a_full_disk_is_temporary_and_what_was_written_is_given_back(tmp_path: Path) -> None:
    for octets in SIZES.values():
        with tempfile.TemporaryDirectory(dir=tmp_path) as directory:
            files = FailingAt(1, errno.ENOSPC, forever=True)
            with House(Path(directory) / "state", files=files) as house:
                house.deliver("before", ALICE)
                files.counting = True
                with pytest.raises(StoreFull):
                    house.deliver("full", ALICE, octets=octets)
                files.counting = False
                assert house.contents() == [delivered()]
                house.deliver("space again", ALICE, octets=octets)
                assert house.contents() == [delivered(), delivered(octets)]
                house.verify()


def test_D3_a_segment_whose_sync_failed_is_abandoned(tmp_path: Path) -> None:
    files = FailingAt(2, errno.EIO)  # the write, then the fdatasync
    with House(tmp_path / "s", files=files) as house:
        house.deliver("1", ALICE)
        files.counting = True
        with pytest.raises(StoreUnavailable):
            house.deliver("2", ALICE)
        assert files.failed == ["fdatasync"]
        house.deliver("3", ALICE)
        segments = sorted(path.name for path in (tmp_path / "s/store/segments").iterdir())
        assert segments == ["0000000001.seg", "0000000002.seg"]
        assert house.uids() == [1, 2]
        assert house.contents() == [delivered(), delivered()]


def test_counting_layer_sees_the_calls_of_a_delivery(tmp_path: Path) -> None:
    files = Counting()
    with House(tmp_path / "s", files=files) as house:
        house.deliver("1", ALICE)
        files.calls.clear()
        house.deliver("2", ALICE)
        assert files.calls == {"write": 1, "fdatasync": 1}
