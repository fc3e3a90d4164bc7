"""The record of the greylist: shared by processes, kept over a restart, bounded, and it expires."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from gateway.core.ports.greylist import Greylisted
from gateway.store import engine, greylist
from gateway.store.greylist import EXPIRED_ROWS, expire_greylist
from gateway.store.transaction import Transaction
from tests.store.beside import Guest, hold
from tests.store.house import NOW, House

PAIR = "p 192.0.2.0/24 far.test"


def known(house: House, *pairs: str) -> dict[str, Greylisted]:
    return house.wait(house.store.greylist.look(pairs or (PAIR,)))


def rows(house: House) -> int:
    with contextlib.closing(engine.open_reader(house.layout.index)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM greylist").fetchone()
        (counted,) = connection.execute(
            "SELECT value FROM counters WHERE name = 'greylist'"
        ).fetchone()
    assert count == counted
    return int(count)


def settle(house: House) -> None:
    """All that was kept is written."""
    table = house.store.greylist
    while table._writing:
        house.deliver("x")


def test_what_was_kept_is_known_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        assert known(house) == {}
        assert house.store.greylist.keep(PAIR, NOW, passed=0, expires_at=NOW + 100)
        assert known(house) == {PAIR: Greylisted(NOW, NOW, 0)}
        assert house.store.greylist.keep(PAIR, NOW + 50, passed=1, expires_at=NOW + 500)
        assert known(house, PAIR, "p other")[PAIR].first_at == NOW
    with House(tmp_path) as house:
        assert known(house, PAIR, "p other") == {PAIR: Greylisted(NOW, NOW + 50, 1)}
        assert rows(house) == 1


def test_processes_agree(tmp_path: Path) -> None:
    with House(tmp_path):
        pass
    holding = hold(tmp_path)
    with Guest(tmp_path, "one", care=True) as one, Guest(tmp_path, "two") as two:
        one.store.greylist.keep(PAIR, NOW, passed=0, expires_at=NOW + 900)
        settle(one)
        assert known(two) == {PAIR: Greylisted(NOW, NOW, 0)}
        for house in (one, two, one):
            house.store.greylist.keep(PAIR, NOW + 300, passed=1, expires_at=NOW + 900)
        settle(one)
        settle(two)
        settle(one)
        assert known(one) == known(two) == {PAIR: Greylisted(NOW, NOW + 300, 3)}
    holding.close()


def test_what_has_expired_is_unknown_then_gone(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        house.store.greylist.keep(PAIR, NOW, passed=3, expires_at=NOW + 10)
        settle(house)
        house.now += 11
        assert known(house) == {} and rows(house) == 1
        house.store.greylist.keep(PAIR, NOW + 11, passed=0, expires_at=NOW + 100)
        settle(house)
        assert known(house) == {PAIR: Greylisted(NOW + 11, NOW + 11, 0)}
        house.now += 7200
        house.deliver("y")
        assert rows(house) == 0


def test_housekeeping_takes_a_bounded_step(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        path = house.layout.index
    with contextlib.closing(engine.open_writer(path)) as connection:
        tx = Transaction(connection)
        tx.begin(NOW)
        old = [(f"p {n}", 0, 0, 0, NOW - 1) for n in range(EXPIRED_ROWS + 5)]
        tx.insert("greylist (pair, first_at, last_at, passed, expires_at)", old)
        assert expire_greylist(tx) and not expire_greylist(tx)
        tx.commit()
        assert connection.execute("SELECT count(*) FROM greylist").fetchone() == (0,)


def test_N4_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greylist, "MAX_ROWS", 20)
    with House(tmp_path) as house:
        for number in range(100):
            house.store.greylist.keep(f"p {number}", NOW, passed=0, expires_at=NOW + 10)
            settle(house)
        assert rows(house) == 20
        assert not house.store.greylist.keep("p new", NOW, passed=0, expires_at=NOW + 10)
        house.now += greylist.FULL_S + 10
        house.store.greylist.keep("p new", NOW, passed=0, expires_at=NOW + 1000)
        settle(house)  # finds no room, but clears away what has expired
        house.now += greylist.FULL_S
        assert house.store.greylist.keep("p new", NOW, passed=0, expires_at=NOW + 1000)
        settle(house)
        assert rows(house) == 1


def test_a_flood_is_few_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with House(tmp_path) as house:
        writes = 0
        write = house.store._committer.write

        def count(*args: object, **kw: object) -> object:
            nonlocal writes
            writes += 1
            return write(*args, **kw)  # type: ignore[arg-type]

        monkeypatch.setattr(house.store.greylist._committer, "write", count)
        for number in range(1000):
            assert house.store.greylist.keep(f"p {number}", NOW, passed=0, expires_at=NOW + 10)
        settle(house)
        assert rows(house) == 1000 and writes <= 4
