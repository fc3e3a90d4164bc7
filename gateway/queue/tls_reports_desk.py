"""Where administrators look at what is counted for reports about TLS (RFC 8460), in JSON's shapes.

Owns the call. What is counted and when a report leaves is ``delivery``'s; whether a domain wants
one is asked when its day is over, not here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from gateway.core.ports.clock import WallClock
from gateway.core.ports.tls_policies import TlsCounts
from gateway.delivery.tls_reports import summed
from gateway.queue.desk_forms import Answer, Arguments, argument, limit_in
from gateway.wire.tlsrpt import DAY_S, PolicyCount

MAX_PAGE = 1000
DAYS = 5
"""Of one domain: those that the store keeps, and both ends."""


class TlsReportsDesk:
    """Answers the call.

    Args:
        fresh: makes sure that what is in memory is in the store.
        counting: whether anything is counted at all.
    """

    CALLS = frozenset({"tls-reports"})

    def __init__(
        self,
        counts: TlsCounts,
        fresh: Callable[[], Awaitable[None]],
        wall_clock: WallClock,
        *,
        counting: bool,
    ) -> None:
        self._counts = counts
        self._fresh = fresh
        self._wall_clock = wall_clock
        self._counting = counting

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """By day and domain, the oldest first. Raises: CallRefused, StoreUnavailable."""
        limit = limit_in(arguments, 100, MAX_PAGE)
        domain: str = argument(arguments, "domain", str, "").casefold().rstrip(".")
        await self._fresh()
        today = int(self._wall_clock()) // DAY_S
        found: Sequence[tuple[int, str]]
        if domain:
            found = [(day, domain) for day in range(today - DAYS + 1, today + 1)]
            limit = DAYS
        else:
            found = await self._counts.unreported(today + 1, limit + 1)
        reports: list[Answer] = []
        for day, each in found[:limit]:
            policies = summed(await self._counts.counted(day, each))
            if policies:
                shown = datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()
                reports.append(
                    {
                        "day": shown,
                        "domain": each,
                        "is_over": day < today,
                        "policies": [_policy(policy) for policy in policies],
                    }
                )
        return {"counting": self._counting, "reports": reports, "more": len(found) > limit}


def _policy(count: PolicyCount) -> Answer:
    return {
        "type": count.policy.kind,
        "domain": count.policy.domain,
        "policy": list(count.policy.lines),
        "successful": count.successful,
        "failed": count.failed,
        "failures": [
            {
                "result": each.result,
                "sessions": each.sessions,
                "host": each.receiving_host,
                "receiving_ip": each.receiving_ip,
                "sending_ip": each.sending_ip,
                "reason": each.reason,
            }
            for each in count.details
        ],
    }
