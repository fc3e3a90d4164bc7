"""A queue for a great many messages, and destinations that take a known time, for tests of the
scheduler.

``ManyQueue`` keeps what the runner relies on of core/ports/queue.QueueStore for messages of one
recipient, and costs the same however many there are; ``MemoryQueue`` keeps all of the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS, MessageOptions
from gateway.core.ids import BlobId, QueueId
from gateway.core.messages import NewMessage
from gateway.core.ports.queue import Leased
from gateway.core.queue import (
    DestinationStatus,
    Outcome,
    QueueDepth,
    QueueItem,
    Recorded,
    Trouble,
    Verdict,
    WaitingRecipient,
    Wish,
)
from gateway.queue.limits import RunnerLimits
from gateway.queue.paces import Pace, Paces
from gateway.queue.runner import QueueRunner
from tests.support.queue_fakes import FakeRouter, FakeTime, MemoryBody
from tests.support.queue_world import EXACT

Ready = tuple[int, int, int]


@dataclass
class ManyQueue:
    """Ready messages by destination, later ones by time."""

    items: dict[int, QueueItem] = field(default_factory=dict)
    look_at: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    wishes: int = 0
    leased: int = 0
    watchers: list[Callable[[], None]] = field(default_factory=list)
    _ready: dict[str, list[Ready]] = field(default_factory=dict)
    _later: list[tuple[int, int]] = field(default_factory=list)

    def add(
        self,
        destination: str,
        *,
        count: int = 1,
        at: int,
        turn: int = 1,
        step: int = 0,
        options: MessageOptions = NO_OPTIONS,
    ) -> None:
        """Messages of one sender; each has its turn ``step`` behind the one before."""
        for each in range(count):
            number = len(self.items) + 1
            to = WaitingRecipient(0, Address("b", destination), "", 0)
            self.items[number] = QueueItem(
                QueueId(f"{number:x}"),
                Address("a", "x.example"),
                BlobId(1),
                0,
                10,
                at,
                (to,),
                options,
                destination=destination,
                turn=turn + each * step,
            )
            self._put(number)
        for watcher in list(self.watchers):
            watcher()

    def _put(self, number: int) -> None:
        item = self.items[number]
        line = self._ready.setdefault(item.destination, [])
        self.look_at.setdefault(item.destination, 0)
        heappush(line, (-item.options.priority, item.turn, number))

    @property
    def waiting(self) -> int:
        return sum(map(len, self._ready.values()))

    def watch_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    async def ready(
        self, now: int, limit: int, *, released_until: int | None = None
    ) -> Sequence[str]:
        self.asked += 1
        while self._later and self._later[0][0] <= now:
            self._put(heappop(self._later)[1])
        found = sorted((at, name) for name, at in self.look_at.items() if at <= now)
        return [name for _, name in found[:limit]]

    async def lease(self, wishes: Sequence[Wish], now: int, owner: str, lease_s: int) -> Leased:
        self.leased += 1
        self.wishes += len(wishes)
        items: list[QueueItem] = []
        more: set[str] = set()
        for wish in wishes:
            line = self._ready.get(wish.destination, [])
            taken = min(wish.messages, len(line))
            items += [self.items[heappop(line)[2]] for _ in range(taken)]
            if line:
                more.add(wish.destination)
                self.look_at[wish.destination] = wish.look_again_at
            else:
                self._ready.pop(wish.destination, None)
                self.look_at.pop(wish.destination, None)
        return Leased(items, frozenset(more))

    async def next_due_at(self) -> int | None:
        times = [*self.look_at.values(), *(at for at, _ in self._later[:1])]
        return min(times, default=None)

    async def next_release_at(self) -> int | None:
        return None

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        (result,) = results
        number = int(queue_id, 16)
        if result.next_attempt_at is None:
            self.items[number] = replace(self.items[number], recipients=())
            return
        item = self.items[number]
        to = replace(item.recipients[0], attempts=result.attempts, last_reply=result.reply)
        self.items[number] = replace(item, recipients=(to,))
        heappush(self._later, (result.next_attempt_at, number))

    async def depth(self) -> QueueDepth:
        return QueueDepth(self.waiting, self.waiting, None)

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        return b""

    def open_body(self) -> MemoryBody:
        return MemoryBody()


@dataclass
class TimedDelivery:
    """Each destination takes its time for a message, in seconds; None: for ever."""

    timers: Any
    default_s: float = 0.1
    times_s: dict[str, float | None] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    pending: list[Deferred[None]] = field(default_factory=list)
    order: list[QueueItem] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)

    async def stop(self) -> None:
        """There are no connections to part from."""

    async def attempt(self, item: QueueItem) -> list[Outcome]:
        name = item.destination
        self.order.append(item)
        self.running[name] = self.running.get(name, 0) + 1
        self.most[name] = max(self.most.get(name, 0), self.running[name])
        takes_s = self.times_s.get(name, self.default_s)
        if takes_s is None or takes_s > 0:
            waiting: Deferred[None] = Deferred()
            if takes_s is None:
                self.pending.append(waiting)
            else:
                self.timers.callLater(takes_s, waiting.callback, None)
            await waiting
        self.running[name] -= 1
        number = item.recipients[0].number
        trouble = self.troubles.get(name)
        if trouble is Trouble.DEAD:
            text = "connection refused"
            return [Outcome(number, Verdict.DEFERRED, "4.4.1", text, trouble=trouble)]
        if trouble is not None:
            text = "421 4.7.0 too much from you"
            return [Outcome(number, Verdict.DEFERRED, "4.7.0", text, "mx", trouble=trouble)]
        self.done[name] = self.done.get(name, 0) + 1
        return [Outcome(number, Verdict.DELIVERED, "2.0.0", "250 ok", "mx")]


class Yard:
    """A runner over these two."""

    def __init__(
        self,
        *,
        pace: Pace = EXACT,
        domains: Mapping[str, Pace] | None = None,
        seconds: float = 0.1,
        **limits: Any,
    ) -> None:
        self.time = FakeTime()
        self.queue = ManyQueue()
        self.delivery = TimedDelivery(self.time.clock, seconds)
        self.runner = QueueRunner(
            self.queue,
            self.delivery,
            FakeRouter(),
            hostname="mail.x.example",
            timers=self.time.clock,
            wall_clock=self.time.wall,
            random=Random(1),
            paces=Paces(pace, domains),
            limits=RunnerLimits(**limits),
        )
        self.runner.start()

    def add(self, destination: str, **fields: Any) -> None:
        self.queue.add(destination, at=self.time.now, **fields)

    def pass_time(self, seconds: float, step: float = 0.1) -> None:
        for _ in range(round(seconds / step)):
            self.time.clock.advance(step)

    def finish(self, *names: str, within_s: float = 600.0) -> float:
        """Until nothing of these waits or is sent; how long it took."""
        began = self.time.clock.seconds()
        wanted = {
            name: sum(i.destination == name for i in self.queue.items.values()) for name in names
        }
        while any(self.delivery.done.get(name, 0) < wanted[name] for name in names):
            assert self.time.clock.seconds() - began < within_s, self.delivery.done
            self.time.clock.advance(0.05)
        return float(self.time.clock.seconds() - began)

    def status(self, destination: str) -> DestinationStatus:
        (found,) = (e for e in self.runner.snapshot() if e.destination == destination)
        return found

    def status_or_none(self, destination: str) -> DestinationStatus | None:
        return next((e for e in self.runner.snapshot() if e.destination == destination), None)

    @property
    def in_hand(self) -> int:
        return sum(each.in_line + each.in_flight for each in self.runner.snapshot())
