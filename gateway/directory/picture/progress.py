"""How refreshing goes, for the log and for ``gateway status``; of the process that does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Of one directory, since this process refreshes it.

    Args:
        way: how changes are learnt (``strategies``); empty: not known yet.
        server: that was asked last.
        error: why the last refresh failed; empty: it did not.
        failures: since it last went well.
        changed: entries that have changed since the start.
        unusable: entries of the last listing that cannot be used.
        unusable_examples: some of them, with the reason.
        running: a listing does.
        seen: entries of the listing that runs, or ran last.
        listing_took_s: how long that has taken.
    """

    way: str = ""
    server: str = ""
    error: str = ""
    failures: int = 0
    changed: int = 0
    unusable: int = 0
    unusable_examples: Sequence[str] = ()
    running: bool = False
    seen: int = 0
    listing_took_s: float = 0.0
    _began: float = 0.0

    @property
    def per_second(self) -> float:
        return self.seen / self.listing_took_s if self.listing_took_s > 0 else 0.0

    def listing_begins(self, now: float) -> None:
        self.running, self.seen, self.listing_took_s, self._began = True, 0, 0.0, now

    def listed(self, seen: int, now: float) -> None:
        self.seen, self.listing_took_s = seen, now - self._began

    def listing_ends(self, now: float) -> None:
        self.running, self.listing_took_s = False, now - self._began
