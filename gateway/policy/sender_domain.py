"""The check ``sender_domain``: whether mail to the sender's domain could be delivered at all.

Owns the reading of MX, A and AAAA for that question: a null MX says that there is no mail from
there either (RFC 7505 section 4.2). Address literals and the null sender are not judged.
"""

from __future__ import annotations

import idna
from twisted.internet.defer import Deferred

from gateway.core.ports.clock import Timers
from gateway.policy.checks import Answer
from gateway.policy.dns import Dns, Kind
from gateway.policy.facts import Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage


class SenderDomainCheck:
    """Args: missing, null_mx: what becomes of mail from such domains."""

    stages = frozenset((Stage.SENDER,))

    def __init__(
        self,
        ground: Ground,
        names: Dns,
        timers: Timers,
        *,
        missing: Action,
        null_mx: Action,
        timeout_s: float,
    ) -> None:
        self._ground = ground
        self._names = names
        self._timers = timers
        self._missing = missing
        self._null_mx = null_mx
        self._timeout_s = timeout_s
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        envelope = facts.envelope
        if envelope is None or envelope.sender is None or envelope.sender.domain[:1] in ("", "["):
            return None
        if self._ground.leaves_out_known(facts.client):
            return None
        return Deferred.fromCoroutine(self._look(envelope.sender.domain))

    async def _look(self, domain: str) -> Answer:
        end = self._timers.seconds() + self._timeout_s
        name = ascii_domain(domain)
        inputs = {"domain": domain}
        trouble = ""
        kinds: tuple[Kind, ...] = ("MX", "A", "AAAA")
        for kind in kinds if name else ():
            found = await self._names.ask_until(kind, name, end)
            if kind == "MX" and found.values and not any(found.values):
                # RFC 7505 section 4.2, RFC 7372: 550 5.7.27, sender address has null MX.
                reason, text = f"{domain} has a null MX", f"{domain} does not take mail"
                return self._ground.verdict(self._null_mx, reason, inputs, text=text, status="7.27")
            if found.values:
                return None
            trouble = trouble or found.trouble
        if trouble:
            return self._ground.trouble(f"DNS about {domain}: {trouble}", inputs)
        return self._ground.verdict(
            self._missing,
            f"{domain} has neither MX nor address",
            inputs,
            text=f"The sender's domain {domain} does not exist",
            status="1.8",
        )


def ascii_domain(domain: str) -> str:
    """As DNS knows it; empty for what cannot be a domain there."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
