"""The port that says where an address leads, and how it is told why."""

from __future__ import annotations

from typing import Protocol

from gateway.core.address import Address
from gateway.core.route import Route


class Steps(Protocol):
    """Takes down how an answer was found, for ``gateway explain``."""

    def add(self, text: str) -> None:
        """One more step, in words for administrators; may hold what a client has said."""
        ...


class Router(Protocol):
    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        """Where mail for this recipient goes.

        Args:
            recipient: envelope recipient; bare ``postmaster`` means the first domain's.
            may_relay: the sender has logged in, or is in a network that may (or is the gateway
                itself).

        Raises:
            UnknownRecipient: domain of ours, nobody there.
            NobodyThere: a group or alias without anybody in it.
            RelayDenied: foreign domain and not may_relay.
            ExpansionFailed: a group or alias that is too large.
            DirectoryUnavailable: nobody can say at the moment.
        """
        ...


class ExplainingRouter(Router, Protocol):
    """A router that also says how it came to its answer."""

    async def route(
        self, recipient: Address, *, may_relay: bool, steps: Steps | None = None
    ) -> Route: ...
