"""Large messages on a full disk: their files come before the committer, and the vault gives way."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.core.errors import StoreFull
from gateway.store.files import OsFiles
from tests.store.house import ALICE, LARGE, MESSAGE, House
from tests.store.test_committer import FullIndex
from tests.store.test_vault import KEEP_S, deleted, expunge


class Disk(OsFiles):
    """Has room for so many octets in large messages' files."""

    def __init__(self, state_dir: Path) -> None:
        self.places = [state_dir / "store" / name for name in ("large", "incoming")]
        self.octets = 1 << 60
        self.fails_sync = False

    def write(self, fd: int, data: bytes | memoryview) -> int:
        name = os.readlink(f"/proc/self/fd/{fd}")
        if "/incoming/" in name and self.used() + len(data) > self.octets:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)

    def fdatasync(self, fd: int) -> None:
        if self.fails_sync and "/incoming/" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().fdatasync(fd)

    def used(self) -> int:
        used = 0
        for file in (file for place in self.places for file in place.iterdir()):
            with suppress(FileNotFoundError):  # the store has just removed or moved it
                used += file.stat().st_size
        return used


@pytest.mark.parametrize("at_sync", [False, True])
def test_D6_the_vault_gives_way_to_a_large_message(tmp_path: Path, at_sync: bool) -> None:
    disk = Disk(tmp_path)
    with House(tmp_path, files=disk, keep_deleted_s=KEEP_S) as house:
        house.append("INBOX", LARGE)
        expunge(house)
        if at_sync:
            disk.fails_sync = True
        else:
            disk.octets = len(LARGE) + 1000
        with pytest.raises(StoreFull):
            house.deliver("refused", ALICE, octets=LARGE)
        house.pump.until(lambda: not disk.used())
        assert deleted(house) == []
        disk.fails_sync = False
        house.deliver("the sender comes again", ALICE, octets=LARGE)
        assert house.uids() == [2]
        house.verify()


def test_D6_a_process_that_only_deletes_keeps_it_again_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with House(tmp_path, keep_deleted_s=KEEP_S) as house:
        house.append("INBOX", MESSAGE)
        house.append("Sent", MESSAGE)
        disk = FullIndex(house, monkeypatch)
        expunge(house)
        assert deleted(house) == []
        disk.full = False
        expunge(house, "Sent")
        assert [message.mailbox_name for message in deleted(house)] == ["Sent"]
        house.verify()


def test_D7_housekeeping_goes_on_after_the_clock_was_a_year_ahead(tmp_path: Path) -> None:
    with House(tmp_path, keep_deleted_s=KEEP_S) as house:
        house.now += 365 * 86_400
        house.deliver("in the future", ALICE)
        house.now -= 365 * 86_400
        expunge(house)
        for hours in (1, KEEP_S // 3600 + 1):
            house.now += hours * 3600
            house.deliver(str(hours), ALICE, octets=MESSAGE)
        assert house.verify().blobs == 2
