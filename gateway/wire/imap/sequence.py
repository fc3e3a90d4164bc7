"""Sequence sets (RFC 3501 section 9, ``sequence-set``) as ranges, with ``*`` unresolved.

Owns the value and its grammar. Never expands a range into numbers, whatever its bounds (SECURITY
I7): resolving gives the ranges of ``core.uidset``, which callers intersect with what exists.

Limits: as many items as a command line can hold; ``$`` (RFC 5182) is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.uidset import Ranges, normalise

STAR = 0
"""Stands for ``*``; no message number and no UID is 0."""

MAX_NUMBER = 2**32 - 1

# sequence-set = (seq-number / seq-range) *("," sequence-set)
# seq-number   = nz-number / "*";  seq-range = seq-number ":" seq-number
SET_SYNTAX = re.compile(
    rb"(?:\*|[1-9][0-9]{0,9})(?::(?:\*|[1-9][0-9]{0,9}))?+"
    rb"(?:,(?:\*|[1-9][0-9]{0,9})(?::(?:\*|[1-9][0-9]{0,9}))?+)*+"
)


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Pairs of bounds as they were sent, either bound may be ``STAR``, either order.

    Whether they are sequence numbers or UIDs is said by the command or search key that holds them.
    """

    items: tuple[tuple[int, int], ...]

    def resolve(self, last: int) -> Ranges:
        """Ascending, disjoint ranges with ``*`` as the given last number.

        ``1:*`` with last 7 and ``9:*`` with last 7 both hold 7 (RFC 3501 section 9, ``seq-range``).
        In an empty mailbox (``last`` 0) an item with ``*`` holds nothing.
        """
        ranges = []
        for low, high in self.items:
            if (low == STAR or high == STAR) and last == 0:
                continue
            ranges.append((low or last, high or last))
        return normalise(ranges)

    def exceeds(self, count: int) -> bool:
        """Whether a message number is named that does not exist: BAD for sequence numbers.

        RFC 3501 section 9, ``seq-number``: this includes ``*`` if the mailbox is empty.
        """
        if count == 0:
            return True
        return any(low > count or high > count for low, high in self.items)


def parse(text: bytes) -> SequenceSet | None:
    """The set, or None if the text is not exactly one."""
    if not SET_SYNTAX.fullmatch(text):
        return None
    items = []
    for item in text.split(b","):
        low, colon, high = item.partition(b":")
        first = STAR if low == b"*" else int(low)
        second = first if not colon else STAR if high == b"*" else int(high)
        if first > MAX_NUMBER or second > MAX_NUMBER:
            return None
        items.append((first, second))
    return SequenceSet(tuple(items))
