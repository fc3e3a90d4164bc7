"""One mail transaction: the envelope as it grows from MAIL to the dot, and the message it becomes.

Owns the envelope's state and who gets one copy. Never answers and never asks a port.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.core.address import Address
from gateway.core.envelope import Hold, Notify
from gateway.core.ids import AccountId
from gateway.core.messages import LOCAL, NewMessage, QueuedRecipient
from gateway.core.ports.body import IncomingBody
from gateway.core.route import Outbound, ends_of
from gateway.core.submissions import Submission
from gateway.core.trace import TraceRecord
from gateway.edge.smtp.trace_header import return_path
from gateway.policy.facts import Envelope, Recipient


@dataclass(slots=True)
class Transaction:
    """Sender and recipients accepted so far.

    Args:
        message_id: the connection's id and a number.
    """

    message_id: str
    envelope: Envelope
    # Insertion order with each key once: a person gets one copy by however many addresses and
    # however often they are named (SECURITY S24).
    _local: dict[AccountId, QueuedRecipient] = field(default_factory=dict)
    _queued: dict[Address, QueuedRecipient] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """RCPTs answered with 250, repeats included: what the limit counts."""
        return len(self.envelope.recipients)

    def add(self, recipient: Recipient) -> None:
        """Take one more recipient."""
        self.envelope.recipients.append(recipient)
        options = recipient.options
        for end in ends_of(recipient.address, recipient.route):
            address, route = end.address, end.route
            if isinstance(route, Outbound):
                self._queued.setdefault(address, QueuedRecipient(address, route.next_hop, options))
            elif options.notify and Notify.SUCCESS in options.notify:
                # The queue delivers it and tells the sender in one transaction.
                self._queued.setdefault(address, QueuedRecipient(address, LOCAL, options))
            else:
                queued = QueuedRecipient(address, LOCAL, options)
                self._local.setdefault(route.account.account_id, queued)

    @property
    def local(self) -> tuple[AccountId, ...]:
        """The people here, each once."""
        return tuple(self._local)

    def is_for_none_but(self, accounts: Collection[AccountId]) -> bool:
        return not self._queued and all(account_id in accounts for account_id in self._local)

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
        """What the store is asked to take; when it is held, everybody's copy waits in the queue."""
        queued = tuple(self._queued.values())
        return NewMessage(
            ingest_id=self.message_id,
            sender=self.envelope.sender,
            local_header=return_path(self.envelope.sender),
            trace_header=trace_header,
            body=body,
            local=self.local if hold is None else (),
            remote=queued if hold is None else self._everybody,
            received_at=received_at,
            options=self.envelope.options,
            may_exceed_quota=may_exceed_quota,
            hold=hold,
            submission=submission,
            held=self._everybody if submission is not None and submission.otherwise else (),
            trace=trace,
        )
