"""What servers have answered about whoever is not in the picture, for a while and in this process.

Owns the bounds in time and number, and that one question is under way once, however many ask it.
Who was found and who was not are kept apart, so that strangers who try many addresses push out
nobody known. What has expired is still there for when the servers are down, for those who were
found. Mistakes and outages are never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.group import Group

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

FOUND_S = 300.0
NOBODY_S = 60.0
MOST_FOUND = 10_000
MOST_NOBODY = 20_000
MOST_MEMBERS = 50_000
"""Of all groups that are kept resolved together."""


class Asked(Generic[K, T]):
    """One kind of question, and its answers.

    Args:
        monotonic: seconds that never jump.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        found_s: float = FOUND_S,
        nobody_s: float = NOBODY_S,
        most_found: int = MOST_FOUND,
        most_nobody: int = MOST_NOBODY,
    ) -> None:
        self._monotonic = monotonic
        self._found_s = found_s
        self._nobody_s = nobody_s
        self._most_found = most_found
        self._most_nobody = most_nobody
        self._found: dict[K, tuple[float, T]] = {}
        self._nobody: dict[K, float] = {}
        self._waiting: dict[K, list[Deferred[T | None]]] = {}

    async def ask(self, key: K, question: Callable[[], Coroutine[Any, Any, T | None]]) -> T | None:
        """The answer kept for this key, or a new one."""
        now = self._monotonic()
        found = self._found.get(key)
        if found is not None and now - found[0] < self._found_s:
            return found[1]
        nobody_at = self._nobody.get(key)
        if nobody_at is not None and now - nobody_at < self._nobody_s:
            return None
        mine: Deferred[T | None] = Deferred()
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(mine)
        else:
            self._waiting[key] = [mine]
            # Whoever asked first may give up; the others wait for the answer all the same.
            asking = Deferred.fromCoroutine(question())
            asking.addCallbacks(lambda answer: self._keep(key, answer))
            asking.addBoth(lambda outcome: self._tell(key, outcome))
        return await mine

    def remembered(self, key: K) -> tuple[float, T] | None:
        """Who was found last, and how many seconds ago, however long that is."""
        found = self._found.get(key)
        return None if found is None else (self._monotonic() - found[0], found[1])

    def _keep(self, key: K, answer: T | None) -> T | None:
        now = self._monotonic()
        self._found.pop(key, None)
        self._nobody.pop(key, None)
        if answer is not None:
            _make_room(self._found, self._most_found)
            self._found[key] = (now, answer)
        else:
            _make_room(self._nobody, self._most_nobody)
            self._nobody[key] = now
        return answer

    def _tell(self, key: K, outcome: T | Failure | None) -> None:
        for each in self._waiting.pop(key, ()):
            if each.called:
                continue  # cancelled
            if isinstance(outcome, Failure):
                each.errback(outcome)
            else:
                each.callback(outcome)


class Resolved:
    """Groups with everybody in them, as one version of the picture has them."""

    def __init__(self, most_members: int = MOST_MEMBERS) -> None:
        self._most = most_members
        self._members = 0
        self._version = -1
        self._groups: dict[str, Group] = {}

    def get(self, group_id: str, version: int) -> Group | None:
        if version != self._version:
            self._groups.clear()
            self._version, self._members = version, 0
        return self._groups.get(group_id)

    def put(self, group_id: str, version: int, group: Group) -> None:
        """Of the version for which it was begun."""
        if version != self._version:
            return
        self._members += 1 + len(group.members)
        self._groups[group_id] = group
        while self._members > self._most and self._groups:
            oldest = self._groups.pop(next(iter(self._groups)))
            self._members -= 1 + len(oldest.members)


def _make_room(kept: dict[K, Any], most: int) -> None:
    while len(kept) >= most:
        del kept[next(iter(kept))]
