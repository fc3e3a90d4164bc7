"""The picture of a directory on disk: what is put is found, counted, listed and forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.picture import EntryKind, KeyKind, PicturedEntry, SourceState
from gateway.store.picture import changes
from gateway.store.picture.file import PictureFile
from gateway.store.picture.writing import PictureWriter
from tests.support.pump import Pump

Key = tuple[KeyKind, str]


def person(number: int, *keys: Key, source: str = "", brief: bytes = b"brief") -> PicturedEntry:
    own = (
        (KeyKind.ADDRESS, f"p{number}@example.test"),
        (KeyKind.DN, f"uid=p{number},dc=test"),
    )
    entry_id = f"id-{number}"
    return PicturedEntry(source, entry_id, EntryKind.PERSON, brief, b"whole", (*own, *keys))


def group(name: str, *members: int, brief: bytes = b"group") -> PicturedEntry:
    keys = tuple((KeyKind.MEMBER, f"uid=p{number},dc=test") for number in members)
    address = (KeyKind.ADDRESS, f"{name}@example.test")
    return PicturedEntry("", name, EntryKind.GROUP, brief, b"whole group", (address, *keys))


@pytest.fixture
def pump() -> Pump:
    return Pump()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "directory.sqlite"


@pytest.fixture
def writer(path: Path, pump: Pump) -> Iterator[PictureWriter]:
    writer = PictureFile.open_writing(path, call_from_thread=pump.call_from_thread)
    yield writer
    pump.wait(writer.close())


def ids(found: object) -> list[str]:
    assert isinstance(found, list)
    return [each.entry_id for each in found]


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count


def test_what_is_put_is_found_by_each_of_its_keys(writer: PictureWriter, pump: Pump) -> None:
    alias = (KeyKind.ADDRESS, "alias@example.test")
    pump.wait(writer.put([person(1, alias, (KeyKind.LOGIN, "p1")), person(2), group("g", 1, 2)]))
    (found,) = writer.find(KeyKind.ADDRESS, ["alias@example.test"])
    assert found == PicturedEntry("", "id-1", EntryKind.PERSON, b"brief")
    assert ids(writer.find(KeyKind.LOGIN, ["p1"])) == ["id-1"]
    assert ids(writer.find(KeyKind.MEMBER, ["uid=p2,dc=test"])) == ["g"]
    # Of another kind, or spelt otherwise: keys are compared octet for octet.
    for kind, key in (
        (KeyKind.LOGIN, "alias@example.test"),
        (KeyKind.ADDRESS, "ALIAS@example.test"),
    ):
        assert not writer.find(kind, [key])
    (whole,) = writer.wholes(KeyKind.DN, ["uid=p1,dc=test"])
    assert (whole.whole, whole.keys) == (b"whole", ())
    assert writer.entry("", "g") == PicturedEntry(
        "", "g", EntryKind.GROUP, b"group", b"whole group"
    )
    assert writer.entry("", "nobody") is None
    assert writer.entry("other", "g") is None


def test_each_is_found_once_however_many_keys_it_has(writer: PictureWriter, pump: Pump) -> None:
    pump.wait(writer.put([person(1, (KeyKind.ADDRESS, "x@test")), person(2)]))
    asked = ["x@test", "p1@example.test", "x@test", "p2@example.test", "nobody@test"]
    assert ids(writer.find(KeyKind.ADDRESS, asked)) == ["id-1", "id-2"]
    assert ids(writer.wholes(KeyKind.ADDRESS, asked)) == ["id-1", "id-2"]
    assert writer.find(KeyKind.ADDRESS, []) == []


def test_all_who_share_a_key_are_found_and_told_of(writer: PictureWriter, pump: Pump) -> None:
    shared = (KeyKind.ADDRESS, "both@test")
    pump.wait(writer.put([person(1, shared), person(2, shared), person(3, shared, source="b")]))
    found = writer.find(KeyKind.ADDRESS, ["both@test"])
    assert [(each.source, each.entry_id) for each in found] == [
        ("", "id-1"),
        ("", "id-2"),
        ("b", "id-3"),
    ]
    assert len(writer.find(KeyKind.ADDRESS, ["both@test"], 2)) == 2
    told = pump.wait(writer.shared(KeyKind.ADDRESS, 10))
    assert [(each.key, each.entry_ids) for each in told] == [
        ("both@test", (("", "id-1"), ("", "id-2"), ("b", "id-3")))
    ]
    assert pump.wait(writer.shared(KeyKind.LOGIN, 10)) == []
    assert pump.wait(writer.sources()) == ["", "b"]


def test_a_change_takes_old_keys_away(writer: PictureWriter, pump: Pump, path: Path) -> None:
    pump.wait(writer.put([person(1, (KeyKind.ADDRESS, "old@test")), group("g", 1, 2, 3)]))
    pump.wait(writer.put([person(1, (KeyKind.ADDRESS, "new@test"), brief=b"changed")]))
    pump.wait(writer.put([group("g", 3, 4)]))
    assert writer.find(KeyKind.ADDRESS, ["old@test"]) == []
    assert writer.find(KeyKind.ADDRESS, ["new@test"])[0].brief == b"changed"
    members = {n: ids(writer.find(KeyKind.MEMBER, [f"uid=p{n},dc=test"])) for n in range(1, 5)}
    assert members == {1: [], 2: [], 3: ["g"], 4: ["g"]}
    pump.wait(writer.remove("", ["id-1", "g", "nobody"]))
    # Nothing of them is left, not even the names that only they had.
    tables = ("entries", "wholes", "listed", "names", "keys")
    assert [rows(path, table) for table in tables] == [0, 0, 0, 0, 0]


def test_people_and_groups_are_counted_and_changes_have_numbers(
    writer: PictureWriter, pump: Pump
) -> None:
    pump.wait(writer.put([person(1), person(2), group("g", 1)]))
    state = writer.state("")
    assert (state.people, state.groups) == (2, 1)
    pump.wait(writer.put([person(1), group("g", 1)]))
    assert writer.state("") == state  # nothing has changed
    pump.wait(writer.put([person(1, brief=b"new")]))
    pump.wait(writer.remove("", ["id-2"]))
    later = writer.state("")
    assert (later.people, later.groups) == (1, 1)
    assert later.version == state.version + 2
    # What was a person is a group now.
    pump.wait(writer.put([PicturedEntry("", "id-1", EntryKind.GROUP, b"x")]))
    assert (writer.state("").people, writer.state("").groups) == (0, 2)
    assert writer.state("never heard of") == SourceState()


def test_the_state_is_kept_and_counts_are_not_taken_from_it(
    writer: PictureWriter, pump: Pump, path: Path
) -> None:
    pump.wait(writer.put([person(1)]))
    pump.wait(writer.note("", SourceState("cursor", 10, 20, people=99, stopped="too many")))
    kept = writer.state("")
    assert kept == SourceState("cursor", 10, 20, 1, stopped="too many", version=kept.version)
    pump.wait(writer.close())
    reader = PictureFile.open_reading(path)
    assert reader.state("") == kept  # whoever starts next goes on from there
    reader.close()


def test_a_listing_tells_whom_it_has_not_seen(writer: PictureWriter, pump: Pump) -> None:
    first = pump.wait(writer.new_listing(""))
    pump.wait(writer.put([person(n) for n in range(6)] + [group("g")], listing=first))
    second = pump.wait(writer.new_listing(""))
    assert second > first
    pump.wait(writer.saw("", ["id-0", "nobody"], listing=second))
    pump.wait(writer.put([person(1), person(2, brief=b"changed")], listing=second))
    # What a refresh beside the listing puts exists, whether or not the listing will see it.
    pump.wait(writer.put([person(3), person(9)]))
    assert pump.wait(writer.count_unseen("", second)) == (2, 1)
    assert set(ids(pump.wait(writer.unseen("", second, 10)))) == {"id-4", "id-5", "g"}
    assert len(pump.wait(writer.unseen("", second, 2))) == 2
    assert pump.wait(writer.unseen("", first, 10)) == []
    assert pump.wait(writer.count_unseen("other", second)) == (0, 0)


def test_pages_go_by_id_and_kind(writer: PictureWriter, pump: Pump) -> None:
    pump.wait(writer.put([person(n) for n in range(5)] + [group("a"), group("zz")]))
    first = writer.page("", EntryKind.PERSON, "", 3)
    assert ids(first) == ["id-0", "id-1", "id-2"]
    assert ids(writer.page("", EntryKind.PERSON, "id-2", 3)) == ["id-3", "id-4"]
    assert ids(writer.page("", EntryKind.GROUP, "", 9)) == ["a", "zz"]
    assert writer.page("other", EntryKind.PERSON, "", 9) == []


def test_one_directory_is_forgotten_in_pieces_and_another_stays(
    writer: PictureWriter, pump: Pump, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(changes, "PIECE", 40)
    pump.wait(writer.put([*(person(n) for n in range(50)), person(1, source="b")]))
    pump.wait(writer.note("", SourceState("cursor", 10, 20)))
    pump.wait(writer.forget(""))
    assert writer.state("") == SourceState()
    assert writer.entry("b", "id-1") is not None
    assert rows(path, "entries") == 1
    assert pump.wait(writer.sources()) == ["b"]


def test_members_by_the_thousand_are_names_once(
    writer: PictureWriter, pump: Pump, path: Path
) -> None:
    groups = [group(f"g{n}", *range(2000)) for n in range(10)]
    pump.wait(writer.put(groups))
    assert len(writer.find(KeyKind.MEMBER, ["uid=p7,dc=test"])) == 10
    assert rows(path, "names") == 2010
    pump.wait(writer.close())
    # 20,000 memberships: a few octets each.
    assert path.stat().st_size < 1_500_000


def test_L25_keys_that_no_file_can_hold_find_nobody(writer: PictureWriter, pump: Pump) -> None:
    pump.wait(writer.put([person(1)]))
    for key in (
        "\ud800@example.test",
        "\0",
        "' OR 1=1 --",
        "p1@example.test\0",
        "%",
        "p_@example.test",
    ):
        assert writer.find(KeyKind.ADDRESS, [key]) == []
        assert writer.entry("", key) is None


def test_after_close_nobody_can_say(writer: PictureWriter, pump: Pump) -> None:
    pump.wait(writer.put([person(1)]))
    pump.wait(writer.close())
    with pytest.raises(StoreUnavailable):
        writer.find(KeyKind.ADDRESS, ["p1@example.test"])
    with pytest.raises(StoreUnavailable):
        pump.wait(writer.put([person(2)]))
    pump.wait(writer.close())
