"""What waits in the runner for room at its destination.

Owns the order: the higher priority first (RFC 6710), then by turn, so that a sender of many
messages waits behind another's one. Bounded by whoever adds.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count

from twisted.internet.defer import Deferred

from gateway.core.queue import QueueItem


class Group:
    """Recipients of one message that share an attempt.

    Args:
        item: with no other recipients than these.
        rest: the message has more of them for this destination, due as well; they are taken from
            the store again when these are recorded.
    """

    __slots__ = ("counts", "epoch", "item", "rest", "task", "unproven", "waits")

    def __init__(self, item: QueueItem, rest: bool = False) -> None:
        self.item = item
        self.rest = rest
        self.waits = True  # in a line; else it is being sent or recorded
        self.counts = False  # as an attempt in flight
        self.epoch = 0  # of the destination when the attempt began
        self.unproven = False  # nobody knew then that it answers
        self.task: Deferred[None] | None = None


class Line:
    """Groups for one destination."""

    __slots__ = ("_heap", "_order", "_there")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Group]] = []
        self._order = count()
        # By their place; those removed stay in the heap till they come first.
        self._there: dict[Group, int] = {}

    def __len__(self) -> int:
        return len(self._there)

    def add(self, group: Group) -> None:
        item = group.item
        place = self._there[group] = next(self._order)
        heappush(self._heap, (-item.options.priority, item.turn, place, group))

    def first(self) -> Group:
        """Takes it out."""
        while True:
            _, _, place, group = heappop(self._heap)
            if self._there.get(group) == place:
                del self._there[group]
                return group

    def remove(self, group: Group) -> None:
        del self._there[group]
        if len(self._heap) > 2 * len(self._there):
            self._heap = [each for each in self._heap if self._there.get(each[3]) == each[2]]
            heapify(self._heap)

    def clear(self) -> list[Group]:
        """Takes out all, in their order."""
        ordered = sorted(self._heap, key=lambda each: each[:3])
        groups = [each[3] for each in ordered if self._there.get(each[3]) == each[2]]
        self._heap.clear()
        self._there.clear()
        return groups
