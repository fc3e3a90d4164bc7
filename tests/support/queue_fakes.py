"""A queue in memory and the runner's other partners, for tests of the sorting room.

``MemoryQueue`` keeps the contract of core/ports/queue.QueueStore, leases included; trouble is
switched on by its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS, NOTHING_ASKED, MessageOptions, RecipientOptions
from gateway.core.errors import GatewayError, OverQuota, UnknownRecipient
from gateway.core.ids import AccountId, BlobId, QueueId
from gateway.core.messages import NewMessage
from gateway.core.ports.queue import DestinationOf, Leased
from gateway.core.queue import (
    Outcome,
    QueueDepth,
    QueueItem,
    Recorded,
    Trouble,
    Verdict,
    WaitingRecipient,
    Wish,
)
from gateway.core.route import LocalMailbox, Outbound, Route


class MemoryBody:
    """An IncomingBody that can be looked at."""

    def __init__(self) -> None:
        self.octets = b""
        self.discarded = False

    @property
    def size_octets(self) -> int:
        return len(self.octets)

    def write(self, data: bytes) -> None:
        self.octets += data

    async def read(self, offset: int, length: int) -> bytes:
        return bytes(self.octets[offset : offset + length])

    def discard(self) -> None:
        self.discarded = True


Part = tuple[QueueId, str]


@dataclass
class _Row:
    """A recipient; the item is without recipients and knows their destination."""

    item: QueueItem
    recipient: WaitingRecipient
    due_at: int

    @property
    def part(self) -> Part:
        return self.item.queue_id, self.item.destination


def next_hop_or_domain(sender: Address | None, recipient: Address, next_hop: str) -> str:
    """What the store takes where nobody says better."""
    return next_hop or recipient.domain


@dataclass
class MemoryQueue:
    """Rows by message and recipient number, leases by message and destination, and the destinations
    that are not to be looked at before some time."""

    content: bytes = b"Return-Path: <>\r\nSubject: hi\r\n\r\nbody\r\n"
    content_offset: int = 17
    rows: dict[tuple[QueueId, int], _Row] = field(default_factory=dict)
    recorded: list[tuple[QueueId, tuple[Recorded, ...]]] = field(default_factory=list)
    reports: list[tuple[NewMessage, bytes]] = field(default_factory=list)
    leases: int = 0
    lease_problem: Exception | None = None
    record_problem: Exception | None = None
    read_problem: Exception | None = None
    record_gate: Deferred[None] | None = None
    watchers: list[Callable[[], None]] = field(default_factory=list)
    copies: list[tuple[QueueId, AccountId]] = field(default_factory=list)
    full: set[AccountId] = field(default_factory=set)
    destination_of: DestinationOf = next_hop_or_domain
    leased_until: dict[Part, int] = field(default_factory=dict)
    look_at: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        *addresses: str,
        queue_id: str = "Q1",
        sender: str | None = "alice@x.example",
        next_hop: str = "",
        at: int = 0,
        due_at: int | None = None,
        options: MessageOptions = NO_OPTIONS,
        asked: RecipientOptions = NOTHING_ASKED,
        turn: int | None = None,
    ) -> None:
        """Accept a message, as the store would, and tell the watchers."""
        item = QueueItem(
            QueueId(queue_id),
            Address(*sender.rsplit("@", 1)) if sender else None,
            BlobId(1),
            self.content_offset,
            len(self.content) - self.content_offset,
            at,
            (),
            options,
            turn=at * 1000 if turn is None else turn,
        )
        for number, address in enumerate(addresses):
            where = Address(*address.rsplit("@", 1))
            recipient = WaitingRecipient(number, where, next_hop, 0, options=asked)
            self._add_row(item, recipient, at if due_at is None else due_at)
        self._changed()

    def _add_row(self, item: QueueItem, recipient: WaitingRecipient, due_at: int) -> None:
        destination = self.destination_of(item.sender, recipient.address, recipient.next_hop)
        item = replace(item, destination=destination)
        self.rows[item.queue_id, recipient.number] = _Row(item, recipient, due_at)

    def _changed(self) -> None:
        for watcher in list(self.watchers):
            watcher()

    def waiting(self) -> dict[str, tuple[int, int]]:
        """Address to (attempts, due at)."""
        return {
            str(row.recipient.address): (row.recipient.attempts, row.due_at)
            for row in self.rows.values()
        }

    # -- QueueStore

    def watch_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    async def ready(
        self, now: int, limit: int, *, released_until: int | None = None
    ) -> Sequence[str]:
        turns: dict[str, int] = {}
        for row in self.rows.values():
            destination = row.item.destination
            if self._ready_at(row) <= now and self.look_at.get(destination, now) <= now:
                turn = min(turns.get(destination, row.item.turn), row.item.turn)
                turns[destination] = self.look_at.get(destination, 0) * 1000 or turn
        return sorted(turns, key=lambda each: turns[each])[:limit]

    def _ready_at(self, row: _Row) -> int:
        """When it is due and nobody has it."""
        return max(row.due_at, self.leased_until.get(row.part, row.due_at))

    async def lease(self, wishes: Sequence[Wish], now: int, owner: str, lease_s: int) -> Leased:
        self.leases += 1
        if self.lease_problem is not None:
            raise self.lease_problem
        items: list[QueueItem] = []
        more: set[str] = set()
        for wish in wishes:
            due = [
                row
                for row in self.rows.values()
                if row.item.destination == wish.destination and self._ready_at(row) <= now
            ]
            due.sort(key=lambda row: (-row.item.options.priority, row.item.turn))
            ids = list(dict.fromkeys(row.item.queue_id for row in due))
            for queue_id in ids[: wish.messages]:
                rows = [row for row in due if row.item.queue_id == queue_id]
                recipients = tuple(row.recipient for row in rows)
                items.append(replace(rows[0].item, recipients=recipients))
                self.leased_until[rows[0].part] = now + lease_s
            self.look_at.pop(wish.destination, None)
            if len(ids) > wish.messages:
                more.add(wish.destination)
                self.look_at[wish.destination] = wish.look_again_at
        return Leased(items, frozenset(more))

    async def next_due_at(self) -> int | None:
        times = (
            max(self._ready_at(row), self.look_at.get(row.item.destination, 0))
            for row in self.rows.values()
        )
        return min(times, default=None)

    async def next_release_at(self) -> int | None:
        return None

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        if self.record_gate is not None:
            await self.record_gate
        if self.record_problem is not None:
            raise self.record_problem
        results = [each for each in results if (queue_id, each.number) in self.rows]
        wanted = [(queue_id, copy.account_id) for each in results for copy in each.copies]
        new = [each for each in dict.fromkeys(wanted) if each not in self.copies]
        if over := [account_id for _, account_id in new if account_id in self.full]:
            raise OverQuota(over)
        self.copies += new
        self.recorded.append((queue_id, tuple(results)))
        for result in results:
            row = self.rows[queue_id, result.number]
            self.leased_until.pop(row.part, None)
            for number, each in enumerate(
                dict.fromkeys(result.followed_to), start=100 + len(self.rows)
            ):
                recipient = WaitingRecipient(
                    number, each.address, each.next_hop, 0, options=each.options
                )
                self._add_row(row.item, recipient, row.item.created_at)
            if result.next_attempt_at is None:
                del self.rows[queue_id, result.number]
            else:
                row.due_at = result.next_attempt_at
                row.recipient = replace(
                    row.recipient,
                    attempts=result.attempts,
                    last_reply=result.reply,
                    told_of_delay=result.told_of_delay or row.recipient.told_of_delay,
                )
        if report is not None:
            body = report.body
            assert isinstance(body, MemoryBody) and not body.discarded
            self.reports.append((report, body.octets))
            if report.remote:
                self.add(
                    str(report.remote[0].address),
                    queue_id=report.ingest_id,
                    sender=None,
                    next_hop=report.remote[0].next_hop,
                    at=report.received_at,
                    options=report.options,
                )
        elif any(result.followed_to for result in results):
            self._changed()

    async def depth(self) -> QueueDepth:
        return QueueDepth(len({key[0] for key in self.rows}), len(self.rows), None)

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        if self.read_problem is not None:
            raise self.read_problem
        return self.content[offset : offset + length]

    def open_body(self) -> MemoryBody:
        return MemoryBody()


Answer = Verdict | Exception | None


@dataclass
class FakeDelivery:
    """Answers by address; None never answers. ``default`` is for all others.

    Args:
        troubles: of destinations, at which all mail is deferred then.
        takes: so many recipients in one transaction.
        late: what comes in the end where ``pending`` is called back.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    default: Answer = Verdict.DELIVERED
    attempts: list[tuple[QueueId, tuple[str, ...], str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    pending: list[Deferred[None]] = field(default_factory=list)
    reports_on: bool = False
    timed: bool = False
    troubles: dict[str, Trouble] = field(default_factory=dict)
    takes: int = 100
    late: Verdict = Verdict.DELIVERED

    async def stop(self) -> None:
        """There are no connections to part from."""

    async def attempt(self, item: QueueItem) -> list[Outcome]:
        recipients, left = item.recipients[: self.takes], item.recipients[self.takes :]
        addresses = tuple(str(recipient.address) for recipient in recipients)
        self.attempts.append((item.queue_id, addresses, recipients[0].next_hop))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            outcomes = [
                await self._answer(recipient.number, str(recipient.address))
                for recipient in recipients
            ]
            text = "452 4.5.3 too many recipients"
            outcomes += [
                Outcome(each.number, Verdict.DEFERRED, "4.5.3", text, "mx.y.example", again=True)
                for each in left
            ]
            trouble = self.troubles.get(item.destination)
            return [_troubled(each, trouble) for each in outcomes] if trouble else outcomes
        finally:
            self.running -= 1

    async def _answer(self, number: int, address: str) -> Outcome:
        answer = self.answers.get(address, self.default)
        if answer is None:
            waiting: Deferred[None] = Deferred()
            self.pending.append(waiting)
            await waiting
            answer = self.late
        if isinstance(answer, Exception):
            raise answer
        status, reply = {
            Verdict.DELIVERED: ("2.0.0", "250 ok"),
            Verdict.DEFERRED: ("4.2.0", "450 4.2.0 later"),
            Verdict.FAILED: ("5.1.1", "550 5.1.1 no such user"),
        }[answer]
        taken = answer is Verdict.DELIVERED
        return Outcome(
            number,
            answer,
            status,
            reply,
            "mx.y.example",
            reports_on=taken and self.reports_on,
            timed=taken and self.timed,
        )


def _troubled(outcome: Outcome, trouble: Trouble) -> Outcome:
    outcome = replace(outcome, verdict=Verdict.DEFERRED, trouble=trouble)
    if trouble is Trouble.BUSY:
        return replace(outcome, status="4.7.0", reply="421 4.7.0 too much from you")
    return replace(outcome, status="4.4.1", reply="connection refused", remote="")


@dataclass
class FakeRouter:
    """x.example is ours, ``gone@`` is nobody; trouble on demand."""

    problem: GatewayError | None = None

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        assert may_relay, "the gateway itself sends reports"
        if self.problem is not None:
            raise self.problem
        if recipient.domain != "x.example":
            return Outbound("smtp://old:25" if recipient.domain == "plant.example" else "")
        if recipient.local_part == "gone":
            raise UnknownRecipient()
        text = str(recipient)
        return LocalMailbox(Account(AccountId(f"id-{text}"), text, text, (text,)))


class FakeTime:
    """A task.Clock with a wall clock that can be set."""

    def __init__(self, wall_s: float = 1_000_000.0) -> None:
        self.clock: Any = Clock()
        self.offset_s = wall_s

    def wall(self) -> float:
        return float(self.offset_s + self.clock.seconds())

    @property
    def now(self) -> int:
        return int(self.wall())
