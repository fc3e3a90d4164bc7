"""Logins that worked a moment ago and work again without asking anybody (SECURITY L21).

Owns what is remembered: that this password was right for this person, by immutable id, under a
keyed hash, in the memory of all processes, for ``for_s`` after the directory said so and not a
moment longer, whatever the directory does; and whom a typed login means, in this process alone, for
as long. A person's mark stands for all their passwords: without it nothing is remembered, so
whatever is said against somebody ends it everywhere at once.

Never keeps a name or password in shared memory; never asks. Limits: MAX_NAMES typed logins, and
those of ``core.shared_marks``.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.core.account import Account
from gateway.core.ids import AccountId
from gateway.core.shared_marks import MAX_NUMBER, SharedMarks

MAX_NAMES = 20_000


class RememberedLogins:
    """What worked lately.

    Args:
        for_s: 0: nothing is remembered.
        monotonic: seconds that never jump.
        random: a number below this one that nobody can guess.
    """

    def __init__(
        self,
        marks: SharedMarks,
        *,
        for_s: float,
        monotonic: Callable[[], float],
        random: Callable[[int], int],
    ) -> None:
        self._marks = marks
        self._for_s = for_s
        self._monotonic = monotonic
        self._random = random
        self._names: dict[str, tuple[Account, float]] = {}

    def account(self, login: str, password: bytes) -> Account | None:
        """Who it is, if this login is remembered with this password."""
        found = self._names.get(login)
        if found is None:
            return None
        account, until = found
        if self._monotonic() >= until:
            del self._names[login]
            return None
        generation = self._marks.get(_person(account.account_id))
        if not generation or not self._marks.get(_right(account, generation, password)):
            return None
        return account

    def remember(self, login: str, account: Account, password: bytes) -> None:
        """The directory has just confirmed it."""
        if not self._for_s:
            return
        self._names.pop(login, None)
        if len(self._names) >= MAX_NAMES:
            del self._names[next(iter(self._names))]
        self._names[login] = account, self._monotonic() + self._for_s
        person = _person(account.account_id)
        generation = self._marks.get(person) or 1 + self._random(MAX_NUMBER)
        # It outlives what it stands for by nothing; each password's own mark ends in time.
        self._marks.put(person, generation, self._for_s)
        self._marks.put(_right(account, generation, password), 1, self._for_s)

    def forget(self, account_id: AccountId) -> None:
        """Something was said against this person, or has changed."""
        self._marks.forget(_person(account_id))


def _person(account_id: AccountId) -> bytes:
    return b"in " + account_id.encode()


def _right(account: Account, generation: int, password: bytes) -> bytes:
    return f"in {account.account_id} {generation}\0".encode() + password
