"""The two who are asked before a queued message is sent: rules that hold, and suppressed addresses.

Owns their order: what an administrator wants held is held whole, before anybody hears that an
address is written to no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.messages import LOCAL
from gateway.core.queue import Outcome, QueueItem
from gateway.queue.hold_rules import HoldRules, hold_of
from gateway.queue.screen import Keep
from gateway.queue.suppression import Suppressions


class Guards:
    """A Screen."""

    def __init__(self, rules: HoldRules, suppressions: Suppressions) -> None:
        self.rules = rules
        self.suppressions = suppressions
        self._is_live = False

    async def load(self) -> None:
        """From now on this process alone changes them. Raises: StoreUnavailable."""
        await self._read()
        self._is_live = True

    async def fresh(self) -> None:
        """For who looks or changes something where perhaps nobody runs the queue. Raises:
        StoreUnavailable."""
        if not self._is_live:
            await self._read()

    async def _read(self) -> None:
        await self.rules.load()
        await self.suppressions.load()

    def judge(self, item: QueueItem) -> Keep | Sequence[Outcome] | None:
        rule = self.rules.judge(item)
        if rule is not None:
            return Keep(hold_of(rule))
        if item.destination == LOCAL:
            return None
        return self.suppressions.judge(item) or None

    def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
        if item.destination != LOCAL:
            self.suppressions.learn(item, outcomes)
