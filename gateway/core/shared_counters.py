"""Rates, counted over all processes: token buckets in one table of numbers that they share.

Owns the table's use. A bucket is a single number, the time at which it will be full again (the
"theoretical arrival time" of the generic cell rate algorithm), so that whoever reads it sees one
state and nothing has to be locked, cleared or swept. A key is kept in the two slots that a keyed
hash gives it, and is refused only if both say so: whom a stranger's flood shares one slot with has
the other; and as the key is secret, nobody can aim. The same class over a table of its own is what
one process alone uses.

Limits: SLOTS numbers. Processes that count the same key within the same microseconds may miss one
of the counts. Time is monotonic and the machine's, the same for all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

SLOTS = 65_536
HALF = SLOTS // 2
REMEMBERED = 4096
"""Keys whose slots need not be found again: the same peers come again and again."""


class Times(Protocol):
    """The shared table, all zero in the beginning."""

    def __getitem__(self, at: int, /) -> float: ...

    def __setitem__(self, at: int, number: float, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds, and ``burst`` of them at once after a rest."""

    limit: int
    per_s: float
    burst: int

    @property
    def each_s(self) -> float:
        return self.per_s / self.limit


@dataclass(frozen=True, slots=True)
class Taken:
    """What a bucket said.

    Args:
        used: how many of ``burst`` are used up, this one included if it was allowed.
        wait_s: not allowed: when it would be.
    """

    allowed: bool
    used: int
    wait_s: float = 0.0


class SharedCounters:
    """Buckets by key.

    Args:
        table: SLOTS numbers.
        key: secret, the same for all processes.
        monotonic: seconds; the same for all processes.
    """

    def __init__(self, table: Times, key: bytes, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._key = key
        self._monotonic = monotonic
        self._slots = lru_cache(REMEMBERED)(self._find_slots)

    def take(self, key: str, rate: Rate, *, only_look: bool = False) -> Taken:
        """One more of it; what is refused is not counted.

        Args:
            key: what is counted and of whom.
        """
        one, two = self._slots(key)
        table, now, each_s = self._table, self._monotonic(), rate.each_s
        full_at_one, full_at_two = max(table[one], now), max(table[two], now)
        full_at = min(full_at_one, full_at_two)
        over_s = full_at + each_s - now - rate.burst * each_s
        used = round((full_at - now) / each_s)
        if over_s > each_s * 1e-6:  # what adding up leaves behind
            return Taken(False, used, over_s)
        if not only_look:
            table[one] = full_at_one + each_s
            table[two] = full_at_two + each_s
        return Taken(True, used + 1)

    def add(self, key: str, rate: Rate) -> None:
        """Count one more, also beyond the limit: what could not be refused has to be waited for."""
        now = self._monotonic()
        for slot in self._slots(key):
            self._table[slot] = max(self._table[slot], now) + rate.each_s

    def _find_slots(self, key: str) -> tuple[int, int]:
        digest = blake2b(key.encode("utf-8", "replace"), digest_size=8, key=self._key).digest()
        number = int.from_bytes(digest)
        return number % HALF, HALF + (number >> 32) % HALF
