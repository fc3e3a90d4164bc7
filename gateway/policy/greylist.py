"""The check ``greylist``: a stranger is asked to come again later, once (RFC 6647).

Owns who is the same stranger: client network (IPv4 /24, IPv6 /64, as large senders repeat from a
neighbour) and sender domain, with the recipient if it is set so. Who came again in time is known
for as long as mail comes; a network that enough pairs came again from is not asked any more. People
who have logged in and networks that may send through us never are.

Asked at RCPT, when routing has said that the recipient is good, so that what is refused anyway
teaches nothing. The record is the store's; a pair that was let in is remembered here as well, and
written again once in KEPT_S at most, so known senders cost no read and hardly a write.

Limits: MAX_KNOWN remembered pairs; a full or failing store lets everybody in.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from gateway.core.errors import GatewayError
from gateway.core.ports.clock import WallClock
from gateway.core.ports.greylist import Greylisted, GreylistStore
from gateway.policy.checks import Answer
from gateway.policy.facts import Facts
from gateway.policy.ground import Ground
from gateway.policy.rates import network_of
from gateway.policy.verdicts import Action, Stage, Verdict

MAX_KNOWN = 20_000
KEPT_S = 3600
MAX_PAIR = 200


@dataclass(frozen=True, slots=True)
class GreylistTimes:
    """As in the settings."""

    wait_s: int
    come_within_s: int
    keep_s: int
    by_recipient: bool
    trust_after: int


class GreylistCheck:
    """Args: times: how long; ``trust_after`` 0: never."""

    stages = frozenset((Stage.RECIPIENT,))

    def __init__(
        self, ground: Ground, store: GreylistStore, times: GreylistTimes, wall_clock: WallClock
    ) -> None:
        self._ground = ground
        self._store = store
        self._times = times
        self._wall_clock = wall_clock
        self._known: OrderedDict[str, float] = OrderedDict()  # pair: to be written again from then
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        if self._ground.leaves_out_known(facts.client):
            return None
        network = f"n {network_of(facts.client.peer_ip)}"
        pair = self._pair(facts)
        now = self._wall_clock()
        for known in (pair, network):
            if now < self._known.get(known, 0):
                return None
        return Deferred.fromCoroutine(
            self._look(network, pair, int(now), is_rehearsal=facts.client.rehearsal)
        )

    def _pair(self, facts: Facts) -> str:
        assert facts.envelope is not None and facts.recipient is not None
        sender = facts.envelope.sender
        parts = [network_of(facts.client.peer_ip), sender.domain if sender is not None else "<>"]
        if self._times.by_recipient:
            parts.append(facts.recipient.address.key)
        text = " ".join(parts)
        if len(text) > MAX_PAIR:
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            text = f"{text[: MAX_PAIR - 65]} {digest}"
        return f"p {text}"

    async def _look(self, network: str, pair: str, now: int, *, is_rehearsal: bool) -> Answer:
        times = self._times
        try:
            found = await self._store.look((network, pair))
        except GatewayError as error:
            return self._ground.trouble(f"the greylist cannot be read: {error}", {"pair": pair})
        trusted = found.get(network)
        if trusted is not None and 0 < times.trust_after <= trusted.passed:
            if not is_rehearsal:
                self._let_in(network, now, passed=0)
            return self._pass("came again often from this network", network, trusted)
        known = found.get(pair)
        if known is None:
            kept = is_rehearsal or self._store.keep(
                pair, now, passed=0, expires_at=now + times.come_within_s
            )
            if not kept:
                return self._pass("the greylist is full", pair, Greylisted(now, now))
            return self._defer("new", pair, Greylisted(now, now), times.wait_s)
        wait_s = known.first_at + times.wait_s - now
        if not known.passed and 0 < wait_s <= times.wait_s:
            return self._defer("came again too soon", pair, known, wait_s)
        if not is_rehearsal:
            self._let_in(pair, now, passed=1)
            if not known.passed and times.trust_after:
                self._store.keep(network, now, passed=1, expires_at=now + times.keep_s)
        return self._pass("known" if known.passed else "came again", pair, known)

    def _let_in(self, pair: str, now: int, *, passed: int) -> None:
        self._store.keep(pair, now, passed=passed, expires_at=now + self._times.keep_s)
        known = self._known
        known[pair] = now + KEPT_S
        known.move_to_end(pair)
        if len(known) > MAX_KNOWN:
            known.popitem(last=False)

    def _pass(self, reason: str, pair: str, known: Greylisted) -> Verdict:
        inputs = {"pair": pair, "first_seen": known.first_at, "passed": known.passed}
        return self._ground.verdict(Action.PASS, reason, inputs)

    def _defer(self, reason: str, pair: str, known: Greylisted, wait_s: int) -> Verdict:
        return self._ground.verdict(
            Action.DEFER,
            f"{reason}, greylisted for {wait_s} s more",
            {"pair": pair, "first_seen": known.first_at, "wait_s": wait_s},
            text=f"Greylisted, try again in {wait_s} s",
        )
