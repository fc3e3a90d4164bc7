"""The outbound queue: what waits, how an attempt went, and what the administrator sees of it.

Values only, shared by the store (rows), ``delivery`` (attempts) and ``queue`` (what becomes of
them). Times are whole Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from gateway.core.address import Address
from gateway.core.envelope import (
    NO_OPTIONS,
    NOTHING_ASKED,
    BodyKind,
    MessageOptions,
    RecipientOptions,
)
from gateway.core.ids import AccountId, BlobId, QueueId
from gateway.core.messages import QueuedRecipient


@dataclass(frozen=True, slots=True)
class WaitingRecipient:
    """One recipient of a queued message, leased to the caller.

    Args:
        told_of_delay: the sender has had the one notice that it takes longer.
    """

    number: int
    address: Address
    next_hop: str
    attempts: int
    last_reply: str = ""
    options: RecipientOptions = NOTHING_ASKED
    told_of_delay: bool = False


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A queued message with those of its recipients that are due.

    Args:
        blob_id: where the octets are.
        content_offset: the octets from here on are what leaves (local headers are skipped).
        size_octets: of what leaves.
        options: what the sender asked for.
        message_id: the id under which the message was accepted, for the trace.
        destination: where these recipients go together: a server or chain of servers that the
            configuration or routing names, else their domain; LOCAL.
        turn: the order in its destination among equal priorities; a sender of many messages gets
            turns further and further ahead, so that others need not wait for all of them.
        rules_passed: somebody released it when this was the last hold rule (``rule_id``).
        content: what leaves, where it is small and was read beforehand.
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
    destination: str = ""
    turn: int = 0
    rules_passed: int = 0
    content: bytes | None = field(default=None, repr=False)

    @property
    def eight_bit(self) -> bool:
        """Octets over 127 were announced."""
        return self.options.body is not BodyKind.SEVEN_BIT


@dataclass(frozen=True, slots=True)
class Wish:
    """What the runner wants of one destination.

    Args:
        messages: at most; 0: none now.
        look_again_at: Unix time before which the destination does not come up again by itself if
            mail is left there that is due.
    """

    destination: str
    messages: int
    look_again_at: int


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A person here gets the message into INBOX; ``address`` leads to them."""

    account_id: AccountId
    address: Address


class Verdict(Enum):
    """How one attempt ended for one recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


class Trouble(Enum):
    """What an attempt tells about its destination as a whole."""

    NONE = "none"
    BUSY = "busy"  # it asks for less: 421, too many connections, too much mail from here
    DEAD = "dead"  # no host of it could be talked to, so no other message could have passed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt's end for one recipient.

    Args:
        number: of the recipient inside its message.
        reply: ``550 5.1.1 no such user`` as the remote said, or our own words, one line, printable.
        status: enhanced status code such as ``5.1.1`` (RFC 3463); class follows the verdict.
        remote: host name that answered, empty if none did.
        reports_on: the next hop has taken over the sender's wish for reports (RFC 3461).
        timed: it has taken over the time by which to deliver (RFC 2852).
        copies: DELIVERED means: to these people here, in the transaction that records it.
        followed_to: and these are new recipients of the message, likewise.
        trouble: of the destination, not of this recipient.
        again: the server takes no more recipients in one transaction; nothing was said about this
            one, who may be sent the next one at once. Only where another of the attempt is decided.
        via: ``host[address]:port`` it was sent to, and how TLS protected it; empty if none was.
    """

    number: int
    verdict: Verdict
    status: str
    reply: str
    remote: str = ""
    reports_on: bool = False
    timed: bool = False
    copies: tuple[LocalCopy, ...] = ()
    followed_to: tuple[QueuedRecipient, ...] = ()
    trouble: Trouble = Trouble.NONE
    again: bool = False
    via: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the queue keeps for one recipient.

    Args:
        next_attempt_at: None: done with.
        told_of_delay: the sender is told with this very transaction.
        copies: people here who get the message, unless they have it by another of its recipients.
        followed_to: new recipients of the message, due at once.
    """

    number: int
    attempts: int
    next_attempt_at: int | None
    reply: str
    told_of_delay: bool = False
    copies: tuple[LocalCopy, ...] = ()
    followed_to: tuple[QueuedRecipient, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Counts for ``gateway status``; ``held`` messages are among ``messages``."""

    messages: int
    recipients: int
    oldest_created_at: int | None
    held: int = 0


