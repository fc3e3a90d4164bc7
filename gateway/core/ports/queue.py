"""The ports of the durable queue: for its runner, for administrators, and for whoever may hurry it.

Every coroutine resumes on the reactor thread; a write's coroutine returns after the commit. Any
method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.address import Address
from gateway.core.ids import BlobId, QueueId
from gateway.core.messages import NewMessage
from gateway.core.ports.body import IncomingBody
from gateway.core.queue import (
    QueueDepth,
    QueuedMessage,
    QueueEntry,
    QueueFilter,
    QueueItem,
    Recorded,
    ShapeRow,
    Start,
    Wish,
)


class DestinationOf(Protocol):
    """Where a recipient of the queue goes together with others; pure, by the configuration.

    The store keeps the answer with what waits. When the configuration has changed, it asks again.
    """

    def __call__(self, sender: Address | None, recipient: Address, next_hop: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Leased:
    """Args:
    more: those of the destinations asked for that have more mail due.
    """

    items: Sequence[QueueItem]
    more: frozenset[str]


@dataclass(frozen=True, slots=True)
class QueuedName:
    """As much of a message as it takes to act on it and to tell of that.

    Args:
        message_id: under which it was accepted.
        hold: why it is held, empty if it is not.
    """

    queue_id: QueueId
    message_id: str
    hold: str


class QueueStore(Protocol):
    """The durable side of the outbound queue. Leases keep two runners apart."""

    def watch_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on the reactor after a commit that added queue rows or made some due; returns
        a stop."""
        ...

    async def ready(
        self, now: int, limit: int, *, released_until: int | None = None
    ) -> Sequence[str]:
        """Destinations that have mail due and may be looked at, in the order of their turns.

        Args:
            released_until: holds that end by then are over; None: by ``now``.

        What has become due, or is no longer leased or held, counts from this call on; of very much
        only a part, and ``next_due_at`` tells that there is more. One may be named in vain.
        """
        ...

    async def lease(self, wishes: Sequence[Wish], now: int, owner: str, lease_s: int) -> Leased:
        """Take due mail of these destinations: higher priorities first, then by turn. Nobody else
        gets it till the lease ends or ``record`` frees it.

        Each item has the due recipients of one message at one destination.
        """
        ...

    async def next_due_at(self) -> int | None:
        """When the earliest recipient becomes due, a lease ends, or a destination with due mail
        may be looked at; None if nothing waits. What is held does not count. 0: some do now."""
        ...

    async def next_release_at(self) -> int | None:
        """When the earliest hold ends by itself."""
        ...

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        """Keep an attempt's results and accept the report about it in the same transaction, with
        copies for people here and new recipients.

        The recipients of one call share one destination, whose lease of the message ends with it.
        Recipients done with are removed; a message without recipients goes (SECURITY D5). A result
        for a recipient that is gone already changes nothing.

        Raises: OverQuota (nothing is kept then).
        """
        ...

    async def depth(self) -> QueueDepth: ...

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes: ...

    def open_body(self) -> IncomingBody:
        """For reports."""
        ...


class QueueControl(Protocol):
    """What administrators do to the queue."""

    async def listed(
        self, which: QueueFilter, *, after: QueueId | None, limit: int
    ) -> Sequence[QueuedMessage]:
        """A page, the oldest first."""
        ...

    async def entry(self, queue_id: QueueId) -> QueueEntry | None: ...

    async def named(self, queue_ids: Sequence[QueueId]) -> Sequence[QueuedName | None]:
        """In the order of the ids, however these are written; None for what does not wait."""
        ...

    async def destinations(self, queue_ids: Sequence[QueueId]) -> Sequence[str]:
        """Where any of these messages go."""
        ...

    async def hold(self, queue_ids: Sequence[QueueId], reason: str) -> Sequence[QueueId]:
        """Keep messages till they are released; returns those that were there."""
        ...

    async def release(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        """End holds; the messages are due at once. Returns those that were held."""
        ...

    async def hasten(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        """Make messages due at once; returns those that were there and not held."""
        ...

    async def shape(self, now: int, *, by_sender: bool = False) -> Sequence[ShapeRow]:
        """What waits by age and destination, the most first; or by the senders' domains. A message
        counts once for each of its destinations."""
        ...

    async def reroute(
        self, queue_ids: Sequence[QueueId], next_hop: str, which: QueueFilter
    ) -> Sequence[QueueId]:
        """Have mail leave through these servers from now on: URLs joined by spaces; ``mx``; empty:
        as the configuration decides. Returns the messages of which any recipient was meant.

        Args:
            which: only the recipients of the messages who fit its ``recipient`` and
                ``destination``; never those who have their mailbox here.
        """
        ...

    async def remove(self, queue_ids: Sequence[QueueId]) -> Sequence[QueueId]:
        """Forget messages without telling anybody; returns those that were there."""
        ...


class QueueStarter(Protocol):
    """Has a destination's mail sent now (ETRN)."""

    async def start(self, name: str) -> Start:
        """Whatever process asks, the one that runs the queue hears of it at once.

        Args:
            name: a domain; ``@domain`` for it and all below; ``#name`` for a queue that is set up
                under this name, of which there are none (RFC 1985 section 5.3).
        """
        ...
