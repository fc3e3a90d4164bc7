"""Who makes an attempt: the sending side, or the house itself for recipients who waited here.

Owns that choice alone.
"""

from __future__ import annotations

from gateway.core.messages import LOCAL
from gateway.core.queue import Outcome, QueueItem
from gateway.delivery.local import LocalDelivery
from gateway.delivery.remote import RemoteDelivery


class Carrier:
    """Makes attempts to any destination."""

    def __init__(self, remote: RemoteDelivery, local: LocalDelivery) -> None:
        self._remote = remote
        self._local = local

    async def attempt(self, item: QueueItem) -> list[Outcome]:
        """Try once; each recipient gets exactly one outcome."""
        if item.destination == LOCAL:
            return await self._local.attempt(item, item.recipients)
        return await self._remote.attempt(item)

    async def stop(self) -> None:
        """No more attempts come: part from other servers as soon as those under way are over."""
        await self._remote.stop()
