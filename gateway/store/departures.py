"""What goes into the queue: the rows of new messages and of new recipients.

Owns how recipients are numbered and grouped by destination, and what destination and turn they get.
Runs in the committer's thread, for each message that leaves, so it keeps to a handful of statements
for a whole batch. Never decides when anything is due.

Where each recipient goes is said by the configuration (``DestinationOf``). If it says nothing
usable, they go by their next hop or domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted.logger import Logger

from gateway.core.address import Address
from gateway.core.envelope import MessageOptions
from gateway.core.ids import QueueId
from gateway.core.messages import QueuedRecipient
from gateway.core.ports.queue import DestinationOf
from gateway.store.queue_options import body_number, message_text, recipient_text
from gateway.store.queue_parts import HELD, PART_COLUMNS, READY, line_up, regroup
from gateway.store.transaction import Row, Transaction
from gateway.store.turns import Turns

_QUEUE_COLUMNS = (
    "queue (queue_id, sender_local, sender_domain, blob_id, content_offset, size_octets,"
    " eight_bit, created_at, held_until, options, message_id, hold, priority, last_number)"
)
_RECIPIENT_COLUMNS = (
    "queue_recipients (queue_id, number, local_part, domain, next_hop, attempts,"
    " next_attempt_at, reply, options, destination)"
)


def queue_id_text(number: int) -> QueueId:
    """A queue row's number as administrators see it."""
    return QueueId(f"{number:08X}")


def next_hop_or_domain(sender: Address | None, recipient: Address, next_hop: str) -> str:
    """A DestinationOf without any configuration."""
    return next_hop or recipient.domain


class Leaving(NamedTuple):
    """A message for the queue.

    Args:
        hold: why it is held, empty: it is not.
        held_until: 0 where it is not held.
        flow: for its turn.
    """

    number: int
    sender: Address | None
    blob_id: int
    content_offset: int
    size_octets: int
    options: MessageOptions
    received_at: int
    message_id: str
    hold: str
    held_until: int
    recipients: Sequence[QueuedRecipient]
    flow: str


@dataclass(slots=True)
class Rows:
    """Of several messages, to be inserted together."""

    queue: list[Row] = field(default_factory=list)
    recipients: list[Row] = field(default_factory=list)
    parts: list[Row] = field(default_factory=list)
    in_line: dict[str, int] = field(default_factory=dict)

    def insert(self, tx: Transaction) -> None:
        tx.insert(_QUEUE_COLUMNS, self.queue)
        tx.insert(_RECIPIENT_COLUMNS, self.recipients)
        tx.insert(PART_COLUMNS, self.parts)
        line_up(tx, self.in_line)
        tx.queue_grew = True


class Departures:
    """Makes the rows."""

    log = Logger()

    def __init__(self, destination_of: DestinationOf) -> None:
        self._destination_of = destination_of
        self._turns = Turns()

    def add(self, rows: Rows, leaving: Leaving, now: int) -> None:
        number, priority = leaving.number, leaving.options.priority
        sender = leaving.sender
        rows.queue.append(
            (
                number,
                None if sender is None else sender.local_part,
                "" if sender is None else sender.domain,
                leaving.blob_id,
                leaving.content_offset,
                leaving.size_octets,
                body_number(leaving.options),
                leaving.received_at,
                leaving.held_until,
                message_text(leaving.options),
                leaving.message_id,
                leaving.hold,
                priority,
                len(leaving.recipients),
            )
        )
        state = HELD if leaving.hold else READY
        at = leaving.received_at
        first = 1
        for destination, recipients in self._by_destination(sender, leaving.recipients).items():
            rows.recipients += _recipient_rows(number, recipients, first, at, destination)
            end = first + len(recipients)
            turn, in_line = self._turns.take(leaving.flow, destination, now * 1000)
            rows.parts.append((number, destination, -priority, turn, state, at, "", first, end - 1))
            if state == READY:
                rows.in_line[destination] = min(in_line, rows.in_line.get(destination, in_line))
            first = end

    def follow(
        self,
        tx: Transaction,
        number: int,
        sender: Address | None,
        recipients: Sequence[QueuedRecipient],
        last: int,
    ) -> None:
        """New recipients of a message that waits, numbered behind ``last``; due at once."""
        first = last + 1
        for destination, some in self._by_destination(sender, recipients).items():
            rows = _recipient_rows(number, some, first, tx.now, destination)
            tx.insert(_RECIPIENT_COLUMNS, rows)
            first += len(some)
        tx.execute("UPDATE queue SET last_number = ? WHERE queue_id = ?", (first - 1, number))
        regroup(tx, number, tx.now)
        tx.queue_grew = True

    def destination_of(self, sender: Address | None, recipient: Address, next_hop: str) -> str:
        try:
            destination = self._destination_of(sender, recipient, next_hop)
        except Exception:
            self.log.failure("the destination of a recipient cannot be told")
            destination = ""
        return destination or next_hop_or_domain(sender, recipient, next_hop)

    def _by_destination(
        self, sender: Address | None, recipients: Sequence[QueuedRecipient]
    ) -> Mapping[str, Sequence[QueuedRecipient]]:
        if len(recipients) == 1:  # as most mail has
            one = recipients[0]
            return {self.destination_of(sender, one.address, one.next_hop): recipients}
        groups: dict[str, list[QueuedRecipient]] = {}
        for each in recipients:
            destination = self.destination_of(sender, each.address, each.next_hop)
            groups.setdefault(destination, []).append(each)
        return groups


def _recipient_rows(
    number: int, recipients: Iterable[QueuedRecipient], first: int, at: int, destination: str
) -> list[Row]:
    return [
        (
            number,
            index,
            each.address.local_part,
            each.address.domain,
            each.next_hop,
            0,
            at,
            "",
            recipient_text(each.options),
            destination,
        )
        for index, each in enumerate(recipients, start=first)
    ]
