"""The port to the record of who was asked to come again later, the same for all workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Greylisted:
    """What is known of a pair.

    Args:
        first_at, last_at: Unix time when it first and last came.
        passed: how often it was let in; for a network: how many pairs of it were.
    """

    first_at: int
    last_at: int
    passed: int = 0


class GreylistStore(Protocol):
    """Pairs are texts of the check; what they are made of is its business."""

    async def look(self, pairs: tuple[str, ...]) -> dict[str, Greylisted]:
        """Those of them that are known and have not expired. Raises: StoreUnavailable."""
        ...

    def keep(self, pair: str, at: int, *, passed: int, expires_at: int) -> bool:
        """It came at this time, and was let in (``passed`` is 1) or not (0): with the next commit,
        or soon; ``look`` of this process knows it at once.

        False: there are too many, or the store fails; then it may be forgotten.
        """
        ...
