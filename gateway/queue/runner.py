"""The outbound queue at work: what is due is taken, tried, and settled.

Owns the life of the runner and how its pieces hang together: ``taking`` asks the store for what
``sites`` have room for, ``dispatch`` starts attempts in turn, ``attempts`` makes and records them.
Never sends, never decides a retry time, never writes a report.

Limits: ``RunnerLimits``. A message is in hand once for each destination, and with one attempt at a
time there; what it has beyond the recipients of that attempt is taken again when these are recorded
(SECURITY D4). A destination that is slow keeps no more than its share of the attempts and a short
line (SECURITY N6, D10); the place of an attempt is free when it is recorded, so that no more than
are in flight can be sent and yet unrecorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from gateway.core.address import Address
from gateway.core.ids import QueueId
from gateway.core.ports.clock import Timers, WallClock
from gateway.core.ports.queue import QueueStore
from gateway.core.ports.routing import Router
from gateway.core.ports.trace import TraceStore
from gateway.core.queue import DestinationStatus, QueueItem
from gateway.queue.attempts import Attempts, Delivery, Holder
from gateway.queue.clock import QueueClock
from gateway.queue.dispatch import Dispatcher
from gateway.queue.hands import Hands
from gateway.queue.journal import Journal
from gateway.queue.limits import RunnerLimits
from gateway.queue.line import Group
from gateway.queue.paces import Paces
from gateway.queue.reports import ReportWriter
from gateway.queue.screen import NoScreen, Screen
from gateway.queue.settle import Settler
from gateway.queue.sites import Site, Sites
from gateway.queue.taking import Taker
from gateway.queue.tasks import Tasks


class QueueRunner:
    """Runs the queue of one store.

    Args:
        paces: how fast, and when again, by destination.
        owner: names this runner in leases.
        rejects_over_quota: mail for a full mailbox goes back at once instead of waiting.
        trace: keeps what happened.
        screen: asked before each attempt; ``hold`` does what it wants held.
        double_bounces_to: who hears of failures that no sender can be told of.
    """

    def __init__(
        self,
        store: QueueStore,
        delivery: Delivery,
        router: Router,
        *,
        hostname: str,
        timers: Timers,
        wall_clock: WallClock,
        random: Random,
        paces: Paces | None = None,
        limits: RunnerLimits | None = None,
        owner: str = "runner",
        rejects_over_quota: bool = False,
        trace: TraceStore | None = None,
        screen: Screen | None = None,
        hold: Holder | None = None,
        double_bounces_to: Address | None = None,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._timers = timers
        self._limits = limits = limits or RunnerLimits()
        paces = paces or Paces()
        self._tasks = Tasks(timers)
        self._clock = QueueClock(wall_clock, timers, paces.longest_delay_s + limits.lease_s)
        self._sites = Sites(paces, limits.destinations, limits.line)
        self._hands = Hands()
        journal = Journal(trace, wall_clock)
        screen = screen or NoScreen()
        self._attempts = Attempts(
            delivery,
            Settler(
                store,
                ReportWriter(store, router, hostname, journal, double_bounces_to=double_bounces_to),
                schedule_of=paces.schedule,
                random=random,
                sleep=self._tasks.sleep,
                journal=journal,
                rejects_over_quota=rejects_over_quota,
            ),
            screen,
            hold,
            clock=self._clock,
            timers=timers,
            random=random,
            learnt=self._learnt,
            over=self._over,
        )
        self._dispatcher = Dispatcher(limits, timers, self._launch, self._wants_more)
        self._taker = Taker(
            store,
            self._sites,
            self._hands,
            limits,
            clock=self._clock,
            timers=timers,
            tasks=self._tasks,
            owner=owner,
            prepare=screen.load,
            take=self._take,
            changed=self._dispatcher.changed,
            taken=self._dispatcher.pump,
        )
        self._watching = self._stopping = False

    # -- life

    def start(self) -> None:
        """Begin; returns at once."""
        self._stop_watching = self._store.watch_queue(self.wake)
        self._watching = True
        self.wake()

    async def stop(self) -> None:
        """Finish attempts within ``drain_s``, then break them off; nothing is lost by that.

        Returns when nothing is in flight any more and the store may be closed.
        """
        if self._stopping:
            return
        self._stopping = True
        if self._watching:
            self._stop_watching()
        self._taker.stop()
        self._dispatcher.stop()
        for site in self._sites:
            for group in site.line.clear():
                self._tasks.run(self._put_back(group))
        self._tasks.run(self._delivery.stop())
        await self._tasks.drain(self._limits.drain_s)
        self._attempts.break_off()
        self._tasks.end_sleeps()
        await self._tasks.drain(self._limits.drain_s)

    @property
    def is_at_rest(self) -> bool:
        """Nothing goes on: what is to come waits for time, or for mail."""
        return self._tasks.are_done and self._taker.is_idle

    def wake(self) -> None:
        """Look for due mail soon; cheap to call often."""
        self._taker.wake()

    # -- for administrators

    def recall(self, queue_id: QueueId, *, if_whole: bool) -> bool:
        """Let go of what waits for room of this message, and take none of it until ``allow``.

        Args:
            if_whole: only if none of it is being sent now.

        Returns:
            Some of it is being sent now.
        """
        groups = self._hands.of(queue_id)
        waiting = [group for group in groups if group.waits]
        is_sent = len(waiting) < len(groups)
        if is_sent and if_whole:
            return True
        for group in waiting:
            site = self._site(group.item)
            site.line.remove(group)
            self._dispatcher.changed(site)
        self._hands.recall(queue_id, waiting)
        return is_sent

    def allow(self, queue_id: QueueId, *, is_done: bool = False) -> None:
        """Whoever recalled the message has held, changed or removed it (``is_done``: that ended its
        leases), or could not."""
        for group in self._hands.allow(queue_id, is_done=is_done):
            self._tasks.run(self._attempts.put_back(group))
        self._taker.recheck()

    def revive(self, destination: str | None) -> None:
        """Try a destination's mail that is due now, though it is dead, busy or between two of its
        slots; None: all of them."""
        now = self._timers.seconds()
        if destination is not None:
            site = self._sites.find(destination)
            sites = [] if site is None else [site]
        else:
            sites = list(self._sites)
        for site in sites:
            site.revive(now)
            self._dispatcher.changed(site)
            if site.more:
                self._taker.ask(site)
        self._dispatcher.pump()

    def snapshot(self) -> Sequence[DestinationStatus]:
        """The destinations that have something in hand or are in trouble."""
        now, unix = self._timers.seconds(), self._clock.now()
        found = []
        for site in self._sites:
            if site.is_idle and not site.more and site.problem is None:
                continue
            closed = max(site.closed_until, 0.0 if site.is_dead else site.next_slot) - now
            until = unix + int(closed) + 1 if closed > 0 else None
            found.append(
                DestinationStatus(
                    site.name,
                    int(site.window),
                    site.in_flight,
                    len(site.line),
                    dead_until=until if site.is_dead else None,
                    limited_until=None if site.is_dead else until,
                    problem="" if site.problem is None else site.problem.reply,
                )
            )
        return found

    # -- taking

    def _site(self, item: QueueItem) -> Site:
        return self._sites.get(item.destination, self._timers.seconds())

    def _take(self, site: Site, item: QueueItem) -> None:
        if site.defers(self._timers.seconds()) and not self._stopping:
            group = Group(item)
            group.waits = False
            self._hands.take(group)
            self._tasks.run(self._attempts.defer(site, group))
            return
        group = self._first_group(item)
        self._hands.take(group)
        if self._stopping:
            self._tasks.run(self._put_back(group))
            return
        site.line.add(group)
        self._dispatcher.changed(site)

    def _first_group(self, item: QueueItem) -> Group:
        """Those who go together first: one transaction, by one next hop."""
        recipients = item.recipients
        if len(recipients) == 1:
            return Group(item)
        next_hop = recipients[0].next_hop
        together = tuple(each for each in recipients if each.next_hop == next_hop)
        together = together[: self._limits.recipients_per_attempt]
        if len(together) == len(recipients):
            return Group(item)
        return Group(replace(item, recipients=together), rest=True)

    def _wants_more(self, site: Site) -> None:
        if site.more and not self._stopping and site.room(self._timers.seconds()):
            self._taker.ask(site)

    # -- attempts

    def _launch(self, site: Site, group: Group) -> None:
        group.task = self._tasks.run(self._attempts.make(site, group))

    def _learnt(self, site: Site, died: bool) -> None:
        """What waits in a dead one's line is put off, as is what the store has for it."""
        groups = site.line.clear() if died else ()
        self._dispatcher.changed(site)
        for group in groups:
            group.waits = False
            self._tasks.run(self._attempts.defer(site, group))
        if died and site.more:
            self._taker.ask(site)

    def _over(self, site: Site, group: Group, kept: bool) -> None:
        """An attempt, or what stood for one, is recorded, or (``kept``) cannot be."""
        if not kept:
            self._hands.let_go(group)
        if group.rest and not kept:
            site.more = site.urgent = True
        if group.counts:
            self._dispatcher.ended(site, group)
        self._wants_more(site)
        self._dispatcher.pump()
        self._taker.recheck()

    async def _put_back(self, group: Group) -> None:
        await self._attempts.put_back(group)
        self._hands.let_go(group)
