"""Comparisons that administrators have begun: they go on in the background and are asked about.

Owns their numbers and what came of them, so that no command waits longer for an answer than the
gateway takes to give one, however many mailboxes there are. A comparison of which nobody hears any
more ends like any other. Limits: the last MOST of this process.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError
from gateway.people.following import Compared, PeopleFollower

MOST = 4


class NotCompared(GatewayError):
    """The text says why."""


@dataclass(slots=True)
class Comparison:
    """Args: told: what was found so far."""

    told: Compared = field(default_factory=Compared)
    done: bool = False
    failure: Failure | None = None


class Comparisons:
    """By their numbers."""

    def __init__(self, follower: PeopleFollower) -> None:
        self._follower = follower
        self._numbers = itertools.count(1)
        self._kept: dict[int, Comparison] = {}

    def begin(self, *, dry_run: bool, accept: bool) -> int:
        """Raises: NotCompared."""
        if len(self._kept) >= MOST:
            over = [number for number, each in self._kept.items() if each.done]
            if not over:
                raise NotCompared("others compare already; try again when they are done")
            del self._kept[over[0]]
        number = next(self._numbers)
        begun = self._kept[number] = Comparison()

        def ended(outcome: object) -> None:
            begun.done = True
            begun.failure = outcome if isinstance(outcome, Failure) else None

        comparing = self._follower.compare(dry_run=dry_run, accept=accept, told=begun.told)
        Deferred.fromCoroutine(comparing).addBoth(ended)
        return number

    def look(self, number: int) -> Comparison:
        """Raises: NotCompared; what ended it."""
        found = self._kept.get(number)
        if found is None:
            raise NotCompared("the process that compared has ended; what it noted stays: try again")
        if found.failure is not None:
            found.failure.raiseException()
        return found
