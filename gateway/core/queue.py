"""The outbound queue: what waits, and how an attempt went.

Values only, shared by the store (rows), ``delivery`` (attempts) and ``queue`` (what becomes of
them). Times are whole Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.core.address import Address
from gateway.core.envelope import (
    NO_OPTIONS,
    NOTHING_ASKED,
    BodyKind,
    MessageOptions,
    RecipientOptions,
)
from gateway.core.ids import BlobId, QueueId


@dataclass(frozen=True, slots=True)
class WaitingRecipient:
    """One recipient of a queued message, leased to the caller."""

    number: int
    address: Address
    next_hop: str
    attempts: int
    last_reply: str = ""
    options: RecipientOptions = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A queued message with those of its recipients that are due.

    Args:
        blob_id: where the octets are.
        content_offset: the octets from here on are what leaves (local headers are skipped).
        size_octets: of what leaves.
        options: what the sender asked for.
        message_id: the id under which the message was accepted, for the trace.
    """

    queue_id: QueueId
    sender: Address | None
    blob_id: BlobId
    content_offset: int
    size_octets: int
    created_at: int
    recipients: tuple[WaitingRecipient, ...]
    options: MessageOptions = NO_OPTIONS
    message_id: str = ""

    @property
    def eight_bit(self) -> bool:
        """Octets over 127 were announced."""
        return self.options.body is not BodyKind.SEVEN_BIT


class Verdict(Enum):
    """How one attempt ended for one recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt's end for one recipient.

    Args:
        number: of the recipient inside its message.
        reply: ``550 5.1.1 no such user`` as the remote said, or our own words, one line, printable.
        status: enhanced status code such as ``5.1.1`` (RFC 3463); class follows the verdict.
        remote: host name that answered, empty if none did.
    """

    number: int
    verdict: Verdict
    status: str
    reply: str
    remote: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the queue keeps for one recipient; ``next_attempt_at`` None: done with."""

    number: int
    attempts: int
    next_attempt_at: int | None
    reply: str


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Counts for ``gateway status``."""

    messages: int
    recipients: int
    oldest_created_at: int | None
