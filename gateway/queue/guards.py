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
        self._rules = rules
        self._suppressions = suppressions

    async def load(self) -> None:
        """Raises: StoreUnavailable."""
        await self._rules.load()
        await self._suppressions.load()

    def judge(self, item: QueueItem) -> Keep | Sequence[Outcome] | None:
        rule = self._rules.judge(item)
        if rule is not None:
            return Keep(hold_of(rule))
        if item.destination == LOCAL:
            return None
        return self._suppressions.judge(item) or None

    def learn(self, item: QueueItem, outcomes: Sequence[Outcome]) -> None:
        if item.destination != LOCAL:
            self._suppressions.learn(item, outcomes)
