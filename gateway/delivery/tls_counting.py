"""Counts how TLS with other servers went, for the reports of RFC 8460.

Owns the counts in memory and their way into the store, every FLUSH_S and at the end; so a crash
loses a minute of them. A connection costs one entry in a dictionary. What connections of reports
themselves come to is not counted (section 3): their demands bear no domain.

Limits, so that nobody who chooses where mail goes can fill the store: MAX_DOMAINS a day, and
MAX_DETAILS ways to fail of each; further ones are counted without hosts and words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.core.ports.tls_policies import Counted, Sessions, TlsCounts
from gateway.delivery.targets import Target, TlsDemand, TlsResult
from gateway.wire.sts import Policy
from gateway.wire.tlsrpt import ResultType

FLUSH_S = 60.0
MAX_DOMAINS = 20_000
MAX_DETAILS = 50
MAX_LINES = 100
DAY_S = 86_400
_REASON_CHARACTERS = 200


class Uncounted:
    """Where no reports are made."""

    def note(self, target: Target, result: TlsResult) -> None:
        """See ``TlsCounting``, as for the others."""

    def refused(self, demand: TlsDemand, host: str, result: ResultType, reason: str) -> None: ...

    def fetch_failed(self, domain: str, result: ResultType, reason: str) -> None: ...


class TlsCounting:
    """Implements ``targets.TlsWitness`` and ``tls_policies.Refusals``. Reactor thread.

    Args:
        policy_of: the MTA-STS policy of a domain as last used.
    """

    log = Logger()

    def __init__(
        self,
        counts: TlsCounts,
        policy_of: Callable[[str], Policy | None],
        timers: Timers,
        wall_clock: WallClock,
    ) -> None:
        self._counts = counts
        self._policy_of = policy_of
        self._timers = timers
        self._wall_clock = wall_clock
        self._gathered: dict[Counted, int] = {}
        self._details: dict[str, int] = {}
        self._day = 0
        self._timer: Timer | None = None

    # -- what is counted

    def note(self, target: Target, result: TlsResult) -> None:
        """A connection."""
        demand = target.demand
        if not demand.domain:
            return
        of = self._of(demand, target.host)
        if result.failure:
            of = replace(
                of,
                result=result.failure,
                host=target.host,
                receiving_ip=target.ip,
                sending_ip=result.sending_ip,
                reason=escaped(result.reason, _REASON_CHARACTERS),
            )
        self._count(of)

    def refused(self, demand: TlsDemand, host: str, result: ResultType, reason: str) -> None:
        """A host that no connection was made to, as a policy forbids it."""
        reason = escaped(reason, _REASON_CHARACTERS)
        self._count(replace(self._of(demand, host), result=result.value, host=host, reason=reason))

    def fetch_failed(self, domain: str, result: ResultType, reason: str) -> None:
        """There should be an MTA-STS policy, and it could not be fetched."""
        day = int(self._wall_clock()) // DAY_S
        reason = escaped(reason, _REASON_CHARACTERS)
        self._count(Counted(day, domain, "sts", domain, result=result.value, reason=reason))

    def _of(self, demand: TlsDemand, host: str) -> Counted:
        day = int(self._wall_clock()) // DAY_S
        domain = demand.domain
        if demand.policy == "tlsa":
            base = demand.names[0] if demand.names else host
            lines = [
                f"{each.usage} {each.selector} {each.matching} {each.data.hex()}"
                for each in demand.tlsa[:MAX_LINES]
            ]
            return Counted(day, domain, "tlsa", base, "\n".join(lines))
        if demand.policy == "sts":
            policy = self._policy_of(domain)
            shown = policy.lines[:MAX_LINES] if policy is not None else ()
            return Counted(day, domain, "sts", domain, "\n".join(shown))
        return Counted(day, domain, "no-policy-found", domain)

    def _count(self, of: Counted) -> None:
        if of.day != self._day:
            self._day = of.day
            self._details.clear()
        known = self._gathered.get(of)
        if known is None:
            if of.domain not in self._details:
                if len(self._details) >= MAX_DOMAINS:
                    return
                self._details[of.domain] = 0
            if of.result:
                self._details[of.domain] += 1
                if self._details[of.domain] > MAX_DETAILS:
                    of = replace(of, host="", receiving_ip="", sending_ip="", reason="")
                    known = self._gathered.get(of)
        self._gathered[of] = (known or 0) + 1
        if self._timer is None:
            self._timer = self._timers.callLater(FLUSH_S, self._flush_soon)

    # -- into the store

    def _flush_soon(self) -> None:
        self._timer = None
        flushing: Deferred[Any] = Deferred.fromCoroutine(self.flush())
        flushing.addErrback(lambda failure: self.log.failure("TLS is not counted", failure))

    async def flush(self) -> None:
        """All that is counted so far is in the store, or given up."""
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
        gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        try:
            await self._counts.add([Sessions(of, number) for of, number in gathered.items()])
        except GatewayError as error:
            # Kept on, a store that fails for long would fill the memory.
            self.log.warn("TLS sessions are not counted: {error}", error=str(error))
