"""The outbound queue at work: takes what is due, hands it out by destination, has it settled.

Owns when the store is asked (after commits that queued mail, when the next recipient is due, and
at least every ``idle_s``), how much is in flight, and stopping. Never sends, never decides a
retry time, never writes a report.

Limits: ``RunnerLimits``. A destination that is slow keeps at most ``per_destination`` attempts and
a short line of waiting ones; more of its mail is put back for a while, so that it cannot fill the
runner (SECURITY N6, D10). What was put back comes due again spread over time: soon enough to keep a
destination busy, not all at once however long the queue is. In a line the higher priority goes
first. A recipient in flight is never taken twice, also when its lease ends: taking it again then
merely renews the lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ids import QueueId
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.core.ports.queue import QueueStore
from gateway.core.ports.routing import Router
from gateway.core.ports.trace import TraceStore
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.queue import deadlines
from gateway.queue.clock import QueueClock
from gateway.queue.journal import Journal
from gateway.queue.limits import RunnerLimits
from gateway.queue.line import Group, Line
from gateway.queue.reports import ReportWriter
from gateway.queue.schedule import Schedule
from gateway.queue.settle import Settler
from gateway.queue.tasks import Tasks

RECHECK_S = 1.0
FIRST_BACK_S = 2.0
MAX_TROUBLED = 10_000


class Delivery(Protocol):
    """Makes attempts; kept by ``delivery.remote``."""

    def destination(self, recipient: WaitingRecipient) -> str: ...

    async def attempt(
        self, item: QueueItem, recipients: Sequence[WaitingRecipient], next_hop: str
    ) -> list[Outcome]: ...


class QueueRunner:
    """Runs the queue of one store.

    Args:
        owner: names this runner in leases.
        rejects_over_quota: mail for a full mailbox goes back at once instead of waiting.
        trace: keeps what happened.
    """

    log = Logger()

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
        schedule: Schedule | None = None,
        limits: RunnerLimits | None = None,
        owner: str = "runner",
        rejects_over_quota: bool = False,
        trace: TraceStore | None = None,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._timers = timers
        self._tasks = Tasks(timers)
        self._limits = limits or RunnerLimits()
        self._owner = owner
        schedule = schedule or Schedule()
        self._clock = QueueClock(
            wall_clock, timers, schedule.longest_delay_s + self._limits.lease_s
        )
        journal = Journal(trace, wall_clock)
        self._settler = Settler(
            store,
            ReportWriter(store, router, hostname, journal),
            schedule=schedule,
            random=random,
            sleep=self._tasks.sleep,
            journal=journal,
            rejects_over_quota=rejects_over_quota,
        )
        self._in_flight: dict[QueueId, set[int]] = {}
        self._recalled: set[QueueId] = set()
        self._waiting: dict[str, Line] = {}
        self._slots: dict[str, float] = {}  # when the next one put back comes due, by destination
        self._active: Counter[str] = Counter()
        self._troubled: set[str] = set()  # destinations whose latest attempt reached nobody
        self._attempts: set[Deferred[list[Outcome]]] = set()
        self._timer: Timer | None = None
        self._stop_watching: Callable[[], None] | None = None
        self._scanning = self._wanted = False
        self._full = self._pumping = False
        self._stopping = False

    # -- life

    def start(self) -> None:
        """Begin; returns at once."""
        self._stop_watching = self._store.watch_queue(self.wake)
        self.wake()

    async def stop(self) -> None:
        """Finish attempts within ``drain_s``, then break them off; nothing is lost by that.

        Returns when nothing is in flight any more and the store may be closed.
        """
        if self._stopping:
            return
        self._stopping = True
        if self._stop_watching is not None:
            self._stop_watching()
        self._set_timer(None)
        waiting = [group for line in self._waiting.values() for group in line.groups]
        self._waiting.clear()
        for group in waiting:
            self._tasks.run(self._put_back(group, self._clock.now()))
        await self._tasks.drain(self._limits.drain_s)
        for attempt in list(self._attempts):
            attempt.cancel()
        self._tasks.end_sleeps()
        await self._tasks.drain(self._limits.drain_s)

    @property
    def is_at_rest(self) -> bool:
        """Nothing goes on: what is to come waits for time, or for mail."""
        return self._tasks.are_done and not (self._scanning or self._wanted)

    def wake(self) -> None:
        """Look for due mail soon; cheap to call often."""
        if self._stopping or self._scanning:
            self._wanted = True
            return
        self._scanning = True
        self._tasks.run(self._scan())

    def recall(self, queue_id: QueueId, *, if_whole: bool) -> bool:
        """Let go of what waits for room of this message, and take none of it until ``allow``.

        Args:
            if_whole: only if none of it is being sent now.

        Returns:
            Some of it is being sent now.
        """
        lines = [
            (line, group)
            for line in self._waiting.values()
            for group in line.groups
            if group.item.queue_id == queue_id
        ]
        waiting = {each.number for _, group in lines for each in group.recipients}
        is_sent = not self._in_flight.get(queue_id, set()) <= waiting
        if is_sent and if_whole:
            return True
        self._recalled.add(queue_id)
        for line, group in lines:
            line.groups.remove(group)
            self._let_go(group)
        return is_sent

    def allow(self, queue_id: QueueId) -> None:
        """Whoever recalled the message has held or removed it, or could not."""
        self._recalled.discard(queue_id)

    # -- taking

    async def _scan(self) -> None:
        delay_s = self._limits.idle_s
        try:
            while not self._stopping:
                self._wanted = False
                if not await self._take_due() and not self._wanted:
                    break
            if not self._stopping:
                due_at = self._clock.observe(await self._store.next_due_at())
                for at in (due_at, await self._store.next_release_at()):
                    if at is not None:
                        # What is due but was not handed out is leased or waits for room.
                        delay_s = min(delay_s, max(1.0, at - self._clock.now()))
        except GatewayError as problem:
            self.log.warn("queue cannot be read: {why}", why=problem)
        except CancelledError:
            raise
        except Exception:
            self.log.failure("queue cannot be read")
        finally:
            self._scanning = False
        if self._stopping:
            return
        if self._wanted:
            self.wake()  # mail came while the store was asked for the next due time
        else:
            self._set_timer(delay_s)

    async def _take_due(self) -> bool:
        """Take a batch; False when there is no more or no room."""
        room = self._limits.messages - len(self._in_flight)
        self._full = room <= 0
        if self._full:
            return False  # the next group that ends wakes us
        items = await self._store.lease_due(
            self._clock.now(), self._owner, self._limits.lease_s, room
        )
        taken = False
        for item in items:
            try:
                taken = self._take(item) or taken
            except Exception:
                # One poisoned message must not stop the others (SECURITY D10).
                self.log.failure("{queue_id} cannot be handed out", queue_id=item.queue_id)
        self._pump()
        return taken and len(items) >= room

    def _take(self, item: QueueItem) -> bool:
        if item.queue_id in self._recalled:
            return False
        held = self._in_flight.get(item.queue_id, set())
        groups: dict[tuple[str, str], list[WaitingRecipient]] = {}
        for recipient in item.recipients:
            if recipient.number not in held:
                key = (self._delivery.destination(recipient), recipient.next_hop)
                groups.setdefault(key, []).append(recipient)
        step = self._limits.recipients_per_attempt
        for (destination, _), recipients in groups.items():
            for start in range(0, len(recipients), step):
                part = tuple(recipients[start : start + step])
                self._hold(item.queue_id, part)
                self._queue(Group(item, part, destination))
        return bool(groups)

    def _queue(self, group: Group) -> None:
        line = self._waiting.setdefault(group.destination, Line())
        limits = self._limits
        troubled = group.destination in self._troubled
        room = limits.waiting_when_troubled if troubled else limits.waiting_per_destination
        if self._stopping:
            self._tasks.run(self._put_back(group, self._clock.now()))
            return
        if len(line) >= room:
            put_back = group
            if not line.outranks(group):
                put_back = line.last()
                line.add(group)
            now = self._clock.now()
            at = now + limits.put_back_s if troubled else self._next_slot(group.destination)
            self._tasks.run(self._put_back(put_back, at))
        else:
            line.add(group)

    def _next_slot(self, destination: str) -> int:
        now = self._clock.now()
        slot = max(self._slots.get(destination, 0.0), now + FIRST_BACK_S)
        self._slots[destination] = slot + 1 / self._limits.back_per_s
        return int(min(slot, now + self._limits.put_back_s))

    # -- attempts

    def _pump(self) -> None:
        """Start what may start, one per destination in turn."""
        if self._pumping:
            return  # an attempt ended at once; the loop below goes on anyway
        self._pumping = True
        try:
            self._start_attempts()
        finally:
            self._pumping = False

    def _start_attempts(self) -> None:
        started = True
        while started and len(self._attempts) < self._limits.attempts and not self._stopping:
            started = False
            for destination in list(self._waiting):
                line = self._waiting[destination]
                if not len(line):
                    del self._waiting[destination]
                    self._slots.pop(destination, None)
                    continue
                if len(self._attempts) >= self._limits.attempts:
                    break
                if self._active[destination] < self._limits.per_destination:
                    self._active[destination] += 1
                    self._tasks.run(self._attempt(line.first()))
                    started = True

    async def _attempt(self, group: Group) -> None:
        outcomes = await self._outcomes(group)
        self._active[group.destination] -= 1
        self._active += Counter()  # drops zeros
        try:
            if outcomes is None:
                await self._settler.put_back(group.item, group.recipients, self._clock.now())
            else:
                self._judge(group.destination, outcomes)
                now = self._clock.now()
                await self._settler.settle(group.item, group.recipients, outcomes, now)
        except CancelledError:
            raise
        except Exception:
            # Sent but not recorded: were the recipients let go, they would get the message again
            # and again. They stay held till the next start (SECURITY D4, D10).
            self.log.failure(
                "{queue_id} cannot be recorded and is held", queue_id=group.item.queue_id
            )
            self._pump()
        else:
            self._release(group)

    async def _outcomes(self, group: Group) -> list[Outcome] | None:
        """One attempt; None when it was broken off because the gateway stops."""
        if deadlines.must_go_back(group.item, self._clock.now()):
            over, text = deadlines.OVER, deadlines.OVER_TEXT
            return [Outcome(each.number, Verdict.FAILED, over, text) for each in group.recipients]
        attempt: Deferred[list[Outcome]] = Deferred.fromCoroutine(
            self._delivery.attempt(group.item, group.recipients, group.recipients[0].next_hop)
        )
        self._attempts.add(attempt)
        try:
            return await attempt
        except Exception as problem:
            if isinstance(problem, CancelledError) and self._stopping:
                return None
            self.log.failure("{queue_id} attempt failed within", queue_id=group.item.queue_id)
            text = "an error inside this server; its log says more"
            return [
                Outcome(recipient.number, Verdict.DEFERRED, "4.3.0", text)
                for recipient in group.recipients
            ]
        finally:
            self._attempts.discard(attempt)

    def _judge(self, destination: str, outcomes: Sequence[Outcome]) -> None:
        if all(o.verdict is Verdict.DEFERRED and not o.remote for o in outcomes):
            if len(self._troubled) >= MAX_TROUBLED:
                self._troubled.clear()  # a hint, cheaper to learn anew than to keep in order
            self._troubled.add(destination)
        else:
            self._troubled.discard(destination)

    async def _put_back(self, group: Group, at: int) -> None:
        try:
            await self._settler.put_back(group.item, group.recipients, at)
        finally:
            self._release(group)

    def _hold(self, queue_id: QueueId, recipients: Sequence[WaitingRecipient]) -> None:
        self._in_flight.setdefault(queue_id, set()).update(r.number for r in recipients)

    def _let_go(self, group: Group) -> None:
        held = self._in_flight.get(group.item.queue_id, set())
        held.difference_update(recipient.number for recipient in group.recipients)
        if not held:
            self._in_flight.pop(group.item.queue_id, None)

    def _release(self, group: Group) -> None:
        self._let_go(group)
        self._pump()
        if self._full:
            self.wake()
        elif not self._stopping and not self._scanning:
            # What was just recorded may be due before the timer; a second gathers several.
            self._set_timer(RECHECK_S, at_most=True)

    def _set_timer(self, seconds: float | None, *, at_most: bool = False) -> None:
        if self._timer is not None and self._timer.active():
            sooner = self._timer.getTime() <= self._timers.seconds() + (seconds or 0.0)
            if at_most and sooner:
                return
            self._timer.cancel()
        self._timer = None if seconds is None else self._timers.callLater(seconds, self.wake)
