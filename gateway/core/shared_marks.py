"""Marks that end by themselves, seen by all processes: small numbers in one table that they share.

Owns the table's use. A mark is two words: when it ends together with its number, and that word
xored with the name's tag. What two processes write at once into one place fits no tag, so it is no
mark at all: nothing has to be locked, cleared or swept. A name has WAYS places, which a keyed hash
gives it; as the key is secret, nobody can aim. When all are taken, the smallest number goes first,
and of equal ones that which ends first. Names are never kept, only 64 bits of their hash. The same
class over a table of its own is what one process alone uses.

Limits: PLACES marks, numbers up to MAX_NUMBER. Processes that change the same mark within the same
microseconds may lose one of the changes. Time is monotonic and the machine's, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Protocol

PLACES = 65_536
WORDS = 2 * PLACES
WAYS = 4
MAX_NUMBER = 0xFFFF
_NUMBER_BITS = 16


class Words(Protocol):
    """The shared table: unsigned 64-bit numbers, all zero in the beginning."""

    def __getitem__(self, at: int, /) -> int: ...

    def __setitem__(self, at: int, number: int, /) -> None: ...


class SharedMarks:
    """Numbers by name, each for a while.

    Args:
        table: WORDS numbers.
        key: secret, the same for all processes.
        monotonic: seconds; the same for all processes.
    """

    def __init__(self, table: Words, key: bytes, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._key = key
        self._monotonic = monotonic

    def get(self, name: bytes) -> int:
        """The number, 0 if there is none or its time is over."""
        places, tag = self._find(name)
        now_ms = int(self._monotonic() * 1000)
        for _, ends_ms, number in self._of_tag(places, tag):
            return number if ends_ms > now_ms else 0
        return 0

    def left_s(self, name: bytes) -> float:
        """For how long the number is kept still; 0: there is none."""
        places, tag = self._find(name)
        now_ms = int(self._monotonic() * 1000)
        ends = (ends_ms for _, ends_ms, _ in self._of_tag(places, tag))
        return max(0, next(ends, now_ms) - now_ms) / 1000

    def put(self, name: bytes, number: int, for_s: float) -> None:
        """Keep the number for so long, in place of any that the name has."""
        assert 0 < number <= MAX_NUMBER
        places, tag = self._find(name)
        now_ms = int(self._monotonic() * 1000)
        at = next((at for at, _, _ in self._of_tag(places, tag)), None)
        if at is None:
            at = min(places, key=lambda place: self._worth(place, now_ms))
        self._write(at, tag, int(now_ms + for_s * 1000) << _NUMBER_BITS | number)

    def forget(self, name: bytes) -> None:
        places, tag = self._find(name)
        for at, _, _ in self._of_tag(places, tag):
            self._write(at, 0, 0)

    # -- places

    def _find(self, name: bytes) -> tuple[range, int]:
        digest = blake2b(name, digest_size=16, key=self._key, person=b"marks").digest()
        first = int.from_bytes(digest[:8]) % (PLACES // WAYS) * WAYS * 2
        return range(first, first + WAYS * 2, 2), int.from_bytes(digest[8:])

    def _of_tag(self, places: range, tag: int) -> Iterator[tuple[int, int, int]]:
        """Place, end and number of what is there under this tag, also when it is over."""
        for at in places:
            word = self._table[at + 1]
            if word and self._table[at] ^ word == tag:
                yield at, word >> _NUMBER_BITS, word & MAX_NUMBER

    def _worth(self, at: int, now_ms: int) -> tuple[int, int]:
        word = self._table[at + 1]
        ends_ms = word >> _NUMBER_BITS
        return (word & MAX_NUMBER, ends_ms) if ends_ms > now_ms else (0, 0)

    def _write(self, at: int, tag: int, word: int) -> None:
        self._table[at] = tag ^ word
        self._table[at + 1] = word
