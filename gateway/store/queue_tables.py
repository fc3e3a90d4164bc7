"""The port QueueStore: what waits for delivery, leased to one runner at a time.

Owns the rows of ``queue`` and ``queue_recipients``; the statements are in ``queue_lease`` (what is
due), ``queue_results`` (what attempts leave) and ``queue_control`` (what administrators do). Never
decides when to retry.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ids import QueueId
from gateway.core.messages import NewMessage
from gateway.core.queue import QueueDepth, QueueItem, Recorded
from gateway.store import queue_lease
from gateway.store.blobs import StoredOctets
from gateway.store.bodies import Payload
from gateway.store.committer import Committer
from gateway.store.deliveries import Deliveries, Delivery
from gateway.store.intake import MailIntake
from gateway.store.queue_lease import free_leases
from gateway.store.queue_results import keep_results
from gateway.store.readers import Pool
from gateway.store.transaction import ID_BLOCK, Transaction

FIRST_QUEUED = 64 * ID_BLOCK
"""Among so many rows with the lowest ids is the oldest: ids ascend with time, but for the blocks
of ids that other processes have claimed and not used up. Exact for 64 processes."""
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
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._intake = intake
        self._deliveries = deliveries

    async def lease_due(
        self, now: int, owner: str, lease_s: int, limit: int
    ) -> Sequence[QueueItem]:
        if not await self._readers.run(
            lambda stored: queue_lease.anything_due(stored.connection, now)
        ):
            return ()  # asked often, due seldom: no write for nothing
        return await self._committer.write(
            lambda tx: queue_lease.lease(tx, now, owner, lease_s, limit), uses_reserve=True
        )

    async def next_due_at(self) -> int | None:
        return await self._readers.run(lambda stored: queue_lease.next_due_at(stored.connection))

    async def next_release_at(self) -> int | None:
        return await self._readers.run(
            lambda stored: queue_lease.next_release_at(stored.connection)
        )

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        delivery: Delivery | None = None
        payloads: list[Payload] = []
        if report is not None:
            delivery = await self._intake.prepare(report)
            payloads.append(delivery.payload)

        def run(tx: Transaction) -> None:
            # The report first: if it cannot be kept, nothing is, and the item stays (SECURITY D5).
            if delivery is not None:
                self._deliveries.run_together(tx, [delivery], True)
            keep_results(tx, self._deliveries, queue_id, results)

        await self._committer.write(run, payloads=payloads, uses_reserve=True)

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
