"""Sets of UIDs as ascending, disjoint, inclusive ranges. Never expands a range (SECURITY I7)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Ranges = tuple[tuple[int, int], ...]


def normalise(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sort, swap reversed bounds and merge overlapping or adjacent ranges."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((a, b) if a <= b else (b, a) for a, b in ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def from_sorted(values: Sequence[int]) -> Ranges:
    """Ranges of an ascending sequence without repeats."""
    ranges: list[tuple[int, int]] = []
    start = previous = -1
    for value in values:
        if value != previous + 1 or start < 0:
            if start >= 0:
                ranges.append((start, previous))
            start = value
        previous = value
    if start >= 0:
        ranges.append((start, previous))
    return tuple(ranges)


def contains(ranges: Ranges, value: int) -> bool:
    """Whether the value lies in one of the ranges."""
    index = bisect_right(ranges, (value, 1 << 63)) - 1
    return index >= 0 and ranges[index][0] <= value <= ranges[index][1]
