"""What guessing costs: who may be asked about, how often, and how late the wrong are told.

Owns the bounds on failed logins, the same for every door and mechanism (SECURITY A7, A8, L22): a
password that was wrong is not asked about again for a while, an address with too many failures is
refused, and for a login that strangers guess at the directory is not asked beyond a number that
stays below its own lock-out. Nobody is locked out by name: who comes from where that login worked
lately is asked about as ever. ``docs/login.md`` has the reasons.

Never keeps a name or a password, only keyed hashes; never decides who may log in; never counts what
the directory did not judge. What was asked is counted whether or not the client waits for it.

Limits: those of ``core.shared_marks`` and ``core.shared_counters``. All of it is in memory and gone
with a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.auth.login import LoggedIn
from gateway.auth.login_memory import (
    ASKING,
    RIGHT,
    Attempt,
    Bounds,
    LoginMemory,
    counted,
    hashable,
    of_login,
    of_network,
    place,
    refused_for,
    wrong_for,
)
from gateway.auth.login_names import networks_of, typed_name
from gateway.core.app_passwords import Place
from gateway.core.errors import (
    GatewayError,
    LoginsPaused,
    NotAsKept,
    TooManyFailures,
    WrongCredentials,
)
from gateway.core.hosts import is_loopback
from gateway.core.log_text import shown
from gateway.core.login_reasons import LoginReason
from gateway.core.pause import pause
from gateway.core.ports.clock import Timers
from gateway.core.shared_counters import Rate

DAY_S = 86_400.0
REMEMBERED_S = 10.0
"""Long enough for a storm, and no longer: under this name nobody sees what becomes right meanwhile.
``person_budget`` remembers what a directory refused until it is changed there."""
REMEMBERED_OURS_S = 300.0
"""An app password that never becomes right."""
RIGHT_S = 10.0
"""Other connections of a client whose password was right need not wait for each other."""
ASKING_S = 60.0
KNOWN_S = 14 * DAY_S
AROUND = (1, 3, 9)
"""An address, and as many times as much for the networks around it."""
UNSLOWED = 4
MAX_SLOWER = 8
MOST_COUNTED = 0xFF
ASKING_BITS = 8
FIRST_LOOK_S = 0.05
LAST_LOOK_S = 0.5
TURN_S = 15.0
LOGGED_AGAIN_S = 600.0
MAX_LOGGED_LOGIN = 64

_FOR_GOOD = (LoginReason.NO_APP_PASSWORD, LoginReason.APP_PASSWORD_EXPIRED)

Ask = Callable[[], Coroutine[Deferred[Any], Any, LoggedIn]]

_log = Logger()


class LoginThrottle:
    """Stands before the portal.

    Args:
        exempt: whether the failures from this address are not counted for it; loopback and local
            sockets are so anyway.
    """

    def __init__(
        self, bounds: Bounds, memory: LoginMemory, exempt: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._bounds = bounds
        self._counters = memory.counters
        self._answers = memory.answers
        self._tallies = memory.tallies
        self._known = memory.known
        self._exempt = exempt
        rates = (bounds.failures_per_minute, 60.0), (bounds.failures_per_day, DAY_S)
        self._rates = [
            [Rate(limit * times, per_s, limit * times) for limit, per_s in rates]
            for times in AROUND
        ]

    def admit(self, peer_ip: str) -> None:
        """Before any work for a login. Raises: TooManyFailures."""
        self._check(self._networks(peer_ip)[:1])

    def is_known(self, peer_ip: str, login: str) -> bool:
        """This login has worked lately from around there, or nobody counts what does."""
        networks = self._networks(peer_ip)
        return not networks or bool(self._known.get(place(counted(login), networks)))

    def slower(self, login: str) -> int:
        """How many times later than usual somebody is told that this login was wrong."""
        failures = self._tallies.get(b"slow " + counted(login))
        return 1 << min(max(failures - UNSLOWED, 0), MAX_SLOWER.bit_length() - 1)

    async def turn(
        self,
        peer_ip: str,
        login: str,
        timers: Timers,
        *,
        guessed: bool,
        password: bytes = b"",
        ours: Place | None = None,
    ) -> Attempt:
        """Wait until this may be asked, and take part in the count; to be ended by ``asked`` or
        ``withdrawn``. One that is left alone counts as being asked until the window ends.

        Args:
            guessed: it is a password or the proof of one.
            password: as it came, where it did.
            ours: it is an app password, used there: no directory will count its failure, and it may
                be right elsewhere.

        Raises:
            WrongCredentials: this password was wrong lately.
            LoginsPaused: neither right nor wrong; nobody is asked.
            TooManyFailures: the same, whatever the login.
        """
        attempt = Attempt(
            login,
            self._networks(peer_ip),
            counted(login),
            guessed=guessed and bool(login),
            ours=ours is not None,
        )
        if attempt.guessed and password:
            # Neither has a NUL (RFC 4616 section 2), so no two pairs are alike.
            attempt.password = hashable(typed_name(login)) + b"\0" + password
            if ours is not None:
                attempt.password += hashable(f"\0{ours.protocol} {ours.peer_ip}")
        if attempt.networks:
            around = len(AROUND) if self._is_stranger(attempt) else 1
            self._check(attempt.networks[:around])
            self._check_login(attempt)
        await self._wait(attempt, timers)
        if attempt.password and self._answers.get(attempt.password) != RIGHT:
            self._answers.put(attempt.password, ASKING, ASKING_S)
        if attempt.reserved:
            self._reserve(attempt, failures=0, asking=1)
        return attempt

    def asked(self, attempt: Attempt, ask: Ask) -> Deferred[LoggedIn]:
        """What ``ask`` says; counted also when the client does not wait for it.

        Raises: as ``ask``.
        """
        return _unmoved(Deferred.fromCoroutine(self._asked(attempt, ask)))

    def withdrawn(self, attempt: Attempt) -> None:
        """Nobody was asked, or nobody could say."""
        self._settle(attempt, 0, 0.0, failures=0)

    def obstacle(self, peer_ip: str, login: str) -> str:
        """Why a password of this login would not be asked about now if it came from there, in words
        for administrators; empty: it would be. Counts nothing and tells nobody."""
        attempt = Attempt(login, self._networks(peer_ip), counted(login), guessed=bool(login))
        if not attempt.networks:
            return ""
        stranger = self._is_stranger(attempt)
        around = attempt.networks[: len(AROUND) if stranger else 1]
        names = [
            (of_network(network, rate), rate, network)
            for network, rates in zip(around, self._rates, strict=False)
            for rate in rates
        ]
        names += [(of_login(attempt, rate), rate, "that login there") for rate in self._rates[0]]
        for name, rate, what in names:
            if not self._counters.take(name, rate, only_look=True).allowed:
                return f"more than {rate.limit} failures in {rate.per_s:g} s from {what}"
        failures, _ = self._reserved(attempt)
        if stranger and failures >= self._bounds.asked_per_login:
            left_s = self._tallies.left_s(b"asked " + attempt.whose)
            return (
                f"{failures} failures of this login from where it is not known; for {left_s:.0f} s"
                " more only from where it has worked lately"
            )
        return ""

    # -- who comes

    def _networks(self, peer_ip: str) -> tuple[str, ...]:
        if is_loopback(peer_ip) or self._exempt(peer_ip):
            return ()
        return networks_of(peer_ip)  # none for a local socket

    def _is_stranger(self, attempt: Attempt) -> bool:
        """The login has not worked lately from around there."""
        return not self._known.get(place(attempt.whose, attempt.networks))

    # -- bounds

    def _check(self, networks: tuple[str, ...]) -> None:
        for network, rates in zip(networks, self._rates, strict=False):
            for rate in rates:
                if not self._counters.take(of_network(network, rate), rate, only_look=True).allowed:
                    self._tell_refused(network, rate)
                    raise TooManyFailures

    def _check_login(self, attempt: Attempt) -> None:
        """One login guessed at from all over a network, also from where it is known."""
        if attempt.guessed:
            for rate in self._rates[0]:
                if not self._counters.take(of_login(attempt, rate), rate, only_look=True).allowed:
                    self._tell_paused(attempt, f"there: more than {rate.limit} failures")
                    raise LoginsPaused

    async def _wait(self, attempt: Attempt, timers: Timers) -> None:
        """Wait while the same password is being asked about, or as many of a stranger's as may be.

        Raises: WrongCredentials, LoginsPaused.
        """
        give_up_at, look_s = timers.seconds() + TURN_S, FIRST_LOOK_S
        while True:
            said = self._answers.get(attempt.password) if attempt.password else 0
            refused = refused_for(said)
            if refused is not None:
                reason, proven = refused
                raise WrongCredentials(reason if proven else LoginReason.WRONG_AGAIN, proven=proven)
            if said != ASKING and self._has_room(attempt):
                return
            if timers.seconds() >= give_up_at:
                raise LoginsPaused
            await pause(timers, look_s)
            look_s = min(look_s * 1.5, LAST_LOOK_S)

    def _has_room(self, attempt: Attempt) -> bool:
        """Whether a directory that counts failures may be asked. Raises: LoginsPaused."""
        asks = attempt.guessed and not attempt.ours
        attempt.reserved = bool(asks and attempt.networks and self._is_stranger(attempt))
        if not attempt.reserved:
            return True
        failures, asking = self._reserved(attempt)
        if failures >= self._bounds.asked_per_login:
            self._tell_paused(attempt, f"from where it is not known: {failures} failures")
            raise LoginsPaused
        return failures + asking < self._bounds.asked_per_login

    def _reserved(self, attempt: Attempt) -> tuple[int, int]:
        number = self._tallies.get(b"asked " + attempt.whose)
        return number & MOST_COUNTED, number >> ASKING_BITS

    def _reserve(self, attempt: Attempt, *, failures: int, asking: int) -> None:
        had, were = self._reserved(attempt)
        had = min(had + failures, MOST_COUNTED)
        number = had | min(max(were + asking, 0), MOST_COUNTED) << ASKING_BITS
        if number:
            self._tallies.put(b"asked " + attempt.whose, number, self._bounds.asked_window_s)
        else:
            self._tallies.forget(b"asked " + attempt.whose)

    # -- what the directory said

    async def _asked(self, attempt: Attempt, ask: Ask) -> LoggedIn:
        try:
            logged_in = await ask()
        except WrongCredentials as error:
            self._was_refused(attempt, error)
            raise
        except NotAsKept:
            # Nobody said that it is wrong; whoever is guessing has guessed.
            self._count_failure(attempt, 0, 0.0)
            raise
        except BaseException:  # no verdict, whatever it is
            self.withdrawn(attempt)
            raise
        self._settle(attempt, RIGHT, RIGHT_S, failures=0)
        if attempt.networks:
            for whose in {attempt.whose, counted(logged_in.avatar.account.login)}:
                self._known.put(place(whose, attempt.networks), 1, KNOWN_S)
        return logged_in

    def _was_refused(self, attempt: Attempt, error: WrongCredentials) -> None:
        said = wrong_for(error.reason, proven=error.proven)
        for_s = REMEMBERED_OURS_S if error.reason in _FOR_GOOD else REMEMBERED_S
        if error.reason is LoginReason.WRONG_AGAIN:
            self._settle(attempt, said, for_s, failures=0)
        else:
            self._count_failure(attempt, said, for_s)

    def _count_failure(self, attempt: Attempt, said: int, for_s: float) -> None:
        is_repeat = self._was_counted(attempt)
        # What the directory counts of repeats is in ``person_budget``.
        self._settle(attempt, said, for_s, failures=0 if is_repeat else 1)
        if is_repeat:
            return
        for network, rates in zip(attempt.networks, self._rates, strict=False):
            for rate in rates:
                self._counters.add(of_network(network, rate), rate)
        if not attempt.guessed:
            return
        if attempt.networks:
            for rate in self._rates[0]:
                self._counters.add(of_login(attempt, rate), rate)
        failures = min(self._tallies.get(b"slow " + attempt.whose) + 1, MOST_COUNTED)
        self._tallies.put(b"slow " + attempt.whose, failures, self._bounds.asked_window_s)

    def _was_counted(self, attempt: Attempt) -> bool:
        """The same password from around there, within a day: a program that repeats what it has
        stored, and no guess, however often the directory is asked about it."""
        if not attempt.password or not attempt.networks:
            return False
        name = b"counted " + attempt.networks[-1].encode() + b"\0" + attempt.password
        # Beside what lasts longer, and so makes room for it first: among the tallies, which last
        # for half an hour, a day's worth of these would push out those.
        again = bool(self._known.get(name))
        self._known.put(name, 1, DAY_S)
        return again

    def _settle(self, attempt: Attempt, said: int, for_s: float, *, failures: int) -> None:
        if attempt.password:
            if said:
                self._answers.put(attempt.password, said, for_s)
            else:
                self._answers.forget(attempt.password)
        if attempt.reserved:
            self._reserve(attempt, failures=failures, asking=-1)

    # -- the log, once in a while for each network and login (SECURITY N2)

    def _tell_refused(self, network: str, rate: Rate) -> None:
        if self._is_news(network.encode()):
            _log.warn(
                "logins from {network} are refused: more than {limit} failures in {per_s:g} s",
                network=network,
                limit=rate.limit,
                per_s=rate.per_s,
            )

    def _tell_paused(self, attempt: Attempt, why: str) -> None:
        if self._is_news(attempt.whose):
            _log.warn(
                "{login} is not asked about from {network} {why}",
                login=shown(attempt.login, MAX_LOGGED_LOGIN),
                network=attempt.networks[-1],
                why=why,
            )

    def _is_news(self, name: bytes) -> bool:
        name = b"told " + name
        if self._tallies.get(name):
            return False
        self._tallies.put(name, 1, LOGGED_AGAIN_S)
        return True


def _unmoved(asked: Deferred[LoggedIn]) -> Deferred[LoggedIn]:
    """The same; but who stops waiting does not stop the question, so that its answer counts."""
    waiting: Deferred[LoggedIn] = Deferred()

    def tell(outcome: LoggedIn | Failure) -> None:
        if not waiting.called:
            if isinstance(outcome, Failure):
                waiting.errback(outcome)
            else:
                waiting.callback(outcome)
        elif isinstance(outcome, LoggedIn):
            outcome.logout()
        elif not outcome.check(GatewayError, CancelledError):
            _log.failure("a login failed after its connection", outcome)

    asked.addBoth(tell)
    return waiting
