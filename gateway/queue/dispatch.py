"""Starts attempts: who may begin one now, within the bound of all and a fair share of it.

Owns the lines' ends and what is in flight. Never asks the store and never learns how an attempt
went; a destination that may start one later is woken when its time has come, by one timer for all.

Shares: a destination starts another attempt only while more places are free than it has in flight
(the dynamic threshold that switches share their buffers by). So one alone has at most half of them,
and while fewer are slow than there are places, some stay free for others. Destinations that nobody
knows to answer have at most three quarters together, and share these in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from gateway.core.ports.clock import Timer, Timers
from gateway.queue.limits import RunnerLimits
from gateway.queue.line import Group
from gateway.queue.rota import Rota
from gateway.queue.sites import Site

LEAST_WAIT_S = 0.01


class Dispatcher:
    """The attempts of one runner.

    Args:
        launch: begins an attempt; ``ended`` is called when it is recorded.
        woken: the time of a destination has come that had to wait.
    """

    def __init__(
        self,
        limits: RunnerLimits,
        timers: Timers,
        launch: Callable[[Site, Group], None],
        woken: Callable[[Site], None],
    ) -> None:
        self._limits = limits
        self._timers = timers
        self._launch = launch
        self._woken = woken
        self._in_flight = self._unproven = 0
        self._known, self._unknown = Rota(), Rota()
        self._unknown_next = False
        self._wakes: list[tuple[float, int, Site]] = []
        self._order = count()
        self._timer: Timer | None = None
        self._pumping = self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def changed(self, site: Site) -> None:
        """What it may do may be something else now; ``pump`` does it."""
        now = self._timers.seconds()
        rota = self._known if site.in_known else self._unknown
        if site.in_known is not site.proven:
            rota.discard(site)
            site.in_known = site.proven
            rota = self._known if site.in_known else self._unknown
        if site.may_start(now):
            rota.add(site)
            return
        rota.discard(site)
        if (at := site.opens_at(now)) is not None:
            self._wake_at(site, at)

    def pump(self) -> None:
        """Start what may start."""
        if self._pumping:
            return  # an attempt ended at once; the loop below goes on anyway
        self._pumping = True
        try:
            while not self._stopped and (site := self._next()) is not None:
                self._start(site)
        finally:
            self._pumping = False

    def ended(self, site: Site, group: Group) -> None:
        """An attempt and its record are over."""
        site.in_flight -= 1
        self._in_flight -= 1
        self._unproven -= group.unproven
        self.changed(site)

    def _next(self) -> Site | None:
        free = self._limits.attempts - self._in_flight
        if free <= 0:
            return None
        known = self._known.first(free)
        unknown = self._unknown.first(min(free, self._limits.unproven_attempts - self._unproven))
        if known is None or unknown is None:
            return known or unknown
        if known.in_flight == unknown.in_flight:
            return unknown if self._unknown_next else known
        return known if known.in_flight < unknown.in_flight else unknown

    def _start(self, site: Site) -> None:
        if not site.may_start(self._timers.seconds()):
            self.changed(site)
            return
        group = site.line.first()
        group.waits, group.counts = False, True
        group.unproven = not site.proven
        group.epoch = site.started(self._timers.seconds())
        self._in_flight += 1
        self._unproven += group.unproven
        self._unknown_next = site.proven
        self.changed(site)
        self._launch(site, group)

    # -- waiting for time

    def _wake_at(self, site: Site, at: float) -> None:
        if site.wakes_at is not None and site.wakes_at <= at:
            return
        site.wakes_at = at
        heappush(self._wakes, (at, next(self._order), site))
        if self._wakes[0][2] is site:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._wakes and not self._stopped:
            wait_s = max(LEAST_WAIT_S, self._wakes[0][0] - self._timers.seconds())
            self._timer = self._timers.callLater(wait_s, self._wake)

    def _wake(self) -> None:
        now = self._timers.seconds()
        while self._wakes and self._wakes[0][0] <= now:
            at, _, site = heappop(self._wakes)
            if site.wakes_at == at:
                site.wakes_at = None
                self.changed(site)
                self._woken(site)
        self._set_timer()
        self.pump()
