"""What is remembered of other servers, bounded by number and by octets.

Owns the two bounds: a number alone is none where strangers choose how long each thing is. What was
put in first goes first, unless it was put in again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Values by key.

    Args:
        octets: what one takes, about.
    """

    __slots__ = ("_kept", "_max_number", "_max_octets", "_octets", "_octets_of")

    def __init__(self, number: int, octets: int, octets_of: Callable[[Value], int]) -> None:
        self._max_number = number
        self._max_octets = octets
        self._octets_of = octets_of
        self._octets = 0
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def get(self, key: Key) -> Value | None:
        return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        kept, octets_of = self._kept, self._octets_of
        if key in kept:
            self._octets -= octets_of(kept.pop(key))
        kept[key] = value
        self._octets += octets_of(value)
        while len(kept) > self._max_number or (self._octets > self._max_octets and len(kept) > 1):
            _, oldest = kept.popitem(last=False)
            self._octets -= octets_of(oldest)
