"""How often the disk is asked, and what its answers mean."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock

from gateway.app.free_space import PLENTY, FreeSpace


class Disk:
    """A file system that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.blocks = 10
        self.files, self.files_free = 100, 50
        self.broken = False

    def ask(self, _: Path) -> os.statvfs_result:
        self.asked += 1
        if self.broken:
            raise OSError
        free = self.files_free
        return os.statvfs_result((4096, 1024, 99, 20, self.blocks, self.files, free, free, 0, 255))


def test_S15_the_disk_is_asked_once_a_second() -> None:
    clock, disk = Clock(), Disk()
    space = FreeSpace(Path("/"), clock, disk.ask)
    assert [space.octets() for _ in range(3)] == [10_240] * 3 and disk.asked == 1
    disk.blocks = 20
    clock.advance(0.9)
    assert space.octets() == 10_240 and disk.asked == 1
    clock.advance(0.2)
    assert space.octets() == 20_480 and disk.asked == 2


def test_D6_no_inodes_is_no_room_but_for_file_systems_that_do_not_count_them() -> None:
    disk = Disk()
    disk.files_free = 0
    assert FreeSpace(Path("/"), Clock(), disk.ask).octets() == 0
    disk.files = 0
    assert FreeSpace(Path("/"), Clock(), disk.ask).octets() == 10_240


def test_a_disk_that_does_not_answer_is_the_stores_business() -> None:
    disk = Disk()
    disk.broken = True
    assert FreeSpace(Path("/"), Clock(), disk.ask).octets() == PLENTY


def test_the_real_one_answers(tmp_path: Path) -> None:
    assert 0 < FreeSpace(tmp_path, Clock()).octets() < PLENTY
