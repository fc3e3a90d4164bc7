"""One mail transaction: the envelope as it grows from MAIL to the dot, and the message it becomes.

Owns the envelope's state and who gets one copy. Never answers and never asks a port.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.core.address import Address, path
from gateway.core.envelope import Hold
from gateway.core.ids import AccountId
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.core.ports.body import IncomingBody
from gateway.core.route import Expansion, Outbound, Route, addressed_alone, ends_of
from gateway.core.submissions import Submission
from gateway.core.trace import TraceRecord
from gateway.edge.smtp.trace_header import delivered_to, return_path
from gateway.policy.facts import Envelope, Recipient


@dataclass(slots=True)
class Transaction:
    """Sender and recipients accepted so far.

    Args:
        message_id: the connection's id and a number.
        is_lowered: it gets a lower priority than its sender asked for (RFC 6710).
    """

    message_id: str
    envelope: Envelope
    is_lowered: bool = False
    put_off: int = 0  # RCPTs answered with 4xx: too many, or to be tried again
    # Insertion order with each key once: a person gets one copy by however many addresses and
    # however often they are named (SECURITY S24).
    _local: dict[AccountId, QueuedRecipient] = field(default_factory=dict)
    _queued: dict[Address, QueuedRecipient] = field(default_factory=dict)
    _waiting: set[AccountId] = field(default_factory=set)  # of the queued ones, but members
    _expands_later: bool = False
    leads_outside: bool = False
    """An address here stands for one elsewhere."""
    _left_out: frozenset[AccountId] = frozenset()
    _sender_path: str = ""

    @property
    def accepted(self) -> int:
        """RCPTs answered with 250, repeats included: what the limit counts."""
        return len(self.envelope.recipients)

    def add(self, recipient: Recipient, full: Collection[AccountId] = ()) -> None:
        """Take one more recipient.

        Args:
            full: members of this group who have no room; their copies wait in the queue.
        """
        self.envelope.recipients.append(recipient)
        options = recipient.options
        is_group = isinstance(recipient.route, Expansion)
        if is_group and _leads_outside(recipient.route):
            self.leads_outside = True
        if is_group and options.wants_success:
            # The queue expands it and tells the sender that, and not who is in it (RFC 3461
            # section 5.2.7).
            queued = QueuedRecipient(recipient.address, LOCAL, options)
            self._queued.setdefault(recipient.address, queued)
            self._expands_later = True
            return
        for end in ends_of(recipient.address, recipient.route):
            address, route = end.address, end.route
            if isinstance(route, Outbound):
                self._queued.setdefault(address, QueuedRecipient(address, route.next_hop, options))
                continue
            account_id = route.account.account_id
            queued = QueuedRecipient(address, LOCAL, options)
            if options.wants_success:
                # The queue delivers it and tells the sender in one transaction.
                self._local.pop(account_id, None)
                self._waiting.add(account_id)
                self._queued.setdefault(address, queued)
            elif account_id in full and account_id not in self._local:
                self._queued.setdefault(address, queued)
            elif address not in self._queued and account_id not in self._waiting:
                self._local.setdefault(account_id, queued)

    @property
    def local(self) -> tuple[AccountId, ...]:
        """The people here, each once."""
        return tuple(self._local)

    def is_for_none_but(self, accounts: Collection[AccountId]) -> bool:
        return not self._queued and all(account_id in accounts for account_id in self._local)

    def set_aside(self, full: Collection[AccountId]) -> tuple[AccountId, ...]:
        """Let those of them who are members of groups wait in the queue; returns the others."""
        named = {
            alone.account_id
            for recipient in self.envelope.recipients
            if (alone := addressed_alone(recipient.route)) is not None
        }
        for account_id in full:
            if account_id not in named and account_id in self._local:
                queued = self._local.pop(account_id)
                self._queued.setdefault(queued.address, queued)
        return tuple(account_id for account_id in full if account_id in named)

    def leave_out(self, full: Collection[AccountId]) -> None:
        """These people do not get it, and are answered so (LMTP)."""
        self._left_out = frozenset(full)
        for account_id in full:
            self._local.pop(account_id, None)

    def is_left_out(self, recipient: Recipient) -> bool:
        if not self._left_out:
            return False
        alone = addressed_alone(recipient.route)
        return alone is not None and alone.account_id in self._left_out

    @property
    def sender_path(self) -> str:
        """In angle brackets; each message has it in its header, its trace and the log."""
        if not self._sender_path:
            self._sender_path = path(self.envelope.sender)
        return self._sender_path

    @property
    def only_recipient(self) -> Address | None:
        """The recipient if exactly one was named."""
        recipients = self.envelope.recipients
        return recipients[0].address if len(recipients) == 1 else None

    @property
    def recipients_in_short(self) -> str:
        """For the log: the first one as it was named, and how many RCPTs followed."""
        recipients = self.envelope.recipients
        more = f" and {len(recipients) - 1} more" if len(recipients) > 1 else ""
        return f"<{recipients[0].address}>{more}"

    @property
    def _everybody(self) -> tuple[QueuedRecipient, ...]:
        return (*self._local.values(), *self._queued.values())

    def message(
        self,
        *,
        trace_header: bytes,
        body: IncomingBody,
        received_at: int,
        may_exceed_quota: bool,
        hold: Hold | None = None,
        submission: Submission | None = None,
        trace: TraceRecord | None = None,
    ) -> NewMessage:
        """What the store is asked to take. When it is held, everybody's copy waits in the queue;
        so it does behind a group that is expanded there, as only the queue knows then who has a
        copy already."""
        waits = hold is not None or self._expands_later
        local_header = return_path(self.sender_path)
        only = self.only_recipient
        if only is not None:
            # What is sent on carries it too, so that a loop ends when it comes back here
            # (``forwarding``); but never what would make it need SMTPUTF8.
            if not self.leads_outside:
                local_header += delivered_to(only)
            elif str(only).isascii():
                trace_header = delivered_to(only) + trace_header
        return NewMessage(
            ingest_id=self.message_id,
            sender=self.envelope.sender,
            local_header=local_header,
            trace_header=trace_header,
            body=body,
            local=() if waits else self.local,
            remote=self._everybody if waits else tuple(self._queued.values()),
            received_at=received_at,
            options=self.envelope.options,
            may_exceed_quota=may_exceed_quota,
            hold=hold,
            submission=submission,
            held=self._everybody if submission is not None and submission.otherwise else (),
            trace=trace,
        )


def _leads_outside(route: Route) -> bool:
    return isinstance(route, Expansion) and any(
        isinstance(member.route, Outbound) for member in route.members
    )
