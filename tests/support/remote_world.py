"""A RemoteDelivery with two MX hosts by script, DNS from a dictionary and a clock of its own."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.core.address import Address
from gateway.core.envelope import BodyKind, MessageOptions
from gateway.core.ids import BlobId, QueueId
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.delivery.mx import MxLookup
from gateway.delivery.next_hop import parse_next_hop
from gateway.delivery.remote import RemoteDelivery
from gateway.delivery.tls import ClientTls
from tests.support.fake_resolver import FakeResolver
from tests.support.scripted_server import Network

MESSAGE = b"Subject: hi\r\n\r\n.dot\nbare\r\nend"
WIRE = b"Subject: hi\r\n\r\n..dot\r\nbare\r\nend\r\n"
LOCAL_HEADER = b"Return-Path: <a@x.example>\r\n"
RESOLVER = FakeResolver(
    mx={"y.example": [(10, "mx1.y.example"), (20, "mx2.y.example")], "null.example": [(0, "")]},
    a={
        "mx1.y.example": ["192.0.2.1"],
        "mx2.y.example": ["192.0.2.2"],
        "relay.example": ["192.0.2.9"],
        "z.example": ["192.0.2.1", "192.0.2.2"],
    },
)
DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


class Source:
    """The store's read; ``content`` may be exchanged for trouble."""

    def __init__(self, content: bytes = LOCAL_HEADER + MESSAGE) -> None:
        self.content = content
        self.problem: Exception | None = None
        self.problem_from = 0
        self.reads = 0

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        assert length <= 65_536
        self.reads += 1
        if self.problem is not None and offset >= self.problem_from:
            raise self.problem
        return self.content[offset : offset + length]


class World:
    def __init__(self, smart_host: str = "", password: bytes = b"", source: Source | None = None):
        self.clock = Clock()
        self.network = Network(self.clock)
        self.source = source or Source()
        self.delivery = RemoteDelivery(
            "mail.x.example",
            source=self.source,
            mx=MxLookup(RESOLVER, Random(1), own_names=["mail.x.example"]),
            endpoints=self.network,
            tls=ClientTls(),
            timers=self.clock,
            wall_clock=self.clock.seconds,
            smart_host=parse_next_hop(smart_host) if smart_host else None,
            smart_host_password=password,
        )
        self.mx1 = self.network.add("192.0.2.1")
        self.mx2 = self.network.add("192.0.2.2")

    def start(self, *recipients: str, next_hop: str = "", **fields: Any) -> Deferred[list[Outcome]]:
        waiting = recipients_of(*(recipients or ("b@y.example",)), next_hop=next_hop)
        item = item_of(waiting, size=len(self.source.content) - len(LOCAL_HEADER), **fields)
        return Deferred.fromCoroutine(self.delivery.attempt(item, waiting, next_hop))

    def attempt(self, *recipients: str, next_hop: str = "", **fields: Any) -> list[Outcome]:
        deferred = self.start(*recipients, next_hop=next_hop, **fields)
        outcomes: list[Any] = []
        deferred.addBoth(outcomes.append)
        for _ in range(3000):
            if outcomes:
                break
            # Instant steps first; a silent server makes time pass.
            self.clock.advance(0 if _step_due(self.clock) else 5)
        (result,) = outcomes
        if isinstance(result, Failure):
            result.raiseException()
        self.clock.pump([0, 0, 0, 20, 0, 0])
        assert self.clock.getDelayedCalls() == [], "a timer was left behind"
        assert isinstance(result, list)
        return sorted(result, key=lambda outcome: outcome.number)

    def one(self, next_hop: str = "", **fields: Any) -> Outcome:
        (outcome,) = self.attempt(next_hop=next_hop, **fields)
        return outcome


def _step_due(clock: Clock) -> bool:
    calls: Any = clock.getDelayedCalls()
    return any(call.getTime() <= clock.seconds() for call in calls)


def recipients_of(*addresses: str, next_hop: str = "") -> tuple[WaitingRecipient, ...]:
    return tuple(
        WaitingRecipient(number, Address(*address.rsplit("@", 1)), next_hop, 0)
        for number, address in enumerate(addresses)
    )


def item_of(
    recipients: tuple[WaitingRecipient, ...],
    *,
    size: int = len(MESSAGE),
    sender: Address | None = Address("a", "x.example"),  # noqa: B008
    eight_bit: bool = False,
    options: MessageOptions | None = None,
) -> QueueItem:
    return QueueItem(
        QueueId("Q1"),
        sender,
        BlobId(1),
        len(LOCAL_HEADER),
        size,
        0,
        recipients,
        options or MessageOptions(BodyKind.EIGHT_BIT if eight_bit else BodyKind.SEVEN_BIT),
    )
