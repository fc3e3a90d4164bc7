"""A RemoteDelivery with servers by script, routes from a table and a clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.core.address import Address
from gateway.core.envelope import BodyKind, MessageOptions
from gateway.core.ids import BlobId, QueueId
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.delivery.connections import ConnectionLimits, Connections
from gateway.delivery.reachability import Reachability
from gateway.delivery.remote import RemoteDelivery
from gateway.delivery.scram import Scram
from gateway.delivery.targets import NoRoute, Protection, Target, TlsDemand, TlsResult
from gateway.delivery.tls import ClientTls
from gateway.wire.smtp_client_envelope import Login, hello_octets
from tests.support.scripted_server import Network

MESSAGE = b"Subject: hi\r\n\r\n.dot\nbare\r\nend"
WIRE = b"Subject: hi\r\n\r\n..dot\r\nbare\r\nend\r\n"
LOCAL_HEADER = b"Return-Path: <a@x.example>\r\n"
MX1 = Target("mx1.y.example", "192.0.2.1", preference=10)
MX2 = Target("mx2.y.example", "192.0.2.2", preference=20)
RELAY = Target("relay.example", "192.0.2.9", named=True)
SOCKET = "/run/dovecot/lmtp"
AT_SOCKET = Target(
    "localhost",
    "",
    0,
    protocol="lmtp",
    demand=TlsDemand(Protection.NONE),
    named=True,
    socket=SOCKET,
)
VERIFIED = TlsDemand(Protection.VERIFIED)
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


class TableRoutes:
    """Targets by destination; a NoRoute is raised."""

    def __init__(self) -> None:
        self.table: dict[str, Sequence[Target] | NoRoute] = {
            "y.example": (MX1, MX2),
            "relay": (RELAY,),
            "verified": (replace(RELAY, demand=VERIFIED),),
            "login": (replace(RELAY, login=Login("me", b"secret"), demand=VERIFIED),),
            "lmtp": (replace(RELAY, protocol="lmtp"),),
            "socket": (AT_SOCKET,),
        }

    async def targets(self, item: QueueItem) -> Sequence[Target]:
        found = self.table[item.destination]
        if isinstance(found, NoRoute):
            raise found
        return found


class Witness:
    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []

    def note(self, target: Target, result: TlsResult) -> None:
        self.notes.append((target.host, result.failure))


class World:
    def __init__(
        self,
        source: Source | None = None,
        limits: ConnectionLimits | None = None,
        scram: Scram | None = None,
    ):
        self.clock = Clock()
        self.network = Network(self.clock)
        self.source = source or Source()
        self.routes = TableRoutes()
        self.witness = Witness()
        self.reachability = Reachability(self.clock)
        self.connections = Connections(
            hello_octets("mail.x.example"),
            endpoints=self.network,
            sockets=self.network.at_socket,
            tls=ClientTls(),
            timers=self.clock,
            limits=limits,
            witness=self.witness,
            reachability=self.reachability,
            scram=scram,
        )
        self.delivery = RemoteDelivery(
            source=self.source,
            routes=self.routes,
            connections=self.connections,
            wall_clock=self.clock.seconds,
        )
        self.mx1 = self.network.add("192.0.2.1")
        self.mx2 = self.network.add("192.0.2.2")
        self.relay = self.network.add("192.0.2.9")

    def start(
        self, *recipients: str, destination: str = "y.example", **fields: Any
    ) -> Deferred[list[Outcome]]:
        waiting = recipients_of(*(recipients or ("b@y.example",)))
        size = len(self.source.content) - len(LOCAL_HEADER)
        item = item_of(waiting, destination=destination, **{"size": size, **fields})
        return Deferred.fromCoroutine(self.delivery.attempt(item))

    def send(self, *recipients: str, **fields: Any) -> list[Outcome]:
        """An attempt, behind which the connection is kept."""
        deferred = self.start(*recipients, **fields)
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
        assert isinstance(result, list)
        return sorted(result, key=lambda outcome: outcome.number)

    def attempt(self, *recipients: str, **fields: Any) -> list[Outcome]:
        """An attempt, and time passes behind it."""
        outcomes = self.send(*recipients, **fields)
        self.part()
        return outcomes

    def part(self) -> None:
        """No connection is kept so long."""
        self.clock.pump([0, 0, 0, 6, 0, 0, 0, 10, 0, 0])
        assert self.clock.getDelayedCalls() == [], "a timer was left behind"

    def one(self, **fields: Any) -> Outcome:
        (outcome,) = self.attempt(**fields)
        return outcome


def _step_due(clock: Clock) -> bool:
    calls: Any = clock.getDelayedCalls()
    return any(call.getTime() <= clock.seconds() for call in calls)


def recipients_of(*addresses: str) -> tuple[WaitingRecipient, ...]:
    return tuple(
        WaitingRecipient(number, Address(*address.rsplit("@", 1)), "", 0)
        for number, address in enumerate(addresses)
    )


def item_of(
    recipients: tuple[WaitingRecipient, ...],
    *,
    size: int = len(MESSAGE),
    sender: Address | None = Address("a", "x.example"),  # noqa: B008
    eight_bit: bool = False,
    options: MessageOptions | None = None,
    destination: str = "y.example",
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
        destination=destination,
    )
