"""The port QueueStore: what waits for delivery, leased to one runner at a time.

The statements are in ``queue_parts`` (what must hold), ``departures`` (what comes in),
``queue_lease`` (what is due), ``queue_results`` (what attempts leave) and ``queue_control`` (what
administrators do). Never decides when to retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred

from gateway.core.errors import GatewayError
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL, NewMessage
from gateway.core.ports.queue import Leased
from gateway.core.queue import QueueDepth, QueueItem, Recorded, Wish
from gateway.store import queue_lease
from gateway.store.blobs import StoredOctets
from gateway.store.bodies import Payload
from gateway.store.committer import Committer
from gateway.store.deliveries import Deliveries, Delivery
from gateway.store.intake import MailIntake
from gateway.store.operations import Operation
from gateway.store.queue_lease import free_leases
from gateway.store.queue_results import AttemptResults, Results
from gateway.store.readers import Pool
from gateway.store.reasking import Reasking
from gateway.store.transaction import ID_BLOCK, Transaction

FIRST_QUEUED = 64 * ID_BLOCK
"""Among so many rows with the lowest ids is the oldest: ids ascend with time, but for the blocks
of ids that other processes have claimed and not used up. Exact for 64 processes."""
READ_WITH_LEASE_OCTETS = 16_384
"""Messages up to this size are read as they are leased: 80 MiB at most for all that a runner has in
hand (``RunnerLimits.messages``)."""
# One statement, so one moment. What waits is counted as it comes and goes (triggers in ``schema``).
_DEPTH = (
    "SELECT (SELECT value FROM counters WHERE name = 'queued_messages'),"
    " (SELECT value FROM counters WHERE name = 'queued_recipients'),"
    " (SELECT min(created_at) FROM"
    " (SELECT created_at FROM queue ORDER BY queue_id LIMIT ?) AS first_queued),"
    " (SELECT value FROM counters WHERE name = 'held_messages')"
)


class QueueTables:
    """The durable side of the outbound queue."""

    def __init__(
        self,
        committer: Committer,
        readers: Pool[StoredOctets],
        intake: MailIntake,
        deliveries: Deliveries,
        reasking: Reasking,
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._intake = intake
        self._results = Results(deliveries, reasking)

    async def ready(
        self, now: int, limit: int, *, released_until: int | None = None
    ) -> Sequence[str]:
        released = now if released_until is None else released_until

        def read(stored: StoredOctets) -> list[str] | None:
            if queue_lease.anything_due(stored.connection, now, released):
                return None
            return queue_lease.in_line(stored.connection, limit)

        found = await self._readers.run(read)
        if found is not None:
            return found  # asked often, due seldom: no write for nothing

        def run(tx: Transaction) -> list[str]:
            queue_lease.promote(tx, now, released)
            return queue_lease.in_line(tx.connection, limit)

        return await self._committer.write(run, uses_reserve=True)

    async def lease(self, wishes: Sequence[Wish], now: int, owner: str, lease_s: int) -> Leased:
        leased = await self._committer.write(
            lambda tx: queue_lease.lease(tx, wishes, now, owner, lease_s), uses_reserve=True
        )
        return replace(leased, items=await self._with_contents(leased.items))

    async def _with_contents(self, items: Sequence[QueueItem]) -> Sequence[QueueItem]:
        """Small messages are read together here, as each would cost a way to a thread and back."""
        small = [
            item
            for item in items
            if item.size_octets <= READ_WITH_LEASE_OCTETS and item.destination != LOCAL
        ]
        spans = [(item.blob_id, item.content_offset, item.size_octets) for item in small]
        try:
            contents = await self._readers.run(lambda stored: stored.read_many(spans))
        except GatewayError:
            return items  # they are leased; whoever sends them reads again, and hears why
        read = {
            item.queue_id: content
            for item, content in zip(small, contents, strict=True)
            if isinstance(content, bytes) and len(content) == item.size_octets
        }
        return [replace(item, content=read.get(item.queue_id)) for item in items]

    async def next_due_at(self) -> int | None:
        return await self._readers.run(lambda stored: queue_lease.next_due_at(stored.connection))

    async def next_release_at(self) -> int | None:
        return await self._readers.run(
            lambda stored: queue_lease.next_release_at(stored.connection)
        )

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        payloads: list[Payload] = []
        delivery: Delivery | None = None
        if report is not None:
            delivery = await self._intake.prepare(report)
            payloads.append(delivery.payload)
        deferred: Deferred[None] = Deferred()
        item = AttemptResults(int(queue_id, 16), results, delivery)
        self._committer.submit(
            Operation(
                payloads=payloads,
                uses_reserve=True,
                group=self._results,
                item=item,
                deferred=deferred,
            )
        )
        await deferred

    async def free_leases(self) -> None:
        """For the process that takes the queue over from one that has ended."""
        await self._committer.write(free_leases, uses_reserve=True)

    async def depth(self) -> QueueDepth:
        def read(stored: StoredOctets) -> QueueDepth:
            messages, recipients, oldest, held = stored.connection.execute(
                _DEPTH, (FIRST_QUEUED,)
            ).fetchone()
            return QueueDepth(messages, recipients, oldest, held)

        return await self._readers.run(read)
