"""The care of the trace: rows are joined and packed, leave in time; damage is told and mended."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.ports.progress import silent
from gateway.core.trace import TraceRecord
from gateway.store import trace_care
from gateway.store.backup import back_up
from gateway.store.repair import repair
from gateway.store.restore import restore
from gateway.store.trace import PIECE
from gateway.store.verify import verify
from tests.store.house import NOW, House
from tests.store.test_trace import commit, pack_all, record, rows

DAY = 86_400


def opened(state_dir: Path, **options: Any) -> House:
    house = House.__new__(House)
    house.prepare(state_dir)
    house.store = house.open_store(**options)
    return house


def note_row(house: House, *records: TraceRecord) -> None:
    """One row of these."""
    for each in records:
        house.store.trace.note(each)
    commit(house)


def ids(house: House, term: str) -> list[str]:
    return [one.trace_id for one in house.wait(house.store.trace.find(term))]


def test_many_rows_become_one_and_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_care, "JOIN_ROWS", 10)
    with House(tmp_path) as house:
        for n in range(25):
            note_row(house, record(f"0ab{n:02}-1", "accepted", f"p{n}@x.test", "192.0.2.9"))
        fresh = rows(house)
        before = [ids(house, term) for term in ("192.0.2.9", "p7@x.test", "p24@x.test")]
        house.wait(house.store._machinery.trace_care.run())
        packed = rows(house)
        assert [bool(keys) for keys, _ in packed][:3] == [True, True, False]
        assert len(packed) == 2 + len(fresh) - 20
        assert [ids(house, t) for t in ("192.0.2.9", "p7@x.test", "p24@x.test")] == before
        assert before[0] == [f"0ab{n:02}-1" for n in range(25)]
        house.wait(house.store._machinery.trace_care.run())
        assert rows(house) == packed, "too few are fresh"
        house.verify()


def test_mail_that_comes_in_fast_is_not_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_care, "JOIN_ROWS", 2)
    monkeypatch.setattr(trace_care, "FULL_ROWS", 8)
    with House(tmp_path) as house:
        care = house.store._machinery.trace_care
        for n in range(7):
            note_row(house, record(f"0ab{n}", "refused"))
        house.wait(care.run(False))
        assert not any(keys for keys, _ in rows(house))
        note_row(house, record("0ab7", "refused"))
        note_row(house, record("0ab8", "refused"))
        house.wait(care.run(False))
        assert any(keys for keys, _ in rows(house))


def test_it_cares_by_itself_when_it_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_care, "JOIN_ROWS", 2)
    monkeypatch.setattr(trace_care, "LOOK_S", 0.01)
    with House(tmp_path) as house:
        for n in range(4):
            note_row(house, record(f"0ab{n}", "refused"))
        house.pump.until(lambda: any(keys for keys, _ in rows(house)))
        assert ids(house, "0ab2") == ["0ab2"]


def test_records_leave_when_their_time_is_over(tmp_path: Path) -> None:
    with opened(tmp_path, keep_traces_s=30 * DAY) as house:
        care = house.store._machinery.trace_care
        for age in (31, 29, 0):
            note_row(house, record(f"0ab{age}", "refused", at=NOW - age * DAY))
        house.wait(care.run())
        assert [ids(house, f"0ab{age}") for age in (31, 29, 0)] == [[], ["0ab29"], ["0ab0"]]
        house.now += 40 * DAY
        care._next_tidy_at = 0.0
        house.wait(care.run())
        assert rows(house) == []


def test_what_is_too_much_leaves_the_oldest_first(tmp_path: Path) -> None:
    with opened(tmp_path, trace_octets=10_000) as house:
        care = house.store._machinery.trace_care
        for n in range(40):
            note_row(house, record(f"0ab{n:02}", "refused", hello="h" * 400))
        house.wait(care.run())
        left = sum(len(keys) + len(records) for keys, records in rows(house))
        assert 8_000 < left <= 10_000
        assert ids(house, "0ab00") == []
        assert ids(house, "0ab39") == ["0ab39"]


def test_D7_a_clock_that_was_ahead_neither_stops_expiry_nor_hides_anything(tmp_path: Path) -> None:
    with opened(tmp_path, keep_traces_s=DAY) as house:
        note_row(house, record("0zzz", "refused", "192.0.2.9", at=NOW + 400 * DAY))
        note_row(house, record("0abc", "refused", "192.0.2.9", at=NOW - 2 * DAY))
        note_row(house, record("0abd", "refused", "192.0.2.9"))
        house.wait(house.store._machinery.trace_care.run())
        assert ids(house, "192.0.2.9") == ["0abd", "0zzz"]


def test_more_rows_than_one_statement_reads_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.trace.PIECE", 3)
    assert PIECE > 3
    with House(tmp_path) as house:
        for n in range(11):
            note_row(house, record(f"0ab{n:02}-1", "accepted", f"p{n}@x.test", "192.0.2.9"))
            pack_all(house)
        assert ids(house, "192.0.2.9") == [f"0ab{n:02}-1" for n in range(11)]
        assert ids(house, "p0@x.test") == ["0ab00-1"]
        found = house.wait(house.store.trace.find("192.0.2.9", limit=4))
        assert [one.trace_id for one in found] == [f"0ab{n:02}-1" for n in range(7, 11)]


def test_a_join_that_meets_other_rows_changes_nothing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for n in range(3):
            note_row(house, record(f"0ab{n}", "refused"))
        connection = sqlite3.connect(house.layout.index)
        monkey = trace_care.JOIN_OCTETS
        trace_care.JOIN_OCTETS = 1
        planned = trace_care.plan_join(connection)
        trace_care.JOIN_OCTETS = monkey
        connection.close()
        assert planned is not None
        wrong = replace(planned, rows=planned.rows + 1)
        failed: list[object] = []
        house.store._committer.write(wrong.put_in_place).addBoth(failed.append)
        house.pump.until(lambda: failed)
        assert ids(house, "0ab0") == ["0ab0"]
        house.verify()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("records = x'7a00ff'", "cannot be read"),
        ("records = substr(records, 1, 40)", "cannot be read"),
        ("keys = x'00000000'", "hashes are those of other records"),
        ("keys = x'000000'", "hashes are those of other records"),
        ("keys = 'text'", "holds no octets"),
        ("first_at = 9, last_at = 8", "times cannot be"),
        ("records = 'text'", "holds no octets"),
    ],
)
def test_damage_is_told_searched_around_and_mended(tmp_path: Path, damage: str, said: str) -> None:
    with House(tmp_path) as house:
        note_row(house, record("0abc-1", "accepted", "alice@example.test"))
        pack_all(house)
        note_row(house, record("0abd-1", "accepted", "alice@example.test"))
    connection = sqlite3.connect(tmp_path / "store/index.sqlite")
    connection.execute(f"UPDATE traces SET {damage} WHERE length(keys) > 0")
    connection.commit()
    connection.close()
    (problem,) = verify(tmp_path).problems
    assert said in problem
    with House(tmp_path) as house:
        assert "0abd-1" in ids(house, "alice@example.test")
    done = repair(tmp_path, wall_clock=lambda: float(NOW), progress=silent, say=lambda _: None)
    assert any("trace row" in line for line in done.done)
    assert done.report.sound
    with House(tmp_path) as house:
        assert ids(house, "alice@example.test") == ["0abd-1"]


def test_a_backup_has_the_trace_and_a_restore_keeps_it(tmp_path: Path) -> None:
    state_dir, backup, again = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    with House(state_dir) as house:
        note_row(house, record("0abc-1", "accepted", "alice@example.test"))
        back_up(
            state_dir, backup, hostname="h", others=(), wall_clock=lambda: float(NOW),
            progress=silent,
        )  # fmt: skip
    restore(backup, again, wall_clock=lambda: float(NOW), progress=silent)
    with House(again) as house:
        assert ids(house, "alice@example.test") == ["0abc-1"]
        note_row(house, record("0abd-1", "accepted", "alice@example.test"))
        assert ids(house, "alice@example.test") == ["0abc-1", "0abd-1"]
        house.verify()
