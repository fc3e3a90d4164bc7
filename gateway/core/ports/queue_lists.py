"""The ports of what administrators keep beside the queue: suppressed addresses, rules that hold.

Both are small and bounded, so that who sends may have them in memory whole; one process at a time
changes them, the one that runs the queue. Any method may raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.hold_rules import HoldRule
from gateway.core.suppression import Suppression


class SuppressionStore(Protocol):
    """Keeps what refusals have told of addresses."""

    async def all(self) -> Sequence[Suppression]:
        """Every one, in the order of their addresses."""
        ...

    async def keep(self, changed: Sequence[Suppression], removed: Sequence[str]) -> None:
        """In one commit; what is not there is removed all the same."""
        ...


class HoldRuleStore(Protocol):
    """Keeps rules. What is released passes all that were there then (``QueueItem``)."""

    async def all(self) -> Sequence[HoldRule]:
        """Every one, by id."""
        ...

    async def add(self, rule: HoldRule) -> HoldRule:
        """As it is kept: with its id."""
        ...

    async def remove(self, rule_id: int) -> bool:
        """False: there is none."""
        ...
