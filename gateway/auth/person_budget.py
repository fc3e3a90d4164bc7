"""What a person's failures may come to at the directory, whatever they are called and from where.

Owns the last bound before a server that counts failures is asked (SECURITY A7, A8, L22): once the
entry is found, under its immutable id. The same wrong password of a person is never asked about
twice while the directory counts it and nobody has set another, by whichever name it comes.
All failures together stay below the lock-out, and from where the person is not known at least one
below that, so that one try is left for where they are. Failures that the directory itself tells of
count as well: those of other services, and those from before a restart, which forgets ours. Whoever
comes while as many answers may still be failures waits for them: all devices of a person with the
right password get in, a few at a time.

Where the directory does not tell, half of the bound counts as used for a while after the start.
Never keeps a name or a password, only keyed hashes. Limits: those of ``core.shared_marks``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.logger import Logger

from gateway.auth.login_memory import wrong_for
from gateway.core.errors import LoginsPaused, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.pause import pause
from gateway.core.ports.clock import Timers
from gateway.core.ports.may_ask import NOTHING_TOLD, Lockout, PasswordState
from gateway.core.shared_marks import MAX_NUMBER, SharedMarks

WINDOW_S = 1800.0
REMEMBERED_S = 300.0
DAY_S = 86_400.0
YEARS_S = 3_650 * DAY_S
ASKING_S = 60.0
FIRST_LOOK_S = 0.01
LAST_LOOK_S = 0.2
TURN_S = 15.0
UNTOLD = 4
"""Where nobody can say at how many failures the directory locks, the bound is at most this."""
TOLD_AGAIN_S = 600.0
MOST = 0xFF
_ASKING_BITS = 8
_BEGUN, _FRESH = b"budget begun", b"budget fresh"


class PersonBudget:
    """Counts by person, in the memory of all processes.

    Args:
        answers, tallies: see ``login_memory.LoginMemory``.
        timers: for who has to wait.
        asked_per_person, asked_per_login: see ``[login]`` of the settings.
    """

    log = Logger()

    def __init__(
        self,
        answers: SharedMarks,
        tallies: SharedMarks,
        timers: Timers,
        *,
        asked_per_person: int = 8,
        asked_per_login: int = 4,
    ) -> None:
        self._answers = answers
        self._tallies = tallies
        self._timers = timers
        self._per_person = asked_per_person
        self._per_login = asked_per_login
        if not tallies.get(_BEGUN):
            # The first process since the memory was made; one that is started again finds it.
            tallies.put(_BEGUN, MAX_NUMBER, YEARS_S)
            tallies.put(_FRESH, MAX_NUMBER, WINDOW_S)

    def permit(self, password: bytes, *, known: bool) -> Permit:
        """For one attempt.

        Args:
            known: the login has worked lately from around where it comes from.
        """
        return Permit(self, password, known)

    def most(self, lockout: Lockout | None, *, known: bool, untold: bool = False) -> int:
        """So many failures at most.

        Args:
            untold: the directory does not say how many it counts.
        """
        if lockout is None:
            most = min(self._per_person, UNTOLD)
        elif lockout.threshold:
            most = max(1, min(self._per_person, lockout.threshold - 1))
        else:
            most = self._per_person
        if untold and self._tallies.get(_FRESH):
            most = max(1, most // 2)
        return most if known else max(1, min(self._per_login, most - 1))

    def may_try_kept(self, account_id: AccountId, *, known: bool) -> bool:
        """Whether the password kept for outages may be compared with another guess."""
        most = self._per_person if known else self._per_login
        return self._tallies.get(_kept(account_id)) < most

    def kept_was_wrong(self, account_id: AccountId) -> None:
        failures = min(self._tallies.get(_kept(account_id)) + 1, MOST)
        self._tallies.put(_kept(account_id), failures, WINDOW_S)

    def obstacle(self, account_id: AccountId, state: PasswordState, *, known: bool) -> str:
        """Why the directory would not be asked about this person now, in words for administrators;
        empty: it would be. Counts nothing."""
        failures, _ = self._count(account_id, state)
        counted = max(failures, state.failures or 0)
        most = self.most(state.lockout, known=known, untold=state.failures is None)
        if counted < most:
            return ""
        left_s = self._tallies.left_s(_person(account_id, state))
        where = "" if known else " from where the person is not known"
        ends = f"; for {left_s:.0f} s more" if failures >= most else ""
        return f"failures: {counted}; the directory may count {most} at most{where}{ends}"

    # -- for permits

    async def take(self, permit: Permit) -> None:
        """Raises: WrongCredentials, LoginsPaused."""
        account_id, state = permit.whose, permit.state
        most = self.most(state.lockout, known=permit.known, untold=state.failures is None)
        before = self._count(account_id, state)[0]
        give_up_at, look_s = self._timers.seconds() + TURN_S, FIRST_LOOK_S
        while True:
            if self._answers.get(_wrong(account_id, state, permit.password)):
                raise WrongCredentials(LoginReason.WRONG_AGAIN, account_id=account_id)
            failures, asking = self._count(account_id, state)
            # What has failed since the entry was read is not among what it tells.
            told = (state.failures or 0) + max(failures - before, 0)
            counted = max(failures, told)
            if counted + asking < most:
                break
            if counted >= most or self._timers.seconds() >= give_up_at:
                permit.is_news = self._tell(account_id, counted, most)
                raise LoginsPaused(reason=f"{counted} failures of {most}; {asking} on their way")
            await pause(self._timers, look_s)
            look_s = min(look_s * 1.5, LAST_LOOK_S)
        self._put(account_id, state, failures, asking + 1)

    def settle(self, permit: Permit, *, failures: int | None, wrong: bool) -> None:
        """``failures``: more; None: it was right, which directories take for a new beginning."""
        account_id, state = permit.whose, permit.state
        had, asking = self._count(account_id, state)
        had = 0 if failures is None else min(had + failures, MOST)
        self._put(account_id, state, had, max(asking - 1, 0))
        if wrong:
            # Without the time of its last change, a reset could not be seen. That of the entry's
            # (modifyTimestamp) is no help: OpenLDAP sets it at each failure.
            for_s = max(REMEMBERED_S, _window(state)) if state.changed else REMEMBERED_S
            said = wrong_for(LoginReason.WRONG_AGAIN, proven=False)
            self._answers.put(_wrong(account_id, state, permit.password), said, for_s)

    def _count(self, account_id: AccountId, state: PasswordState) -> tuple[int, int]:
        number = self._tallies.get(_person(account_id, state))
        return number & MOST, number >> _ASKING_BITS

    def _put(self, account_id: AccountId, state: PasswordState, failures: int, asking: int) -> None:
        number = failures | min(asking, MOST) << _ASKING_BITS
        if number:
            for_s = _window(state) if failures else ASKING_S
            self._tallies.put(_person(account_id, state), number, for_s)
        else:
            self._tallies.forget(_person(account_id, state))

    def _tell(self, account_id: AccountId, counted: int, most: int) -> bool:
        """True once in a while."""
        told = b"told person " + account_id.encode()
        if self._tallies.get(told):
            return False
        self._tallies.put(told, 1, TOLD_AGAIN_S)
        self.log.warn(
            "the directory is not asked about {account} for a while: {counted} failures, and"
            " {most} are the most that it may count",
            account=account_id,
            counted=counted,
            most=most,
        )
        return True


@dataclass(slots=True)
class Permit:
    """The port MayAsk for one attempt; ends with one of ``right``, ``wrong`` and ``unsaid``.

    Args:
        account_id: whose entry was found; None: none yet.
        paused: it was refused for the bound.
        locked: the directory counts as many as it locks for.
        is_news: nobody was told of it for a while.
    """

    _budget: PersonBudget
    password: bytes = field(repr=False)
    known: bool
    account_id: AccountId | None = None
    state: PasswordState = NOTHING_TOLD
    paused: bool = False
    locked: bool = False
    is_news: bool = False
    _taken: bool = False

    @property
    def whose(self) -> AccountId:
        assert self.account_id is not None
        return self.account_id

    async def allowed(self, account_id: AccountId, state: PasswordState = NOTHING_TOLD) -> None:
        self.account_id, self.state = account_id, state
        lockout = state.lockout
        if lockout is not None and lockout.threshold:
            self.locked = (state.failures or 0) >= lockout.threshold
        try:
            await self._budget.take(self)
        except LoginsPaused:
            self.paused = True
            raise
        self._taken = True

    def right(self) -> None:
        self._end(None, wrong=False)

    def wrong(self, error: WrongCredentials) -> None:
        """What the directory said."""
        # Neither the right password nor one of a locked account is counted there.
        uncounted = error.proven or error.reason is LoginReason.LOCKED
        wrong = error.reason is LoginReason.WRONG_PASSWORD
        self._end(0 if uncounted else 1, wrong=wrong)

    def unsaid(self) -> None:
        """Nobody said anything: the servers may have counted it all the same."""
        self._end(0, wrong=False)

    def _end(self, failures: int | None, *, wrong: bool) -> None:
        if self._taken:
            self._taken = False
            self._budget.settle(self, failures=failures, wrong=wrong)


def _window(state: PasswordState) -> float:
    """How long failures count, of ours as of the directory's."""
    if state.lockout is None or not state.lockout.threshold:
        return WINDOW_S
    return min(state.lockout.window_s or DAY_S, DAY_S)


def _person(account_id: AccountId, state: PasswordState) -> bytes:
    return f"person {account_id} {state.changed}".encode()


def _kept(account_id: AccountId) -> bytes:
    return b"kept " + account_id.encode()


def _wrong(account_id: AccountId, state: PasswordState, password: bytes) -> bytes:
    return f"wrong {account_id} {state.changed}\0".encode() + password
