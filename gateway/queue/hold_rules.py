"""Rules by which queued messages are held, whether they wait already or come later.

Owns the rules in memory and what fits them: they are looked at before each attempt, so no process
that accepts mail needs to know of them. A message that somebody has released passes the rules that
were there then. Those that wait when a rule is made are held by ``hold_rules_desk``.

Limits: MAX_RULES rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import DeferredLock

from gateway.core.address import Address
from gateway.core.hold_rules import HoldRule
from gateway.core.ports.queue_lists import HoldRuleStore
from gateway.core.queue import QueueItem

MAX_RULES = 100


class HoldRules:
    """The rules, in the process that runs the queue. The reactor's thread."""

    def __init__(self, store: HoldRuleStore) -> None:
        self._store = store
        self._rules: tuple[HoldRule, ...] = ()
        self._lock = DeferredLock()  # what is read never overtakes what is written

    async def load(self) -> None:
        """What is kept. Raises: StoreUnavailable."""
        await self._lock.acquire()
        try:
            self._rules = tuple(await self._store.all())
        finally:
            self._lock.release()

    @property
    def all(self) -> Sequence[HoldRule]:
        return self._rules

    @property
    def is_full(self) -> bool:
        return len(self._rules) >= MAX_RULES

    def find(self, rule_id: int) -> HoldRule | None:
        return next((rule for rule in self._rules if rule.rule_id == rule_id), None)

    def judge(self, item: QueueItem) -> HoldRule | None:
        """The first rule that holds it."""
        for rule in self._rules:
            if rule.rule_id > item.rules_passed and fits(rule, item):
                return rule
        return None

    async def add(self, rule: HoldRule) -> HoldRule:
        """In force when this returns. Raises: StoreUnavailable."""
        await self._lock.acquire()
        try:
            kept = await self._store.add(rule)
            self._rules += (kept,)
        finally:
            self._lock.release()
        return kept

    async def remove(self, rule_id: int) -> HoldRule | None:
        """What it held stays held. Raises: StoreUnavailable."""
        await self._lock.acquire()
        try:
            rule = self.find(rule_id)
            if rule is None or not await self._store.remove(rule_id):
                return None
            self._rules = tuple(each for each in self._rules if each.rule_id != rule_id)
        finally:
            self._lock.release()
        return rule


def hold_of(rule: HoldRule) -> str:
    """Why a message is held, as lists show it."""
    return f"rule {rule.rule_id}: {rule.reason or f'by {rule.made_by}'}"


def fits(rule: HoldRule, item: QueueItem) -> bool:
    """Whether all filters fit; as lists understand them (``QueueFilter``)."""
    if rule.larger_octets and item.size_octets <= rule.larger_octets:
        return False
    if rule.sender and not _is(rule.sender, item.sender):
        return False
    if rule.recipient and not any(_is(rule.recipient, each.address) for each in item.recipients):
        return False
    named = rule.destination
    return (
        not named
        or named == item.destination
        or any(named in (each.next_hop, each.address.domain) for each in item.recipients)
    )


def _is(text: str, address: Address | None) -> bool:
    """``local@domain``, ``@domain``, or ``<>``."""
    if address is None or text == "<>":
        return address is None and text == "<>"
    local, _, domain = text.rpartition("@")
    return domain == address.domain and (
        not local or local.casefold() == address.local_part.casefold()
    )