class QueueState(Enum):
    """What a queued message, or its part for one destination, does now."""

    READY = "ready"  # due; it waits for room, or for its destination
    WAITING = "waiting"  # for its next time
    SENDING = "sending"  # leased: it is being sent, or about to be
    HELD = "held"


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which messages are meant; what is empty does not narrow.

    Args:
        held: True: held ones only; False: those that are not.
        sender: address, or ``@domain``; ``<>`` for the null sender.
        recipient: address, or ``@domain``, of one of its recipients.
        destination: of one of its recipients, as QueueItem has it, or their domain or next hop.
        before: accepted before this Unix time.
        since: accepted at this Unix time or later.
        larger_octets: of more octets than this.
        message_id: the id under which it was accepted.
        state: of the message, or of its part for one of its destinations.
    """

    held: bool | None = None
    sender: str = ""
    recipient: str = ""
    destination: str = ""
    before: int | None = None
    since: int | None = None
    larger_octets: int | None = None
    message_id: str = ""
    state: QueueState | None = None


SHAPE_AGES_S = (300, 900, 3600, 14_400, 86_400, 259_200)
"""The ages up to which a shape counts; what is older comes behind them."""


@dataclass(frozen=True, slots=True)
class ShapeRow:
    """How old is what waits for one destination, or from one sender's domain.

    Args:
        name: the destination, or the domain; empty for the null sender.
        messages: counts by SHAPE_AGES_S, each younger than its age and not in an earlier one, and
            of the older ones.
    """

    name: str
    messages: tuple[int, ...]
    octets: int


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message as a list shows it.

    Args:
        recipients: how many wait; ``first_recipients`` are a few of them.
        due_at: None: when somebody releases it.
        leased: it is being sent, or about to be.
        destinations: a few of them.
    """

    queue_id: QueueId
    message_id: str
    sender: Address | None
    size_octets: int
    created_at: int
    due_at: int | None
    hold: str
    leased: bool
    recipients: int
    first_recipients: tuple[Address, ...]
    last_reply: str
    state: QueueState = QueueState.WAITING
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingStatus:
    """One recipient as an administrator sees it; ``next_attempt_at`` None: when released.

    Args:
        destination: as QueueItem has it.
    """

    recipient: WaitingRecipient
    next_attempt_at: int | None
    destination: str = ""


@dataclass(frozen=True, slots=True)
class QueuePart:
    """What waits of a message for one destination; ``due_at`` None: when released."""

    destination: str
    state: QueueState
    due_at: int | None


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A message with all that is known of it."""

    message: QueuedMessage
    item: QueueItem
    recipients: tuple[WaitingStatus, ...]
    parts: tuple[QueuePart, ...] = ()


@dataclass(frozen=True, slots=True)
class DestinationStatus:
    """A destination as the runner sees it now.

    Args:
        window: attempts that may be made at once.
        in_flight: those being made.
        in_line: messages that were taken from the store and wait for room.
        dead_until: Unix time before which nothing is tried, as nobody could be talked to.
        limited_until: Unix time of the next one that its rate allows.
        problem: the latest words of trouble, empty while all is well.
    """

    destination: str
    window: int
    in_flight: int
    in_line: int = 0
    dead_until: int | None = None
    limited_until: int | None = None
    problem: str = ""


class Start(Enum):
    """What became of the wish to have a destination's mail sent now (RFC 1985)."""

    STARTED = "started"
    NOTHING_WAITS = "nothing waits"
    UNKNOWN = "unknown"  # no form of a name that is known here
