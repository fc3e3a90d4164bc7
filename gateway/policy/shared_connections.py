"""How many connections may be open, counted over several processes.

Owns the table that the processes share: one row of numbers for each, which that process alone
writes, so nothing is locked and a process that dies takes its row with it. A row holds how many
connections are open, then SLOTS counters; an address is counted in the slot that a keyed hash gives
it. What two strangers have in one slot is added up: with the limits that make sense, and slots far
more than busy addresses, that refuses nobody; and as the key is secret, nobody can aim.

Limits: processes that admit within the same microseconds may together exceed a limit by one each.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

from gateway.policy.connections import TOO_MANY, TOO_MANY_FROM_ADDRESS, counting_key

SLOTS = 16_384
ROW = 1 + SLOTS
"""Numbers to a process."""


class Numbers(Protocol):
    """The shared table."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> int: ...

    def __setitem__(self, at: int, number: int, /) -> None: ...


class SharedConnectionLimits:
    """Counts the connections of one process, and refuses by the sum over all.

    Args:
        table: ``ROW`` numbers for each process, zero for one that has just started.
        own: which row is ours.
        key: secret, the same for all processes.
        total: open at the same time, from anywhere.
        per_address: open at the same time from one address (IPv6 /64), loopback included.
    """

    def __init__(self, table: Numbers, own: int, key: bytes, total: int, per_address: int) -> None:
        self._table = table
        self._rows = range(0, len(table), ROW)
        self._own = own * ROW
        self._key = key
        self.total = total
        self.per_address = per_address

    def admit(self, ip: str) -> str:
        """Count a connection in; returns why it is refused (and then is not counted), or ''."""
        table = self._table
        if sum([table[row] for row in self._rows]) >= self.total:
            return TOO_MANY
        slot = self._slot(ip)
        if sum([table[row + slot] for row in self._rows]) >= self.per_address:
            return TOO_MANY_FROM_ADDRESS
        table[self._own] += 1
        table[self._own + slot] += 1
        return ""

    def release(self, ip: str) -> None:
        """Count out a connection that was admitted."""
        slot = self._slot(ip)
        assert self._table[self._own + slot] > 0, "released more often than admitted"
        self._table[self._own] -= 1
        self._table[self._own + slot] -= 1

    def _slot(self, ip: str) -> int:
        digest = blake2b(counting_key(ip).encode(), digest_size=8, key=self._key).digest()
        return 1 + int.from_bytes(digest) % SLOTS
