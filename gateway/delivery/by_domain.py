"""A table by recipient domain: exact names, and ``*.`` for all below one.

Owns the look-up alone: the exact name, else the nearest name above.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class ByDomain(Generic[T]):
    """Never changes. False where nothing is in it.

    Args:
        entries: by domain or ``*.domain``, lower case.
    """

    __slots__ = ("_above", "_exact", "entries")

    def __init__(self, entries: Mapping[str, T]) -> None:
        self.entries = dict(entries)
        self._exact = {name: each for name, each in entries.items() if name[:2] != "*."}
        self._above = {name[2:]: each for name, each in entries.items() if name[:2] == "*."}

    def __bool__(self) -> bool:
        return bool(self.entries)

    def get(self, domain: str) -> T | None:
        found = self._exact.get(domain)
        if found is None and self._above:
            above = domain.partition(".")[2]
            while above and found is None:
                found = self._above.get(above)
                above = above.partition(".")[2]
        return found
