"""The port that says where an address leads."""

from __future__ import annotations

from typing import Protocol

from gateway.core.address import Address
from gateway.core.route import Route


class Router(Protocol):
    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        """Where mail for this recipient goes.

        Args:
            recipient: envelope recipient; bare ``postmaster`` means the first domain's.
            may_relay: the sender has logged in (or is the gateway itself).

        Raises:
            UnknownRecipient: domain of ours, nobody there.
            RelayDenied: foreign domain and not may_relay.
            DirectoryUnavailable: nobody can say at the moment.
        """
        ...
