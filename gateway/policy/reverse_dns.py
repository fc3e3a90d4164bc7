"""The check ``reverse_dns``: whether an address has a name that leads back to it.

Owns the question to PTR, and those to A or AAAA of what it says; a name that is confirmed so goes
into ``Client.host_name`` for the checks behind. Limits: MAX_NAMES names of one address are tried.
"""

from __future__ import annotations

import ipaddress

from twisted.internet.defer import Deferred

from gateway.core.hosts import parse_ip
from gateway.core.ports.clock import Timers
from gateway.policy.checks import Answer
from gateway.policy.dns import Dns, Kind, is_host_name
from gateway.policy.facts import Client, Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage

MAX_NAMES = 5


class ReverseDnsCheck:
    """Args: no_name, mismatch: what becomes of an address without, or without confirmed, name."""

    def __init__(
        self,
        ground: Ground,
        names: Dns,
        timers: Timers,
        *,
        no_name: Action,
        mismatch: Action,
        stages: frozenset[Stage],
        timeout_s: float,
    ) -> None:
        self._ground = ground
        self._names = names
        self._timers = timers
        self._no_name = no_name
        self._mismatch = mismatch
        self._timeout_s = timeout_s
        self.stages = stages
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        client = facts.client
        if self._ground.leaves_out_known(client):
            return None
        address = parse_ip(client.peer_ip)
        if address is None:
            return None
        return Deferred.fromCoroutine(self._look(client, address))

    async def _look(
        self, client: Client, address: ipaddress.IPv4Address | ipaddress.IPv6Address
    ) -> Answer:
        end = self._timers.seconds() + self._timeout_s
        found = await self._names.ask_until("PTR", address.reverse_pointer, end)
        names = [name for name in found.values if is_host_name(name)][:MAX_NAMES]
        inputs = {"ip": client.peer_ip, "names": ", ".join(names)}
        if found.trouble:
            return self._ground.trouble(f"PTR of {client.peer_ip}: {found.trouble}", inputs)
        if not names:
            text = f"Your address {address} has no reverse DNS name"
            return self._verdict(self._no_name, f"{address} has no name", inputs, text)
        trouble = ""
        kind: Kind = "A" if address.version == 4 else "AAAA"
        for name in names:
            back = await self._names.ask_until(kind, name, end)
            if str(address) in back.values:
                client.host_name = name
                return None
            trouble = trouble or back.trouble
        if trouble:
            return self._ground.trouble(f"{kind} of {names[0]}: {trouble}", inputs)
        text = f"The name of your address {address} does not lead back to it"
        reason = f"{names[0]} does not lead back to {address}"
        return self._verdict(self._mismatch, reason, inputs, text)

    def _verdict(self, action: Action, reason: str, inputs: dict[str, str], text: str) -> Answer:
        # RFC 7372 section 3.3: X.7.25, reverse DNS validation failed.
        return self._ground.verdict(action, reason, inputs, text=text, status="7.25")
