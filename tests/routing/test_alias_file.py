"""The file of aliases in use: read again when it changes, kept when it is broken."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from twisted.internet.defer import Deferred, maybeDeferred

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, SettingsError
from gateway.routing.alias_file import LOOK_S, AliasFile
from tests.support.pump import Pump

T = TypeVar("T")
DOMAINS = ("example.com",)
FIXED = {"fixed@example.com": (Address("bob", "example.com"),)}


class Place:
    """A file of aliases, its clock, and a thread that is none."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "aliases"
        self.now = 1000.0
        self.looks = 0
        self.busy = False
        self.write("info: a\n")
        self.file = AliasFile(
            self.path,
            FIXED,
            DOMAINS,
            in_thread=self.in_thread,
            monotonic=lambda: self.now,
            wall_clock=lambda: self.now,
        )

    def write(self, text: str, age_s: float = 10.0) -> None:
        self.path.write_text(text)
        os.utime(self.path, (self.now - age_s, self.now - age_s))

    def in_thread(self, work: Callable[[], T]) -> Deferred[T]:
        self.looks += 1
        if self.busy:
            raise DirectoryUnavailable(reason="too many requests are waiting")
        return maybeDeferred(work)

    def targets(self, name: str) -> list[str]:
        """As the router asks."""
        if self.file.due:
            Pump().wait(self.file.look())
        address = Address(name, "example.com")
        return [each.local_part for each in self.file.table.targets(address, here=True)]

    def later(self, name: str) -> list[str]:
        self.now += LOOK_S
        return self.targets(name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_is_read_again_when_it_has_changed(place: Place) -> None:
    assert place.targets("info") == ["a"]
    place.write("info: a, b\nnew: c\n")
    assert place.targets("new") == []  # within the second
    assert place.later("new") == ["c"]
    assert place.targets("info") == ["a", "b"]
    assert place.targets("fixed") == ["bob"]


def test_it_is_looked_at_once_a_second_and_read_only_when_it_changed(place: Place) -> None:
    for _ in range(5):
        place.targets("info")
    assert place.looks == 0
    table = place.file.table
    place.later("info")
    assert place.looks == 1
    assert place.file.table is table


def test_a_file_that_is_just_being_written_has_to_wait(place: Place) -> None:
    place.now += 100
    place.write("new: c\n", age_s=0.2)
    assert place.later("new") == ["c"]
    place.now += 100
    place.write("new: c\nnewer: d\n", age_s=-0.8)  # written to within the second of the look
    assert place.later("newer") == []
    assert place.targets("info") == []
    assert place.later("newer") == ["d"]


def test_a_broken_file_leaves_the_aliases_before_it(place: Place, logged: list[str]) -> None:
    place.write("info: |program\n")
    assert place.later("info") == ["a"]
    assert place.later("info") == ["a"]
    told = [text for text in logged if "cannot be used" in text]
    assert len(told) == 1
    assert "line 1" in told[0]
    place.write("info: z\n")
    assert place.later("info") == ["z"]


def test_a_file_that_is_gone_leaves_the_aliases_before_it(place: Place, logged: list[str]) -> None:
    place.path.unlink()
    assert place.later("info") == ["a"]
    assert place.later("info") == ["a"]
    assert len([text for text in logged if "cannot be used" in text]) == 1
    place.write("info: a\n")
    assert place.later("info") == ["a"]


def test_a_busy_thread_leaves_the_aliases_before_it(place: Place) -> None:
    place.write("info: z\n")
    place.busy = True
    assert place.later("info") == ["a"]
    place.busy = False
    assert place.later("info") == ["z"]


@pytest.mark.parametrize("content", [b"info\n", b"info: \xff\xfe\n", None])
def test_a_file_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "aliases"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        AliasFile(path, {}, DOMAINS, in_thread=maybeDeferred)
    assert str(path) in str(refusal.value)
