"""One mail transaction: the envelope as it grows from MAIL to the dot, and the message it becomes.

Owns the envelope's state and who gets one copy. Never answers and never asks a port.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.messages import NewMessage, QueuedRecipient
from gateway.core.ports.body import IncomingBody
from gateway.core.route import LocalMailbox, Route
from gateway.edge.smtp.trace_header import return_path


@dataclass(slots=True)
class Transaction:
    """Sender and recipients accepted so far."""

    sender: Address | None
    eight_bit: bool = False
    announced_octets: int = 0
    """SIZE= of MAIL; 0: not announced."""
    accepted: int = 0
    """RCPTs answered with 250, repeats included: what the limit counts."""
    _first: Address | None = None
    # Insertion order with each key once: a person gets one copy by however many addresses and
    # however often they are named (SECURITY S24).
    _local: dict[AccountId, None] = field(default_factory=dict)
    _remote: dict[Address, QueuedRecipient] = field(default_factory=dict)

    def add(self, recipient: Address, route: Route) -> None:
        """Take one more recipient."""
        self.accepted += 1
        if self._first is None:
            self._first = recipient
        if isinstance(route, LocalMailbox):
            self._local[route.account.account_id] = None
        else:
            self._remote.setdefault(recipient, QueuedRecipient(recipient, route.next_hop))

    @property
    def local(self) -> tuple[AccountId, ...]:
        """The people here, each once."""
        return tuple(self._local)

    def is_for_none_but(self, accounts: Collection[AccountId]) -> bool:
        return not self._remote and all(account_id in accounts for account_id in self._local)

    @property
    def only_recipient(self) -> Address | None:
        """The recipient if exactly one was named."""
        return self._first if self.accepted == 1 else None

    @property
    def recipients_in_short(self) -> str:
        """For the log: the first one as it was named, and how many RCPTs followed."""
        more = f" and {self.accepted - 1} more" if self.accepted > 1 else ""
        return f"<{self._first}>{more}"

    def message(
        self,
        *,
        ingest_id: str,
        trace_header: bytes,
        body: IncomingBody,
        received_at: int,
        may_exceed_quota: bool,
    ) -> NewMessage:
        """What the store is asked to take."""
        return NewMessage(
            ingest_id=ingest_id,
            sender=self.sender,
            local_header=return_path(self.sender),
            trace_header=trace_header,
            body=body,
            local=self.local,
            remote=tuple(self._remote.values()),
            received_at=received_at,
            eight_bit=self.eight_bit,
            may_exceed_quota=may_exceed_quota,
        )
