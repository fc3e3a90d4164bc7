"""Marks that several processes share: they end by themselves, and nothing grows."""

from __future__ import annotations

import subprocess
import sys
from array import array
from pathlib import Path

from gateway.core.shared_marks import MAX_NUMBER, PLACES, WORDS, SharedMarks

KEY = b"k" * 16


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.table = array("Q", bytes(8 * WORDS))

    def marks(self, key: bytes = KEY) -> SharedMarks:
        return SharedMarks(self.table, key, lambda: self.now)


def test_a_mark_is_there_for_its_time_and_for_everybody() -> None:
    world = World()
    one, two = world.marks(), world.marks()
    assert one.get(b"alice") == 0
    one.put(b"alice", 7, 60.0)
    assert two.get(b"alice") == 7 and two.get(b"bob") == 0
    world.now += 59.9
    assert two.get(b"alice") == 7
    world.now += 0.2
    assert one.get(b"alice") == 0 and two.get(b"alice") == 0


def test_a_mark_takes_the_place_of_the_one_before_it() -> None:
    world = World()
    marks = world.marks()
    marks.put(b"alice", 1, 60.0)
    marks.put(b"alice", MAX_NUMBER, 10.0)
    assert marks.get(b"alice") == MAX_NUMBER
    world.now += 11
    assert marks.get(b"alice") == 0
    marks.put(b"alice", 1, 60.0)
    marks.forget(b"alice")
    marks.forget(b"alice")
    assert marks.get(b"alice") == 0 and not any(world.table)


def test_without_the_key_nobody_finds_anything() -> None:
    world = World()
    world.marks().put(b"alice", 1, 60.0)
    assert world.marks(b"x" * 16).get(b"alice") == 0


def test_what_two_wrote_at_once_is_no_mark() -> None:
    world = World()
    marks = world.marks()
    marks.put(b"alice", 1, 60.0)
    (at,) = (at for at in range(0, WORDS, 2) if world.table[at + 1])
    other = World()
    other.now += 5
    other.marks(b"x" * 16).put(b"bob", 3, 600.0)
    world.table[at + 1] = next(word for word in other.table[1::2] if word)
    assert marks.get(b"alice") == 0
    world.table[at + 1] = 0
    assert marks.get(b"alice") == 0


def test_in_a_full_table_large_numbers_stay_longest() -> None:
    world = World()
    marks = world.marks()
    marks.put(b"alice", 4, 60.0)
    for number in range(2 * PLACES):
        marks.put(b"%d" % number, 1, 600.0)
    assert marks.get(b"alice") == 4
    assert len(world.table) == WORDS
    assert sum(map(bool, world.table[1::2])) > 0.95 * PLACES, "full"


def test_another_process_sees_them(tmp_path: Path) -> None:
    """Over a memory map, as workers have it; the clock is the machine's."""
    file = tmp_path / "marks"
    file.write_bytes(bytes(8 * WORDS))
    code = f"""if True:
        import mmap, time
        from gateway.core.shared_marks import SharedMarks
        with open({str(file)!r}, "r+b") as file:
            table = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
        marks = SharedMarks(table, {KEY!r}, time.monotonic)
        print(marks.get(b"alice"))
        marks.put(b"alice", marks.get(b"alice") + 1, 60.0)"""
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert said == [b"0\n", b"1\n"]
