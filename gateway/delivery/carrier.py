"""Who makes an attempt: the sending side, or the house itself for recipients who waited here.

Owns that choice alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.messages import LOCAL
from gateway.core.queue import Outcome, QueueItem, WaitingRecipient
from gateway.delivery.local import LocalDelivery
from gateway.delivery.remote import RemoteDelivery


class Carrier:
    """Makes attempts to any destination."""

    def __init__(self, remote: RemoteDelivery, local: LocalDelivery) -> None:
        self._remote = remote
        self._local = local

    def destination(self, recipient: WaitingRecipient) -> str:
        """Recipients of one message with the same destination may share an attempt."""
        return LOCAL if recipient.next_hop == LOCAL else self._remote.destination(recipient)

    async def attempt(
        self, item: QueueItem, recipients: Sequence[WaitingRecipient], next_hop: str
    ) -> list[Outcome]:
        """Try once; each recipient gets exactly one outcome."""
        if next_hop == LOCAL:
            return await self._local.attempt(item, recipients)
        return await self._remote.attempt(item, recipients, next_hop)
