"""The UIDs of a mailbox as runs of neighbours, so that a million messages take little room.

Owns the value and its arithmetic: which UID stands at an index (sequence number minus one), where a
UID stands, what is left without some and what there is with more. A value never changes: sessions
on the same mailbox hold the same one, and a changed one shares all blocks but those that differ.

Memory: eight octets a run and about a hundred a block of RUNS_PER_BLOCK runs; nothing per message,
so eight octets a message where every second one is missing. Looking up costs two bisections, a
change one block and a look at the list of blocks. No range is ever expanded (SECURITY I7).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain

from gateway.core.uidset import Ranges

Spans = tuple[tuple[int, int], ...]
"""Half-open ranges of indexes, ascending, with something between any two."""

RUNS_PER_BLOCK = 512


class _Block:
    """Some runs in a row: the first UID of each, and how many UIDs of the block stand before it.

    ``before`` has one number more than there are runs: how many UIDs the block holds.
    """

    __slots__ = ("before", "starts")

    def __init__(self, starts: array[int], before: array[int]) -> None:
        self.starts = starts
        self.before = before

    @property
    def last(self) -> int:
        return self.starts[-1] + self.before[-1] - self.before[-2] - 1

    def ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The UIDs at the block's indexes from start to below end."""
        starts, before = self.starts, self.before
        run = bisect_right(before, start) - 1
        while start < end:
            behind = before[run + 1]
            first = starts[run] - before[run]
            yield first + start, first + min(behind, end) - 1
            start = behind
            run += 1


