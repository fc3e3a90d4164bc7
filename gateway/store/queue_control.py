"""The ports QueueControl and QueueStarter: what administrators and ETRN do to queued messages.

Any process may do it; the one that runs the queue hears of it by the change feed. Owns the order of
the statements; those that look are in ``queue_listing``. Never sends, never reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gateway.core.address import Address
from gateway.core.ids import QueueId
from gateway.core.messages import LOCAL
from gateway.core.ports.queue import QueuedName
from gateway.core.queue import QueuedMessage, QueueEntry, QueueFilter, ShapeRow, Start
from gateway.store import queue_listing
from gateway.store.blobs import StoredOctets
from gateway.store.bounds import NEVER
from gateway.store.committer import Committer
from gateway.store.departures import Departures, queue_id_text
from gateway.store.queue_listing import destination_is, number_of, recipient_is
from gateway.store.queue_parts import (
    LATER,
    READY,
    free_messages,
    hasten_recipients,
    hold_messages,
    make_ready,
    regroup,
)
from gateway.store.queue_results import remove_messages
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction, in_pieces

PIECE = 500
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class QueueOffice:
    """Looks at the queue and changes what waits."""

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], departures: Departures
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._departures = departures

    # -- looking

    async def listed(
        self, which: QueueFilter, *, after: QueueId | None, limit: int
    ) -> Sequence[QueuedMessage]:
        start = (number_of(after) if after is not None else None) or 0
        return await self._readers.run(
            lambda stored: queue_listing.page(stored.connection, which, start, limit)
        )

    async def entry(self, queue_id: QueueId) -> QueueEntry | None:
        number = number_of(queue_id)
        if number is None:
            return None
        return await self._readers.run(
            lambda stored: queue_listing.entry(stored.connection, number)
        )

    async def named(self, queue_ids: Sequence[QueueId]) -> Sequence[QueuedName | None]:
        numbers = [number_of(each) for each in queue_ids]
        wanted = [each for each in numbers if each is not None]
        found = await self._readers.run(
            lambda stored: queue_listing.named(stored.connection, wanted)
        )
        return [None if each is None else found.get(each) for each in numbers]

    async def destinations(self, queue_ids: Sequence[QueueId]) -> Sequence[str]:
        wanted = [number for each in queue_ids if (number := number_of(each)) is not None]
        return await self._readers.run(
            lambda stored: queue_listing.destinations(stored.connection, wanted)
        )

    async def shape(self, now: int, *, by_sender: bool = False) -> Sequence[ShapeRow]:
        shape = queue_listing.Shape(now, by_sender=by_sender)
        after: int | None = 0
        while after is not None:
            start = after

            def read(stored: StoredOctets, start: int = start) -> int | None:
                return shape.read(stored.connection, start)

            after = await self._readers.run(read)
        return shape.rows()

    # -- changing

    async def hold(self, queue_ids: Sequence[QueueId], reason: str) -> Sequence[QueueId]:
        return await self._change(
            queue_ids, lambda tx, numbers: hold_messages(tx, numbers, reason, NEVER)
        )

    async def release(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        return await self._change(queue_ids, _release)

    async def hasten(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        return await self._change(queue_ids, _hasten)

    async def remove(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        return await self._change(queue_ids, remove_messages)

    async def reroute(
        self, queue_ids: Sequence[QueueId], next_hop: str, which: QueueFilter
    ) -> Sequence[QueueId]:
        return await self._change(
            queue_ids,
            lambda tx, numbers: {
                each for each in numbers if self._reroute(tx, each, next_hop, which)
            },
        )

    def _reroute(self, tx: Transaction, number: int, next_hop: str, which: QueueFilter) -> bool:
        """Who asks has seen to it that nothing of the message is being sent."""
        condition, values = "r.next_hop <> ?", [LOCAL]
        for text, some in (recipient_is(which.recipient), destination_is(which.destination)):
            if text:
                condition += f" AND {text}"
                values += some
        rows = tx.fetch_all(
            "SELECT r.number, r.local_part, r.domain, q.sender_local, q.sender_domain"  # noqa: S608 - own names only
            " FROM queue_recipients AS r JOIN queue AS q ON q.queue_id = r.queue_id"
            f" WHERE r.queue_id = ? AND {condition}",
            (number, *values),
        )
        for recipient, local_part, domain, sender_local, sender_domain in rows:
            sender = None if sender_local is None else Address(sender_local, sender_domain)
            destination = self._departures.destination_of(
                sender, Address(local_part, domain), next_hop
            )
            tx.execute(
                "UPDATE queue_recipients SET next_hop = ?, destination = ?, next_attempt_at ="
                " CASE WHEN next_attempt_at > ? THEN ? ELSE next_attempt_at END"
                " WHERE queue_id = ? AND number = ?",
                (next_hop, destination, tx.now, tx.now, number, recipient),
            )
        if rows:
            regroup(tx, number, tx.now, ends_leases=True)
        return bool(rows)

    async def _change(
        self, queue_ids: Sequence[QueueId], change: Callable[[Transaction, Sequence[int]], set[int]]
    ) -> Sequence[QueueId]:
        """Returns those that were changed, in their order."""
        numbers = [number for each in queue_ids if (number := number_of(each)) is not None]
        changed: list[QueueId] = []
        for start in range(0, len(numbers), PIECE):
            piece = numbers[start : start + PIECE]

            def run(tx: Transaction, piece: Sequence[int] = piece) -> list[QueueId]:
                tx.queue_grew = True  # whoever runs the queue looks at it again
                done = change(tx, piece)
                return [queue_id_text(number) for number in piece if number in done]

            changed += await self._committer.write(run, uses_reserve=True)
        return changed

    # -- QueueStarter

    async def start(self, name: str) -> Start:
        domain, below = _meant(name)
        if not domain:
            return Start.UNKNOWN
        found = False
        after = 0
        while numbers := await self._waiting_for(domain, below, after):
            found = True
            await self.hasten([queue_id_text(number) for number in numbers])
            after = numbers[-1]
        return Start.STARTED if found else Start.NOTHING_WAITS

    async def destinations_of(self, name: str, limit: int) -> Sequence[str]:
        """Where mail goes that waits for what ``start`` would mean by the name."""
        domain, below = _meant(name)
        return await self._readers.run(
            lambda stored: queue_listing.destinations_of(stored.connection, domain, below, limit)
        )

    async def _waiting_for(self, domain: str, below: bool, after: int) -> list[int]:
        return await self._readers.run(
            lambda stored: queue_listing.waiting_for(stored.connection, domain, below, after, PIECE)
        )


def _meant(name: str) -> tuple[str, bool]:
    """A domain, and whether all below it is meant too; empty for what is none."""
    domain = name.removeprefix("@").casefold().rstrip(".")
    return domain if _DOMAIN.fullmatch(domain) else "", name.startswith("@")


def _release(tx: Transaction, numbers: Sequence[int]) -> set[int]:
    # By hand: what was released passes the hold rules that there are now.
    held: list[int] = []
    for piece, marks in in_pieces(numbers):
        rows = tx.fetch_all(
            "UPDATE queue SET rules_passed ="  # noqa: S608 - own names only
            " (SELECT value FROM counters WHERE name = 'hold_rule')"
            f" WHERE queue_id IN ({marks}) AND hold <> '' RETURNING queue_id",
            piece,
        )
        held += [number for (number,) in rows]
    free_messages(tx, held, tx.now)
    return set(held)


def _hasten(tx: Transaction, numbers: Sequence[int]) -> set[int]:
    """What is being sent stays leased; its other recipients are due with its end."""
    found: list[int] = []
    for piece, marks in in_pieces(numbers):
        rows = tx.fetch_all(
            f"SELECT queue_id FROM queue WHERE queue_id IN ({marks}) AND hold = ''",  # noqa: S608 - own names only
            piece,
        )
        found += [number for (number,) in rows]
    hasten_recipients(tx, found, tx.now)
    destinations = make_ready(tx, found, (READY, LATER), tx.now)
    for names, marks in in_pieces(sorted(destinations)):
        # Also where it was left alone: somebody wants it now.
        tx.execute(
            "UPDATE queue_destinations SET look_at = 0"  # noqa: S608 - own names only
            f" WHERE destination IN ({marks}) AND look_at > 0",
            names,
        )
    return set(found)
