"""The port QueueStore: what waits for delivery to others, leased to one runner at a time.

Owns the rows of ``queue`` and ``queue_recipients``. A row is due at ``due_at``: the earliest
attempt of its recipients or, while leased, the end of the lease; so one index answers both "what is
due" and "when is the next". Never decides when to retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.address import Address
from gateway.core.ids import BlobId, QueueId
from gateway.core.messages import NewMessage
from gateway.core.queue import QueueDepth, QueueItem, Recorded, WaitingRecipient
from gateway.store.blobs import StoredOctets
from gateway.store.bodies import Payload
from gateway.store.committer import Committer
from gateway.store.deliveries import Deliveries, Delivery, queue_id_text
from gateway.store.intake import MailIntake
from gateway.store.queue_options import message_options, recipient_options
from gateway.store.readers import Pool
from gateway.store.transaction import ID_BLOCK, Transaction

LONGEST_WAIT_S = 86_400
"""After a restart nobody is made to wait longer, which is more than sensible schedules ask for."""
FIRST_QUEUED = 64 * ID_BLOCK
"""Among so many rows with the lowest ids is the oldest: ids ascend with time, but for the blocks
of ids that other processes have claimed and not used up. Exact for 64 processes."""
# One statement, so one moment. What waits is counted as it comes and goes (triggers in ``schema``).
_DEPTH = (
    "SELECT (SELECT value FROM counters WHERE name = 'queued_messages'),"
    " (SELECT value FROM counters WHERE name = 'queued_recipients'),"
    " (SELECT min(created_at) FROM"
    " (SELECT created_at FROM queue ORDER BY queue_id LIMIT ?) AS first_queued)"
)
_NEXT_ATTEMPT = (
    "(SELECT min(next_attempt_at) FROM queue_recipients AS r WHERE r.queue_id = queue.queue_id)"
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
        if not await self._readers.run(lambda stored: _anything_due(stored, now)):
            return ()  # asked often, due seldom: no write for nothing
        return await self._committer.write(
            lambda tx: lease(tx, now, owner, lease_s, limit), uses_reserve=True
        )

    async def next_due_at(self) -> int | None:
        def read(stored: StoredOctets) -> int | None:
            value: int | None = stored.connection.execute(
                "SELECT min(due_at) FROM queue"
            ).fetchone()[0]
            return value

        return await self._readers.run(read)

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
            keep_results(tx, queue_id, results)

        await self._committer.write(run, payloads=payloads, uses_reserve=True)

    async def free_leases(self) -> None:
        """For the process that takes the queue over from one that has ended."""
        await self._committer.write(free_leases, uses_reserve=True)

    async def depth(self) -> QueueDepth:
        def read(stored: StoredOctets) -> QueueDepth:
            messages, recipients, oldest = stored.connection.execute(
                _DEPTH, (FIRST_QUEUED,)
            ).fetchone()
            return QueueDepth(messages, recipients, oldest)

        return await self._readers.run(read)


def _anything_due(stored: StoredOctets, now: int) -> bool:
    row = stored.connection.execute(
        "SELECT 1 FROM queue WHERE due_at <= ? LIMIT 1", (now,)
    ).fetchone()
    return row is not None


def lease(tx: Transaction, now: int, owner: str, lease_s: int, limit: int) -> tuple[QueueItem, ...]:
    """Take due messages, the longest due first."""
    items: list[QueueItem] = []
    for row in tx.fetch_all(
        "SELECT queue_id, sender_local, sender_domain, blob_id, content_offset, size_octets,"
        " eight_bit, created_at, options, message_id FROM queue WHERE due_at <= ?"
        " ORDER BY due_at, queue_id LIMIT ?",
        (now, limit),
    ):
        recipients = tx.fetch_all(
            "SELECT number, local_part, domain, next_hop, attempts, reply, options"
            " FROM queue_recipients WHERE queue_id = ? AND next_attempt_at <= ? ORDER BY number",
            (row[0], now),
        )
        if not recipients:  # a lease ended, but in the meantime an attempt was put off
            tx.execute(
                f"UPDATE queue SET lease_owner = '', due_at = {_NEXT_ATTEMPT}"  # noqa: S608 - own names only
                " WHERE queue_id = ?",
                (row[0],),
            )
            continue
        tx.execute(
            "UPDATE queue SET lease_owner = ?, due_at = ? WHERE queue_id = ?",
            (owner, now + lease_s, row[0]),
        )
        items.append(_item(row, recipients))
    return tuple(items)


def _item(row: Sequence[Any], recipients: Sequence[Sequence[Any]]) -> QueueItem:
    number, sender_local, sender_domain, blob_id, offset, size, body, created_at = row[:8]
    options, message_id = row[8:]
    return QueueItem(
        queue_id_text(number),
        None if sender_local is None else Address(sender_local, sender_domain),
        BlobId(blob_id),
        offset,
        size,
        created_at,
        tuple(
            WaitingRecipient(
                index,
                Address(local_part, domain),
                next_hop,
                attempts,
                reply,
                recipient_options(asked),
            )
            for index, local_part, domain, next_hop, attempts, reply, asked in recipients
        ),
        message_options(options, body),
        message_id,
    )


def keep_results(tx: Transaction, queue_id: QueueId, results: Sequence[Recorded]) -> None:
    """Results for a message that is gone already change nothing."""
    number = int(queue_id, 16)
    for result in results:
        if result.next_attempt_at is None:
            tx.execute(
                "DELETE FROM queue_recipients WHERE queue_id = ? AND number = ?",
                (number, result.number),
            )
        else:
            tx.execute(
                "UPDATE queue_recipients SET attempts = ?, next_attempt_at = ?, reply = ?"
                " WHERE queue_id = ? AND number = ?",
                (result.attempts, result.next_attempt_at, result.reply, number, result.number),
            )
    left = tx.fetch_one(
        "SELECT min(next_attempt_at) FROM queue_recipients WHERE queue_id = ?", (number,)
    )
    if left is not None and left[0] is not None:
        tx.execute(
            "UPDATE queue SET lease_owner = '', due_at = ? WHERE queue_id = ?", (left[0], number)
        )
        return
    row = tx.fetch_one("DELETE FROM queue WHERE queue_id = ? RETURNING blob_id", (number,))
    if row is not None:
        tx.execute("UPDATE blobs SET refs = refs - 1 WHERE blob_id = ?", (row[0],))
        tx.blobs_freed = True


def free_leases(tx: Transaction) -> None:
    """At start nobody holds a lease, as one process alone leases and is not there or is this one.

    Nor is anything due later than the longest wait: the clock was set back (SECURITY D7).
    """
    latest = tx.now + LONGEST_WAIT_S
    tx.execute(
        "UPDATE queue_recipients SET next_attempt_at = ? WHERE next_attempt_at > ?"
        " AND queue_id IN (SELECT queue_id FROM queue WHERE hold = '')",
        (latest, latest),
    )
    tx.execute("UPDATE queue SET due_at = ? WHERE due_at > ? AND hold = ''", (latest, latest))
    tx.execute(
        f"UPDATE queue SET lease_owner = '', due_at = {_NEXT_ATTEMPT}"  # noqa: S608 - own names only
        " WHERE lease_owner <> ''"
    )
