"""SECURITY I7: sets of numbers stay ranges whatever is asked."""

from __future__ import annotations

import pytest

from gateway.core.uidset import Ranges
from gateway.wire.imap.sequence import SequenceSet, parse


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (b"1", ((1, 1),)),
        (b"*", ((0, 0),)),
        (b"1:4294967295", ((1, 4294967295),)),
        (b"4294967295:1", ((4294967295, 1),)),
        (b"*:*", ((0, 0),)),
        (b"*:1", ((0, 1),)),
        (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, 0))),
        (b"1,1,1", ((1, 1),) * 3),
    ],
)
def test_I7_sets(text: bytes, items: tuple[tuple[int, int], ...]) -> None:
    assert parse(text) == SequenceSet(items)


@pytest.mark.parametrize(
    "text",
    [b"", b"0", b"1:0", b"4294967296", b"1:4294967296", b"9999999999", b"99999999999", b"1,,2"]
    + [b",1", b"1,", b"1:", b":1", b"1:2:3", b"$", b"-1", b"+1", b"01", b"1 2", b"1\n", b"a"],
)
def test_I7_broken_sets(text: bytes) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "last", "expected"),
    [
        (b"1:*", 7, ((1, 7),)),
        (b"9:*", 7, ((7, 9),)),
        (b"*", 7, ((7, 7),)),
        (b"*:1", 7, ((1, 7),)),
        (b"4294967295:1", 7, ((1, 4294967295),)),
        (b"5,1:3,2:4", 7, ((1, 5),)),
        (b"1:*", 0, ()),
        (b"*", 0, ()),
        (b"3,1:*", 0, ((3, 3),)),
    ],
)
def test_I7_resolved_sets(text: bytes, last: int, expected: Ranges) -> None:
    numbers = parse(text)
    assert numbers is not None
    assert numbers.resolve(last) == expected


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        (b"1:7", 7, False),
        (b"*", 7, False),
        (b"8", 7, True),
        (b"8:*", 7, True),
        (b"*:8", 7, True),
        (b"*", 0, True),
        (b"1:*", 0, True),
    ],
)
def test_I7_numbers_beyond_the_mailbox(text: bytes, count: int, expected: bool) -> None:
    numbers = parse(text)
    assert numbers is not None
    assert numbers.exceeds(count) is expected


def test_I7_thirty_thousand_items() -> None:
    numbers = parse(b",".join([b"1:4294967295"] * 30_000))
    assert numbers is not None
    assert numbers.resolve(5) == ((1, 4294967295),)
