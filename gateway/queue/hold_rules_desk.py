"""Where administrators make rules that hold, look at them and remove them, in JSON's shapes.

Owns the calls, that a new rule holds what waits already, and that each deed is logged and traced
with who did it. Holding goes on in pages, each a call of its own, as a long queue takes a while;
a rule is in force for all that is sent from its first moment on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.logger import Logger

from gateway.core.hold_rules import HoldRule
from gateway.core.ids import QueueId
from gateway.core.log_text import escaped
from gateway.core.ports.clock import WallClock
from gateway.core.ports.queue import QueueControl
from gateway.core.queue import QueueFilter
from gateway.queue.desk_forms import Answer, Arguments, CallRefused, argument, filter_of
from gateway.queue.hold_rules import MAX_RULES, HoldRules, hold_of
from gateway.queue.journal import Journal

PAGE = 200
MAX_REASON = 200
_FILTERS = ("sender", "recipient", "destination", "larger_octets")

HoldMessages = Callable[[str, Arguments, str], Awaitable[Answer]]
"""The desk's deed: its name, arguments and who asks."""


class HoldRulesDesk:
    """Answers calls.

    Args:
        fresh: makes sure that what is in memory is what is kept.
    """

    CALLS = frozenset({"rules", "rule-add", "rule-apply", "rule-remove"})
    log = Logger()

    def __init__(
        self,
        rules: HoldRules,
        control: QueueControl,
        hold: HoldMessages,
        journal: Journal,
        wall_clock: WallClock,
        fresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._rules = rules
        self._control = control
        self._hold = hold
        self._journal = journal
        self._wall_clock = wall_clock
        self._fresh = fresh

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Raises: CallRefused, StoreUnavailable."""
        await self._fresh()
        match name:
            case "rule-add":
                return await self._add(arguments, actor)
            case "rule-apply":
                return await self._apply(arguments, actor)
            case "rule-remove":
                return await self._remove(arguments, actor)
        return {"rules": [_row(rule) for rule in self._rules.all]}

    async def _add(self, arguments: Arguments, actor: str) -> Answer:
        """``{filters, "reason"}``; a rule for all that waits says ``"everything": true``."""
        which = filter_of({name: arguments[name] for name in _FILTERS if arguments.get(name)})
        reason = argument(arguments, "reason", str, "")[:MAX_REASON]
        everything = argument(arguments, "everything", bool, False)
        if (which == QueueFilter()) is not everything:
            raise CallRefused(f"expected one of {', '.join(_FILTERS)}, or everything")
        if self._rules.is_full:
            raise CallRefused(f"there are {MAX_RULES} rules already; remove some")
        rule = HoldRule(
            0,
            which.sender,
            which.recipient,
            which.destination,
            which.larger_octets or 0,
            reason,
            actor,
            int(self._wall_clock()),
        )
        rule = await self._rules.add(rule)
        self._tell("hold rule made", rule, actor)
        return {"rule": _row(rule)}

    async def _apply(self, arguments: Arguments, actor: str) -> Answer:
        """Hold a page of what waits and fits: ``{"id", "after"}``."""
        rule = self._find(arguments)
        after = argument(arguments, "after", str, "")
        which = QueueFilter(
            held=False,
            sender=rule.sender,
            recipient=rule.recipient,
            destination=rule.destination,
            larger_octets=rule.larger_octets or None,
        )
        found = await self._control.listed(which, after=QueueId(after) or None, limit=PAGE)
        ids = [each.queue_id for each in found]
        held = 0
        if ids:
            answer = await self._hold("hold", {"ids": ids, "reason": hold_of(rule)}, actor)
            held = len(answer["done"])
        return {"held": held, "more_after": ids[-1] if len(ids) == PAGE else ""}

    async def _remove(self, arguments: Arguments, actor: str) -> Answer:
        rule = self._find(arguments)
        if await self._rules.remove(rule.rule_id) is None:
            raise CallRefused(f"rule {rule.rule_id} has just been removed")
        self._tell("hold rule removed", rule, actor)
        return {"rule": _row(rule)}

    def _find(self, arguments: Arguments) -> HoldRule:
        rule_id = argument(arguments, "id", int, 0)
        rule = self._rules.find(rule_id)
        if rule is None:
            raise CallRefused(f"there is no rule {rule_id}")
        return rule

    def _tell(self, kind: str, rule: HoldRule, actor: str) -> None:
        filters = {name: getattr(rule, name) for name in _FILTERS if getattr(rule, name)}
        self.log.info(
            "{kind} by {actor}: {hold} {filters}",
            kind=kind,
            actor=actor,
            hold=escaped(hold_of(rule)),
            filters=escaped(filters or "everything"),
        )
        fields = {"rule": rule.rule_id, **filters} | (
            {"reason": rule.reason} if rule.reason else {}
        )
        self._journal.changed(kind, actor, f"rule {rule.rule_id}", fields)


def _row(rule: HoldRule) -> Answer:
    return {
        "id": rule.rule_id,
        "sender": rule.sender,
        "recipient": rule.recipient,
        "destination": rule.destination,
        "larger_octets": rule.larger_octets,
        "reason": rule.reason,
        "made_by": rule.made_by,
        "made_at": rule.made_at,
    }
