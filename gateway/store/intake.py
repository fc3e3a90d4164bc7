"""The port Intake: bodies are opened here and accepted here.

The blob holds local header, trace header and body; local copies show all of it, the queue reads
from behind the local header. Never decides who gets a message.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from gateway.core.messages import LOCAL, Accepted, NewMessage
from gateway.core.ports.body import IncomingBody
from gateway.store.bodies import Payload
from gateway.store.committer import Committer
from gateway.store.deliveries import Deliveries, Delivery
from gateway.store.operations import Operation
from gateway.store.payloads import Payloads
from gateway.store.trace import Traces


class MailIntake:
    """Accepts messages durably."""

    def __init__(
        self, deliveries: Deliveries, payloads: Payloads, committer: Committer, traces: Traces
    ) -> None:
        self._deliveries = deliveries
        self._traces = traces
        self._payloads = payloads
        self._committer = committer

    def open_body(self) -> IncomingBody:
        return self._payloads.open_body()

    async def accept(self, message: NewMessage) -> Accepted:
        delivery = await self.prepare(message)
        deferred: Deferred[Accepted] = Deferred()
        operation = Operation(
            payloads=(delivery.payload,), group=self._deliveries, item=delivery, deferred=deferred
        )
        self._committer.submit(operation)
        return await deferred

    async def prepare(self, message: NewMessage) -> Delivery:
        """Take the message's body; what it returns can be committed."""
        for_people_here = message.local or (
            message.remote and any(each.next_hop == LOCAL for each in message.remote)
        )
        local_header = message.local_header if for_people_here else b""
        head = local_header + message.trace_header
        made = self._payloads.make(message.body, head)
        return Delivery(
            message.ingest_id,
            message.sender,
            len(local_header),
            message.local,
            message.remote,
            message.received_at,
            message.options,
            message.hold,
            message.may_exceed_quota,
            made if isinstance(made, Payload) else await made,
            message.submission,
            message.held,
            self._traces.with_message(message.trace),
        )
