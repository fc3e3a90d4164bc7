"""Takes due mail from the store for destinations that have room for it.

Owns when the store is asked (after commits that queued mail, when the next part is due, when a line
has run low, and at least every ``idle_s``) and how much is taken. What is taken goes into lines;
a destination without room is put off in the store, and asked for directly as soon as it has room,
so that nobody walks over mail that cannot go now. One call for all who want something; while it
runs the next wishes gather.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from math import ceil

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ports.clock import Timer, Timers
from gateway.core.ports.queue import QueueStore
from gateway.core.queue import QueueItem, Wish
from gateway.queue.clock import QueueClock
from gateway.queue.hands import Hands
from gateway.queue.limits import RunnerLimits
from gateway.queue.sites import Site, Sites
from gateway.queue.tasks import Tasks

RECHECK_S = 1.0
TROUBLE_S = 15.0
SHORT_S = 30
"""While memory is full a destination is left alone for so long, or till there is room again."""


class Taker:
    """Asks the store.

    Args:
        owner: names this runner in leases.
        prepare: done once before anything is taken; tried again if it fails.
        take: gets each item that is new here.
        changed: a destination may start something again.
        taken: everything of one call has been handed out.
    """

    log = Logger()

    def __init__(
        self,
        store: QueueStore,
        sites: Sites,
        hands: Hands,
        limits: RunnerLimits,
        *,
        clock: QueueClock,
        timers: Timers,
        tasks: Tasks,
        owner: str,
        prepare: Callable[[], Awaitable[None]],
        take: Callable[[Site, QueueItem], None],
        changed: Callable[[Site], None],
        taken: Callable[[], None],
    ) -> None:
        self._store = store
        self._sites = sites
        self._hands = hands
        self._limits = limits
        self._clock = clock
        self._timers = timers
        self._tasks = tasks
        self._owner = owner
        self._prepare: Callable[[], Awaitable[None]] | None = prepare
        self._take = take
        self._changed = changed
        self._taken = taken
        self._asked: dict[str, None] = {}
        self._short: dict[str, None] = {}  # got less than they had room for
        self._look = self._busy = self._stopping = False
        self._timer: Timer | None = None

    @property
    def is_idle(self) -> bool:
        return not self._busy

    def stop(self) -> None:
        self._stopping = True
        self._set_timer(None)

    def wake(self) -> None:
        """Look for due mail; cheap to call often."""
        self._look = True
        self._begin()

    def ask(self, site: Site) -> None:
        """This one may have more now."""
        self._asked[site.name] = None
        self._begin()

    def recheck(self) -> None:
        """What was just recorded may be due before the timer; a second gathers several. And it
        left room in memory."""
        if self._short and len(self._hands) <= self._limits.unproven_messages // 2:
            page = list(self._short)[: self._limits.page]
            for name in page:
                del self._short[name]
            self._asked.update(dict.fromkeys(page))
            self._begin()
        if not self._busy and not self._stopping:
            self._set_timer(RECHECK_S, at_most=True)

    def _begin(self) -> None:
        if not self._busy and not self._stopping:
            self._busy = True
            self._tasks.run(self._work())

    async def _work(self) -> None:
        delay_s = TROUBLE_S
        try:
            found = False
            if self._prepare is not None:
                await self._prepare()
                self._prepare = None
            while (self._look or self._asked) and not self._stopping:
                found = await self._round() or found
            # While mail passes the next second shows what has come due; only then is it asked.
            delay_s = RECHECK_S if found or self._stopping else await self._until_due()
        except GatewayError as problem:
            self.log.warn("queue cannot be read: {why}", why=problem)
        except CancelledError:
            raise
        except Exception:
            self.log.failure("queue cannot be read")
        finally:
            self._busy = False
        if self._stopping:
            return
        if (self._look or self._asked) and delay_s != TROUBLE_S:
            self._begin()  # mail came while the store was asked for the next due time
        else:
            self._set_timer(delay_s)

    async def _until_due(self) -> float:
        delay_s = self._limits.idle_s
        due_at = self._clock.observe(await self._store.next_due_at())
        release_at = await self._store.next_release_at()
        for at, now in ((due_at, self._clock.now()), (release_at, self._clock.promised())):
            if at is not None:
                delay_s = min(delay_s, max(RECHECK_S, at - now))
        return delay_s

    async def _round(self) -> bool:
        """One page of destinations, and those who want more. False if there were none."""
        names: Sequence[str] = ()
        if self._look:
            self._look = False
            names = await self._store.ready(
                self._clock.now(), self._limits.page, released_until=self._clock.promised()
            )
            self._look = self._look or len(names) >= self._limits.page
        asked = list(self._asked)[: self._limits.page]
        wishes = self._wishes(dict.fromkeys((*names, *asked)))
        if not wishes:
            return False
        for name in asked:
            del self._asked[name]
        try:
            leased = await self._store.lease(
                wishes, self._clock.now(), self._owner, self._limits.lease_s
            )
        except BaseException:
            self._asked.update(dict.fromkeys(asked))
            raise
        now = self._timers.seconds()
        for wish in wishes:
            site = self._sites.get(wish.destination, now)
            site.more = wish.destination in leased.more
            if wish.messages and site.urgent:
                site.urgent = False
                self._changed(site)
        for item in leased.items:
            if self._hands.refuses(item):
                continue  # its lease had ended, and is renewed by that
            try:
                self._take(self._sites.get(item.destination, now), item)
            except Exception:
                # One poisoned message must not stop the others (SECURITY D10).
                self.log.failure("{queue_id} cannot be handed out", queue_id=item.queue_id)
        self._taken()
        return True

    def _wishes(self, names: dict[str, None]) -> list[Wish]:
        wishes = []
        now, monotonic = self._clock.now(), self._timers.seconds()
        free = self._limits.messages - len(self._hands)
        for name in names:
            site = self._sites.get(name, monotonic)
            wish = self._wish(site, free, now, monotonic)
            free -= wish.messages
            wishes.append(wish)
        return wishes

    def _wish(self, site: Site, free: int, now: int, monotonic: float) -> Wish:
        limits = self._limits
        reserved = 0 if site.proven else limits.messages - limits.unproven_messages
        free = max(1 if site.urgent else 0, free - reserved)
        if site.defers(monotonic):
            return Wish(site.name, min(free, limits.deferrals), now + 1)
        room = site.room(monotonic)
        if room > 1:
            site.filled(monotonic, limits.line, limits.longest_line)
            room = site.room(monotonic)
        if room > free:
            if len(self._short) < limits.destinations:
                self._short[site.name] = None
            return Wish(site.name, free, now + SHORT_S)
        opens_in_s = max(site.closed_until, site.next_slot) - monotonic
        later_s = ceil(opens_in_s) if opens_in_s > 0 and not room else limits.park_s
        return Wish(site.name, room, now + max(1, later_s))

    def _set_timer(self, seconds: float | None, *, at_most: bool = False) -> None:
        if self._timer is not None and self._timer.active():
            sooner = self._timer.getTime() <= self._timers.seconds() + (seconds or 0.0)
            if at_most and sooner:
                return
            self._timer.cancel()
        self._timer = None if seconds is None else self._timers.callLater(seconds, self.wake)
