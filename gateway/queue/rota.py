"""Whose turn it is among the destinations that could start an attempt now.

Owns the order: who has the fewest in flight comes first, in rotation among equals. So attempts are
shared evenly however much mail waits for whom, and finding the next costs the same however many
destinations there are. Never knows why one may start.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.queue.sites import Site


class Rota:
    """Destinations by how many attempts they have in flight."""

    def __init__(self) -> None:
        self._places: list[OrderedDict[Site, None]] = []

    def add(self, site: Site) -> None:
        """At the end of those with as many in flight as it has now; there once only."""
        if site.place == site.in_flight and site in self._places[site.place]:
            return
        self.discard(site)
        while len(self._places) <= site.in_flight:
            self._places.append(OrderedDict())
        site.place = site.in_flight
        self._places[site.place][site] = None

    def discard(self, site: Site) -> None:
        if 0 <= site.place < len(self._places):
            self._places[site.place].pop(site, None)
        site.place = -1

    def first(self, free: int) -> Site | None:
        """The next that has fewer in flight than this; stays in."""
        for place in self._places[: max(free, 0)]:
            if place:
                return next(iter(place))
        return None
