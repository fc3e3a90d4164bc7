"""Posting lists as octets, and search files that are not ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ids import AccountId
from gateway.store.layout import Layout
from gateway.store.search_index import format as search_format
from gateway.store.search_index.places import Places
from tests.store.house import ALICE, BOB

LISTS = st.integers(1, 3_000).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=400))
)


@given(LISTS)
def test_what_is_packed_is_unpacked(made: tuple[int, set[int]]) -> None:
    size, numbers = made
    ascending = sorted(numbers)
    data = search_format.pack(ascending, size)
    assert list(search_format.unpack(data, size)) == ascending
    assert len(data) <= min(2 * len(ascending) + 2, (size + 7) // 8)
    bits = search_format.to_bits(ascending, size)
    assert bits == sum(1 << number for number in numbers)
    assert list(search_format.positions(bits, size)) == ascending
    assert [
        place for place, mark in enumerate(search_format.marks(bits, size)) if mark
    ] == ascending


def test_dense_and_largest_lists() -> None:
    for numbers in (range(65_536), range(0, 65_536, 20), [65_535], []):
        data = search_format.pack(list(numbers), 65_536)
        assert list(search_format.unpack(data, 65_536)) == list(numbers)
    assert search_format.to_bits([], 0) == 0 and search_format.marks(0, 0) == b""


def test_a_file_belongs_to_one_account(tmp_path: Path) -> None:
    path = tmp_path / "aa" / "a.sqlite"
    search_format.open_writer(path, ALICE).close()
    search_format.open_writer(path, ALICE).close()
    with pytest.raises(search_format.NotOurs):
        search_format.open_writer(path, BOB)
    assert search_format.account_of(path) == ALICE
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_of_another_unicode_version_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    search_format.open_writer(path, ALICE).close()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE about SET unicode = '1.0'")
    file.close()
    with pytest.raises(search_format.NotOurs):
        search_format.open_reader(path)
    with pytest.raises(search_format.NotOurs):
        search_format.open_writer(path, ALICE)


def test_a_missing_file_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        search_format.open_reader(tmp_path / "a.sqlite")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["plain", "größe", "a/../b", "\ud800", "", "x" * 5_000])
def test_any_account_id_has_a_file_and_can_be_asked_for(name: str, tmp_path: Path) -> None:
    places = Places(Layout(tmp_path))
    places.layout.root.mkdir()
    places.prepare()
    account_id = AccountId(name)
    places.request(account_id)
    places.request(account_id)
    ((path, asked),) = places.requested()
    assert asked == account_id or name == "\ud800"
    assert path.parent == places.requests
    assert places.file(account_id).parent.parent == places.root


def test_removing_takes_what_lies_beside_a_file(tmp_path: Path) -> None:
    places = Places(Layout(tmp_path))
    places.layout.root.mkdir()
    places.prepare()
    path = places.file(ALICE)
    writer = search_format.open_writer(path, ALICE)
    with places.opening():
        reader = search_format.open_reader(path)
    assert len(list(path.parent.iterdir())) == 3
    places.remove(path)
    assert not any(path.parent.iterdir())
    assert reader.execute("SELECT count(*) FROM runs").fetchone() == (0,)  # its own generation
    reader.close()
    writer.close()
