"""The check ``dns_list``: DNS block and allow lists with weights (RFC 5782).

Owns asking all lists at the same time, the sum of the weights of those that list the client, what
becomes of it, and the text that the heaviest list has for the refused. A list that cannot be had
counts nothing; where ``on_trouble = "defer"`` that decides if the others have not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, gatherResults

from gateway.core.ports.clock import Timers
from gateway.policy.checks import Answer
from gateway.policy.dns import Dns
from gateway.policy.dns_zones import Said, Zone
from gateway.policy.facts import Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage

MAX_REASON_TEXT = 160


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Sums of weights from which on; 0: never. The first that is reached counts."""

    reject: float
    defer: float
    quarantine: float
    tag: float

    def action_at(self, score: float) -> Action:
        for threshold, action in (
            (self.reject, Action.REJECT),
            (self.defer, Action.DEFER),
            (self.quarantine, Action.QUARANTINE),
            (self.tag, Action.TAG),
        ):
            if threshold and score >= threshold:
                return action
        return Action.PASS


class DnsListCheck:
    """Several lists, judged together."""

    def __init__(
        self,
        ground: Ground,
        zones: Sequence[Zone],
        names: Dns,
        timers: Timers,
        *,
        thresholds: Thresholds,
        stages: frozenset[Stage],
        list_timeout_s: float,
        timeout_s: float,
    ) -> None:
        self._ground = ground
        self._zones = zones
        self._names = names
        self._timers = timers
        self._thresholds = thresholds
        self._list_timeout_s = min(list_timeout_s, timeout_s)
        self._timeout_s = timeout_s
        self.stages = stages
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        if self._ground.leaves_out_known(facts.client):
            return None
        asked = [(zone, name) for zone in self._zones if (name := zone.subject(facts))]
        if not asked:
            return None
        end = self._timers.seconds() + self._timeout_s
        all_said: Deferred[list[Said]] = gatherResults(
            [Deferred.fromCoroutine(zone.ask(name, self._list_timeout_s)) for zone, name in asked],
            consumeErrors=True,
        )
        return Deferred.fromCoroutine(self._judge(all_said, end, facts))

    async def _judge(self, all_said: Deferred[list[Said]], end: float, facts: Facts) -> Answer:
        said = await all_said
        listed = [each for each in said if each.listed]
        troubles = [f"{each.zone.zone}: {each.trouble}" for each in said if each.trouble]
        score = sum(each.zone.weight for each in listed)
        inputs = {
            "score": f"{score:g}",
            **{each.name: f"{', '.join(each.listed)} ({each.zone.weight:+g})" for each in listed},
        }
        if troubles:
            inputs["trouble"] = "; ".join(troubles)
        action = self._thresholds.action_at(score)
        if action is Action.PASS:
            if troubles and self.defers_on_trouble:
                return self._ground.trouble(troubles[0], inputs)
            if not listed and not troubles and not facts.client.rehearsal:
                return None
            return self._ground.verdict(action, f"a score of {score:g}", inputs)
        worst = max(listed, key=lambda each: each.zone.weight)
        text = ""
        if action in (Action.REJECT, Action.DEFER):
            left_s = min(end - self._timers.seconds(), self._list_timeout_s)
            text = await self._text_of(worst, facts, left_s)
            inputs["text"] = text
        names = ", ".join(each.zone.zone for each in listed if each.zone.weight > 0)
        return self._ground.verdict(
            action, f"listed by {names}, a score of {score:g}", inputs, text=text
        )

    async def _text_of(self, worst: Said, facts: Facts, timeout_s: float) -> str:
        """What a list tells those it lists (section 2.1: a TXT record)."""
        answer = self._names.ask("TXT", worst.name, timeout_s)
        answer = await answer if isinstance(answer, Deferred) else answer
        subjects = {
            "ip": facts.client.peer_ip,
            "host_name": facts.client.host_name,
            "helo": "Your name in EHLO",
        }
        whom = subjects.get(worst.zone.of, "The sender's domain")
        text = f"{whom} is listed by {worst.zone.zone}"
        return f"{text}: {answer.values[0][:MAX_REASON_TEXT]}" if answer.values else text