class _Builder:
    """Takes ascending ranges, and makes blocks of them."""

    def __init__(self, tail: _Block | None = None) -> None:
        self.blocks: list[_Block] = []
        self._starts = array("I") if tail is None else tail.starts[:]
        self._before = array("I", [0]) if tail is None else tail.before[:]
        self._next = 0 if tail is None else tail.last + 1

    def add(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Raises: ValueError (a range that does not lie above all before it)."""
        starts, before, following = self._starts, self._before, self._next
        for low, high in ranges:
            if low < following or high < low:
                raise ValueError("UIDs must ascend")
            if low != following or not starts:
                if len(starts) == RUNS_PER_BLOCK:
                    self.blocks.append(_Block(starts, before))
                    starts, before = array("I"), array("I", [0])
                starts.append(low)
                before.append(before[-1])
            before[-1] += high - low + 1
            following = high + 1
        self._starts, self._before, self._next = starts, before, following

    def finish(self) -> list[_Block]:
        if self._starts:
            self.blocks.append(_Block(self._starts, self._before))
        return self.blocks


class UidRuns:
    """Ascending UIDs; index i is sequence number i + 1."""

    __slots__ = ("_before", "_blocks", "_firsts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Args: ranges: inclusive, ascending and disjoint."""
        builder = _Builder()
        builder.add(ranges)
        self._take(builder.finish())

    def _take(self, blocks: Sequence[_Block]) -> None:
        self._blocks = tuple(blocks)
        self._firsts = array("I", [block.starts[0] for block in blocks])
        self._before = array("I", accumulate((block.before[-1] for block in blocks), initial=0))

    @classmethod
    def _of(cls, blocks: Sequence[_Block]) -> UidRuns:
        made = cls.__new__(cls)
        made._take(blocks)
        return made

    # -- looking

    def __len__(self) -> int:
        return self._before[-1]

    def __getitem__(self, index: int) -> int:
        """The UID at an index, from the end if negative. Raises: IndexError."""
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = bisect_right(self._before, index) - 1
        block = self._blocks[which]
        index -= self._before[which]
        run = bisect_right(block.before, index) - 1
        return block.starts[run] + index - block.before[run]

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(range(low, high + 1) for low, high in self.ranges())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UidRuns):
            return NotImplemented
        return len(self) == len(other) and all(
            one == another for one, another in zip(self.ranges(), other.ranges(), strict=False)
        )

    __hash__ = None  # type: ignore[assignment]  # large, and nobody's key

    def __repr__(self) -> str:
        return f"<{len(self)} UIDs up to {self.last} in {self.runs} runs>"

    @property
    def last(self) -> int:
        """The highest UID, 0 if there is none."""
        return self._blocks[-1].last if self._blocks else 0

    @property
    def runs(self) -> int:
        return sum(len(block.starts) for block in self._blocks)

    @property
    def size_octets(self) -> int:
        """About how much memory this takes if nobody shares it."""
        return 300 + 250 * len(self._blocks) + 8 * self.runs

    def below(self, uid: int) -> int:
        """How many UIDs are lower than this one: its index, if it is there."""
        which = bisect_right(self._firsts, uid) - 1
        if which < 0:
            return 0
        block = self._blocks[which]
        run = bisect_right(block.starts, uid) - 1
        before = block.before
        return self._before[which] + min(before[run] + uid - block.starts[run], before[run + 1])

    def index_of(self, uid: int) -> int:
        """Where the UID stands, -1 if it is not there."""
        index = self.below(uid)
        return index if index < len(self) and self[index] == uid else -1

    def indexes_of(self, uids: Iterable[int]) -> list[int]:
        """Where ascending UIDs stand, leaving out those that are not there."""
        found: list[int] = []
        low, high, offset = 1, 0, 0  # the stretch the last UID lay in
        for uid in uids:
            if not low <= uid <= high:
                index = self.below(uid)
                if index == len(self):
                    break
                low, high = next(self.ranges(index))
                offset = index - low
                if uid < low:
                    continue
            found.append(uid + offset)
        return found

    def ranges(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """The UIDs at the indexes from start to below end, as runs."""
        end = len(self) if end is None else min(end, len(self))
        which = bisect_right(self._before, start) - 1
        while start < end:
            block, base = self._blocks[which], self._before[which]
            which += 1
            behind = min(self._before[which], end)
            yield from block.ranges(start - base, behind - base)
            start = behind

    def spans(self, ranges: Ranges) -> Spans:
        """Where the UIDs stand that lie in the ranges (ascending, disjoint)."""
        spans: list[tuple[int, int]] = []
        end = -1
        for low, high in ranges:
            start, behind = self.below(low), self.below(high + 1)
            if start == behind:
                continue
            if start == end:  # nothing but missing UIDs in between
                spans[-1] = (spans[-1][0], behind)
            else:
                spans.append((start, behind))
            end = behind
        return tuple(spans)

    # -- changing

    def appended(self, ranges: Iterable[tuple[int, int]]) -> UidRuns:
        """With UIDs above all that are there. Raises: ValueError (they are not)."""
        builder = _Builder(self._blocks[-1] if self._blocks else None)
        builder.add(ranges)
        return self._of((*self._blocks[:-1], *builder.finish()))

    def removed(self, ranges: Ranges) -> UidRuns:
        """Without the UIDs in the ranges (ascending, disjoint)."""
        return self.without(self.spans(ranges))

    def without(self, spans: Spans) -> UidRuns:
        """Without what stands at these indexes."""
        if not spans:
            return self
        blocks: list[_Block] = []
        copied = 0  # blocks dealt with
        at = 0  # the first span that may reach into the next block
        while at < len(spans):
            which = max(copied, bisect_right(self._before, spans[at][0]) - 1)
            base, behind = self._before[which], self._before[which + 1]
            blocks += self._blocks[copied:which]
            copied = which + 1
            here: list[tuple[int, int]] = []
            while at < len(spans) and spans[at][0] < behind:
                here.append((max(spans[at][0], base) - base, min(spans[at][1], behind) - base))
                if spans[at][1] > behind:
                    break
                at += 1
            _add_rest(blocks, self._blocks[which], here)
        blocks += self._blocks[copied:]
        return self._of(blocks)


def _add_rest(blocks: list[_Block], block: _Block, spans: Sequence[tuple[int, int]]) -> None:
    """Add what is left of a block, joined to the one before if both have become small."""
    joins = blocks and len(blocks[-1].starts) + len(block.starts) <= RUNS_PER_BLOCK // 2
    builder = _Builder(blocks.pop() if joins else None)
    start = 0
    for low, high in spans:
        builder.add(block.ranges(start, low))
        start = high
    builder.add(block.ranges(start, block.before[-1]))
    blocks += builder.finish()
