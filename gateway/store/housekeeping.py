"""When what is done once an hour is due, and doing it inside a transaction of the committer.

Owns the hour alone; the steps are those of whoever keeps what they clear away. Goes by the wall
clock, which may be set back: then the next hour begins at once, as the one that was waited for
could be a year ahead (SECURITY D7). Never begins or commits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.store.transaction import Transaction

EVERY_S = 3600.0


class Housekeeping:
    """The committer's thread.

    Args:
        steps: True when there is more to do, in the next transaction.
    """

    def __init__(self, steps: Sequence[Callable[[Transaction], object]]) -> None:
        self._steps = steps
        self._next_at = 0.0

    def is_due(self, now: float) -> bool:
        return not 0 < self._next_at - now <= EVERY_S

    def keep_house(self, tx: Transaction, now: float) -> None:
        """Unless it is not due. The time of a failed transaction counts too: nothing hurries."""
        if self.is_due(now):
            has_more = [step(tx) for step in self._steps]
            self._next_at = now if True in has_more else now + EVERY_S
