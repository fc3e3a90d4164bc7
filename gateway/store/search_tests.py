"""Search keys as tests of one message, cheap ones first.

Owns what a key means for a message: matching is on decoded text and ignores case (RFC 3501 section
6.4.4). Where the search index has an answer for a message, that is taken; its octets are read only
when a test needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.core.search import (
    All,
    And,
    DateIs,
    HasFlag,
    HeaderHas,
    Not,
    Or,
    SearchKey,
    SizeIs,
    TextHas,
    UidIn,
)
from gateway.core.uidset import contains
from gateway.store.candidate import Candidate
from gateway.store.search_conditions import DAY_S, EPOCH_DAY
from gateway.wire.mime.dates import parse_date

Known = Mapping[SearchKey, Callable[[int], bool | None]]
"""What is known of keys beforehand: whether a UID matches, None for "look at the message"."""


class Test(NamedTuple):
    """A test on a message; cheap ones have a low cost."""

    cost: int
    matches: Callable[[Candidate], bool]


def test_of(key: SearchKey, known: Known) -> Test:
    """The key as a function; recursion is bounded by the parser (SECURITY I6)."""
    match key:
        case All():
            return Test(0, lambda _: True)
        case UidIn(ranges):
            return Test(1, lambda one: contains(ranges, one.uid))
        case HasFlag(flag):
            return Test(1, lambda one: one.has_flag(flag))
        case SizeIs("<", octets):
            return Test(1, lambda one: one.size_octets < octets)
        case SizeIs(_, octets):
            return Test(1, lambda one: one.size_octets > octets)
        case DateIs("internal", comparison, day):
            return Test(
                1, lambda one: _compare(one.internal_date // DAY_S + EPOCH_DAY, comparison, day)
            )
        case DateIs(_, comparison, day):
            return Test(10, lambda one: _sent_matches(one, comparison, day))
        case HeaderHas(name, text):
            folded = text.casefold()
            return Test(
                10,
                _unless_known(
                    known.get(key),
                    lambda one: any(folded in value for value in one.header_values(name)),
                ),
            )
        case TextHas(text, with_header):
            folded = text.casefold()
            return Test(
                100,
                _unless_known(known.get(key), lambda one: one.has_text(folded, with_header)),
            )
        case Not(inner):
            cost, matches = test_of(inner, known)
            return Test(cost, lambda one: not matches(one))
        case And(keys):
            both = sorted((test_of(part, known) for part in keys), key=lambda test: test.cost)
            return Test(
                max((test.cost for test in both), default=0),
                lambda one: all(test.matches(one) for test in both),
            )
        case Or(left, right):
            either = sorted(
                (test_of(left, known), test_of(right, known)), key=lambda test: test.cost
            )
            return Test(either[-1].cost, lambda one: any(test.matches(one) for test in either))


def _unless_known(
    answer: Callable[[int], bool | None] | None, looks: Callable[[Candidate], bool]
) -> Callable[[Candidate], bool]:
    """A test that looks at a message only where there is no answer for it."""
    if answer is None:
        return looks

    def matches(one: Candidate) -> bool:
        told = answer(one.uid)
        return looks(one) if told is None else told

    return matches


def _compare(value: int, comparison: str, day: int) -> bool:
    if comparison == "<":
        return value < day
    return value == day if comparison == "=" else value >= day


def _sent_matches(one: Candidate, comparison: str, day: int) -> bool:
    """RFC 3501 section 6.4.4: the Date header's own date, disregarding time and timezone."""
    for value in one.header_values("date", fold=False):
        sent = parse_date(value)
        return sent is not None and _compare(sent.date().toordinal(), comparison, day)
    return False
