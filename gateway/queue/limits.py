"""The bounds of the queue's runner. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """Bounds with their reasons.

    Args:
        attempts: at once to all destinations; each is a socket and a buffer of 64 KiB.
        messages: taken from the store at once, a few KiB each. A quarter of this, and of the
            attempts, is kept for destinations that are known to answer.
        line: messages that wait in memory for room at one destination, so that there is always a
            next one; what waits behind them stays in the store, where it costs nothing.
        longest_line: the same where a destination takes so much that it would run dry.
        destinations: remembered with what was learnt of them, a few hundred octets each.
        page: destinations that the store names and serves with one call.
        deferrals: messages of one dead destination that are put off in a second.
        recipients_per_attempt: RFC 5321 section 4.5.3.1.8: every server takes 100.
        lease_s: after a crash mail waits so long at most; renewed while an attempt goes on.
        park_s: a destination that has no room is asked about again after this, if nothing else
            brings it up before.
        idle_s: the store is asked at least this often.
        drain_s: stopping waits so long for attempts before it breaks them off.
    """

    attempts: int = 200
    messages: int = 5000
    line: int = 20
    longest_line: int = 500
    destinations: int = 10_000
    page: int = 100
    deferrals: int = 100
    recipients_per_attempt: int = 100
    lease_s: int = 900
    park_s: int = 60
    idle_s: float = 60.0
    drain_s: float = 20.0

    @property
    def unproven_attempts(self) -> int:
        """What destinations have of the attempts that nobody knows to answer."""
        return max(1, self.attempts * 3 // 4)

    @property
    def unproven_messages(self) -> int:
        return max(1, self.messages * 3 // 4)
