"""UIDs as runs, against a plain sorted list."""

from __future__ import annotations

from itertools import pairwise
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import uids
from gateway.core.uids import UidRuns
from gateway.core.uidset import from_sorted

TOP = 2**32 - 1


def runs_of(*numbers: int) -> UidRuns:
    return UidRuns(from_sorted(numbers))


def check(runs: UidRuns, model: list[int]) -> None:
    assert list(runs) == model
    assert len(runs) == len(model)
    assert bool(runs) == bool(model)
    assert runs.last == (model[-1] if model else 0)
    assert tuple(runs.ranges()) == from_sorted(model)
    assert [runs[index] for index in range(-len(model), len(model))] == model * 2
    assert runs == UidRuns(from_sorted(model))
    assert runs.runs == len(from_sorted(model))


def look_up(runs: UidRuns, model: list[int], some: list[int]) -> None:
    for uid in some:
        assert runs.below(uid) == sum(one < uid for one in model)
        assert runs.index_of(uid) == (model.index(uid) if uid in model else -1)
    assert runs.indexes_of(some) == [model.index(uid) for uid in some if uid in model]


UIDS = st.lists(st.integers(1, 120), unique=True, max_size=90).map(sorted)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, 40), unique=True, max_size=25)),
        st.tuples(st.just("remove"), st.lists(st.integers(1, 250), unique=True, max_size=8)),
        st.tuples(st.just("remove"), st.lists(st.integers(1, 250), unique=True, min_size=40)),
    ),
    max_size=8,
)


@settings(max_examples=300, deadline=None)
@given(UIDS, ACTIONS, UIDS, st.integers(0, 100), st.integers(0, 130))
def test_whatever_comes_and_goes_runs_are_the_same_as_a_list(
    model: list[int],
    actions: list[tuple[str, list[int]]],
    some: list[int],
    start: int,
    end: int,
) -> None:
    with mock.patch.object(uids, "RUNS_PER_BLOCK", 4):
        runs = runs_of(*model)
        for action, numbers in actions:
            before, was = runs, list(model)
            if action == "append":
                base = model[-1] + 1 if model else 1
                new = sorted(base + number for number in numbers)
                runs = runs.appended(from_sorted(new))
                model = model + new
            else:
                runs = runs.removed(from_sorted(sorted(numbers)))
                model = [uid for uid in model if uid not in numbers]
            check(runs, model)
            check(before, was)  # others hold it still
        look_up(runs, model, some)
        part = [uid for low, high in runs.ranges(start, end) for uid in range(low, high + 1)]
        assert part == model[start:end]


@given(UIDS, st.lists(st.tuples(st.integers(1, 140), st.integers(0, 20)), max_size=10))
def test_I7_spans_are_as_few_as_can_be_and_hold_exactly_what_is_meant(
    model: list[int], items: list[tuple[int, int]]
) -> None:
    ranges: list[tuple[int, int]] = []
    for low, more in sorted(items):
        if not ranges or low > ranges[-1][1]:
            ranges.append((low, low + more))
    spans = runs_of(*model).spans(tuple(ranges))
    meant = [uid for uid in model if any(low <= uid <= high for low, high in ranges)]
    assert [uid for start, end in spans for uid in model[start:end]] == meant
    assert all(one[1] < another[0] for one, another in pairwise(spans))


def test_the_highest_uids_fit() -> None:
    runs = UidRuns(((1, 2), (TOP, TOP)))
    assert (len(runs), runs.last, runs.index_of(TOP), runs[2]) == (3, TOP, 2, TOP)
    assert runs.spans(((1, TOP),)) == ((0, 3),)
    full = UidRuns(((1, TOP),))
    assert (len(full), full[TOP - 1], list(full.ranges(7, 9))) == (TOP, TOP, [(8, 9)])
    assert tuple(full.removed(((2, TOP - 1),)).ranges()) == ((1, 1), (TOP, TOP))


def test_what_does_not_ascend_is_refused() -> None:
    for ranges in (((5, 6), (6, 7)), ((5, 4),), ((5, 5), (1, 1))):
        with pytest.raises(ValueError, match="ascend"):
            UidRuns(ranges)
    with pytest.raises(ValueError, match="ascend"):
        runs_of(1, 2, 9).appended(((9, 10),))
    for index in (3, -4):
        with pytest.raises(IndexError):
            runs_of(1, 2, 9)[index]


def test_memory_is_that_of_the_gaps() -> None:
    assert UidRuns(((1, 1_000_000),)).size_octets < 1_000
    every_second = UidRuns((uid, uid) for uid in range(1, 200_000, 2))
    assert every_second.size_octets < 9 * len(every_second)
    # A changed one shares with the one before what has not changed.
    changed = every_second.removed(((3, 3),)).appended(((500_001, 500_001),))
    assert sum(a is b for a, b in zip(every_second._blocks, changed._blocks, strict=False)) >= (
        len(every_second._blocks) - 2
    )


def test_blocks_that_have_become_small_are_joined() -> None:
    runs = UidRuns((uid, uid) for uid in range(1, 20_000, 2))
    for left in (1_000, 100, 10):
        runs = runs.removed(from_sorted([uid for uid in runs if uid % (20_000 // left) != 1]))
    assert len(runs) == 10
    assert len(runs._blocks) == 1
