"""The picture in memory, which other tests use, is as the one on disk where refreshing looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.ports.picture import (
    EntryKind,
    KeyKind,
    PicturedEntry,
    SourceState,
    WritesPicture,
)
from gateway.store.picture.file import PictureFile
from tests.support.picture_memory import MemoryPicture
from tests.support.reactor_pump import ReactorPump


@pytest.fixture(params=["memory", "file"])
def picture(
    request: pytest.FixtureRequest, tmp_path: Path, pump: ReactorPump
) -> Iterator[WritesPicture]:
    if request.param == "memory":
        yield MemoryPicture()
        return
    path = tmp_path / "directory.sqlite"
    made = PictureFile.open_writing(path, call_from_thread=pump.call_from_thread)
    yield made
    pump.wait(made.close())


def entry(name: str, kind: EntryKind = EntryKind.PERSON, address: str = "") -> PicturedEntry:
    keys = ((KeyKind.ADDRESS, address or f"{name}@example.test"),)
    return PicturedEntry("main", name, kind, b"brief", b"whole", keys)


def test_a_listing_tells_whom_it_has_not_seen(picture: WritesPicture, pump: ReactorPump) -> None:
    group = entry("g", EntryKind.GROUP)
    pump.wait(picture.put([entry("a"), entry("b"), entry("c"), group]))
    number = pump.wait(picture.new_listing("main"))
    pump.wait(picture.saw("main", ["a", "unknown"], listing=number))
    pump.wait(picture.put([entry("new")], listing=number))
    pump.wait(picture.put([entry("meanwhile")]))
    unseen = pump.wait(picture.unseen("main", number, 10))
    assert {each.entry_id for each in unseen} == {"b", "c", "g"}
    assert pump.wait(picture.count_unseen("main", number)) == (2, 1)
    assert len(pump.wait(picture.unseen("main", number, 1))) == 1
    pump.wait(picture.remove("main", ["b", "g", "unknown"]))
    assert pump.wait(picture.count_unseen("main", number)) == (1, 0)
    assert (picture.state("main").people, picture.state("main").groups) == (4, 0)
    assert pump.wait(picture.new_listing("main")) > number
    assert pump.wait(picture.count_unseen("other", number)) == (0, 0)


def test_pages_go_on_behind_an_id(picture: WritesPicture, pump: ReactorPump) -> None:
    pump.wait(picture.put([entry(name) for name in "cab"] + [entry("g", EntryKind.GROUP)]))
    first = picture.page("main", EntryKind.PERSON, "", 2)
    assert [each.entry_id for each in first] == ["a", "b"]
    assert [each.entry_id for each in picture.page("main", EntryKind.PERSON, "b", 2)] == ["c"]
    assert not picture.page("other", EntryKind.PERSON, "", 2)


def test_what_several_have_is_told(picture: WritesPicture, pump: ReactorPump) -> None:
    pump.wait(picture.put([entry("a"), entry("b", address="a@example.test"), entry("c")]))
    (shared,) = pump.wait(picture.shared(KeyKind.ADDRESS, 10))
    assert shared.key == "a@example.test"
    assert set(shared.entry_ids) == {("main", "a"), ("main", "b")}
    assert not pump.wait(picture.shared(KeyKind.LOGIN, 10))


def test_what_is_noted_is_read(picture: WritesPicture, pump: ReactorPump) -> None:
    assert picture.state("main") == SourceState()
    pump.wait(picture.put([entry("a")]))
    pump.wait(picture.note("main", SourceState("cursor", 7, 8, people=99, stopped="why")))
    state = picture.state("main")
    assert (state.cursor, state.listed_at, state.refreshed_at) == ("cursor", 7, 8)
    assert (state.people, state.stopped) == (1, "why")
    kept = picture.entry("main", "a")
    assert kept is not None and kept.whole == b"whole"
    assert picture.entry("other", "a") is None
