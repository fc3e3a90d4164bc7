"""The bounds of the queue's runner. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """Bounds with their reasons.

    Args:
        attempts: connections at once; each is a socket and a buffer of 64 KiB.
        per_destination: connections to one; more looks like an attack to many receivers.
        waiting_per_destination: attempts in line for one destination before mail is put back.
        waiting_when_troubled: the same while the destination does not answer.
        put_back_s: for how long mail is put back at most, and always to a troubled destination.
        back_per_s: mail put back comes due at this rate: faster than most destinations take mail,
            slow enough for the store.
        messages: leased at once.
        recipients_per_attempt: RFC 5321 section 4.5.3.1.8: every server takes 100.
        lease_s: after a crash mail waits so long at most; renewed while an attempt goes on.
        idle_s: the store is asked at least this often.
        drain_s: stopping waits so long for attempts before it breaks them off.
    """

    attempts: int = 50
    per_destination: int = 10
    waiting_per_destination: int = 200
    waiting_when_troubled: int = 20
    put_back_s: int = 120
    back_per_s: int = 100
    messages: int = 1000
    recipients_per_attempt: int = 100
    lease_s: int = 900
    idle_s: float = 60.0
    drain_s: float = 20.0
