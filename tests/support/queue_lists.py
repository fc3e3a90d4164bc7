"""Suppressed addresses and hold rules in memory (``core.ports.queue_lists``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.core.hold_rules import HoldRule
from gateway.core.suppression import Suppression


@dataclass
class MemorySuppressions:
    rows: dict[str, Suppression] = field(default_factory=dict)
    problem: Exception | None = None
    writes: int = 0

    async def all(self) -> Sequence[Suppression]:
        return [self.rows[key] for key in sorted(self.rows)]

    async def keep(self, changed: Sequence[Suppression], removed: Sequence[str]) -> None:
        if self.problem is not None:
            raise self.problem
        self.writes += 1
        for address in removed:
            self.rows.pop(address, None)
        self.rows |= {each.address: each for each in changed}


@dataclass
class MemoryHoldRules:
    rules: list[HoldRule] = field(default_factory=list)
    last_id: int = 0

    async def all(self) -> Sequence[HoldRule]:
        return list(self.rules)

    async def add(self, rule: HoldRule) -> HoldRule:
        self.last_id += 1
        self.rules.append(replace(rule, rule_id=self.last_id))
        return self.rules[-1]

    async def remove(self, rule_id: int) -> bool:
        kept = [each for each in self.rules if each.rule_id != rule_id]
        removed, self.rules = len(kept) < len(self.rules), kept
        return removed
