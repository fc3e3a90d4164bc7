"""Ids of connections and messages."""

from __future__ import annotations

from gateway.core.new_ids import id_source, time_of, time_text


def test_ids_sort_by_time_and_never_repeat() -> None:
    now = [1_700_000_000.0]
    new_id = id_source(lambda: now[0], 1)
    early = [new_id() for _ in range(1000)]
    now[0] += 0.001
    late = new_id()
    assert len({*early, late}) == 1001
    assert max(each[:9] for each in early) < late[:9] == time_text(now[0])
    assert all(len(each) <= 18 and each.isalnum() and each.islower() for each in early)


def test_a_clock_set_back_and_another_process_repeat_nothing() -> None:
    one, other = id_source(lambda: 1.0, 7), id_source(lambda: 1.0, 8)
    again = id_source(lambda: 1.0, 7)
    ids = [source() for source in (one, one, other, other)]
    assert len(set(ids)) == 4
    assert again() == ids[0]  # only the same process bits would, and those are random


def test_an_id_says_when_it_was_made() -> None:
    new_id = id_source(lambda: 1_700_000_000.123, 7)
    assert time_of(new_id()) == time_of(f"{new_id()}-12") == 1_700_000_000.123
    for none in ("", "0abc-1", "lost-gateway", "0000000000-1"):
        assert time_of(none) == 0.0
