"""The check ``rate``: how many connections, messages or recipients of whom in how long.

Owns what is counted together. The buckets are in ``core.shared_counters``, so all processes count
as one. What is refused is not counted: who keeps asking gets in as soon as there is room.

Limits: an IPv6 address counts with its /64, as one customer has at least that many (RFC 6177).
"""

from __future__ import annotations

import ipaddress
import math
from functools import lru_cache
from typing import Literal

from gateway.core.hosts import parse_ip
from gateway.core.shared_counters import Rate, SharedCounters
from gateway.policy.connections import counting_key
from gateway.policy.facts import Client, Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage, Verdict

Counted = Literal["connections", "messages", "recipients"]
Per = Literal["address", "network", "person"]

_STAGES = {
    "connections": Stage.CONNECT,
    "messages": Stage.SENDER,
    "recipients": Stage.RECIPIENT,
}


@lru_cache(maxsize=1024)
def network_of(ip: str) -> str:
    """The neighbourhood of an address: IPv4 /24, IPv6 /64."""
    address = parse_ip(ip)
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Network((int(address), 24), strict=False))
    return counting_key(ip)


class RateCheck:
    """One rate.

    Args:
        scope: tells its buckets from those of other checks.
    """

    def __init__(
        self,
        ground: Ground,
        counters: SharedCounters,
        scope: str,
        of: Counted,
        per: Per,
        rate: Rate,
        action: Action,
    ) -> None:
        self._ground = ground
        self._counters = counters
        self._scope = scope
        self._of = of
        self._per = per
        self._rate = rate
        self._action = action
        self.name = ground.name
        self.stages = frozenset((_STAGES[of],))
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Verdict | None:
        client = facts.client
        whom = self._whom(client)
        if not whom or self._ground.leaves_out(client):
            return None
        rate = self._rate
        key = f"{self._scope} {whom}"
        taken = self._counters.take(key, rate, only_look=client.rehearsal)
        if taken.allowed:
            return None
        wait_s = math.ceil(taken.wait_s)
        return self._ground.verdict(
            self._action,
            f"more than {rate.limit} {self._of} in {rate.per_s:g} s from {whom}",
            {"bucket": key, "count": taken.used, "burst": rate.burst, "wait_s": wait_s},
            text=f"Too many {self._of} from you, try again later",
            status="7.0",
        )

    def _whom(self, client: Client) -> str:
        if self._per == "person":
            return client.account.account_id if client.account is not None else ""
        if self._per == "network":
            return network_of(client.peer_ip)
        return counting_key(client.peer_ip)
