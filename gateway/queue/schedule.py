"""When a deferred recipient is tried again, and when trying ends (RFC 5321 section 4.5.4.1).

Pure arithmetic on Unix seconds; reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Schedule:
    """Back-off and lifetime.

    Args:
        delays_s: waits before the second, third… attempt; the last one repeats. The first ones are
            short, as most deferrals are greylisting or a restart.
        lifetime_s: after this long the sender gets a report. RFC 5321 asks for 4 to 5 days.
        notice_after_s: after this long the sender hears once that it takes longer; 0: never.
        jitter: each wait varies by this share of itself, so that mail that failed together does
            not come back together.
    """

    delays_s: tuple[int, ...] = (60, 300, 900, 1800, 3600, 7200, 14_400)
    lifetime_s: int = 5 * DAY_S
    notice_after_s: int = 4 * 3600
    jitter: float = 0.1

    @property
    def longest_delay_s(self) -> int:
        """No wait is longer, whatever a clock did meanwhile (SECURITY D7)."""
        return int(max(self.delays_s) * (1 + self.jitter)) + 1

    def next_attempt_at(
        self, *, attempts: int, now: int, created_at: int, random: Random
    ) -> int | None:
        """When to try again after ``attempts`` (1 or more) have failed; None: give up.

        A clock that went back cannot keep a message for ever: while it stands before the message
        came, twice the lifetime of waits is the end. Never else, as mail that is tried again on
        demand (ETRN, ``retry``) has not waited so long.
        """
        if self.age_s(attempts=attempts, now=now, created_at=created_at) >= self.lifetime_s:
            return None
        if now < created_at and self._waits_s(attempts) >= 2 * self.lifetime_s:
            return None
        return now + self.delay_s(attempts, random)

    def age_s(self, *, attempts: int, now: int, created_at: int) -> int:
        """How long it has been tried: the lesser of the wall clock's time and the sum of the waits,
        so that neither a clock that jumps forward nor a hold makes mail old."""
        return min(now - created_at, self._waits_s(attempts))

    def notice_in_s(self, age_s: int) -> int | None:
        """When the sender is to hear that it takes longer; 0 or less: now. None: never."""
        return self.notice_after_s - age_s if self.notice_after_s else None

    def delay_s(self, attempts: int, random: Random) -> int:
        """The wait after this many attempts, jitter included; at least a second."""
        delay_s = self.delays_s[min(max(attempts, 1), len(self.delays_s)) - 1]
        return max(1, round(delay_s * random.uniform(1 - self.jitter, 1 + self.jitter)))

    def _waits_s(self, attempts: int) -> int:
        """All waits up to and including the one that would come next."""
        repeated = max(0, attempts - len(self.delays_s))
        return sum(self.delays_s[:attempts]) + repeated * self.delays_s[-1]
