"""Processes with a password desk each, over one memory and one store, before a directory that
counts failures and locks people as real ones do. All on a clock, without threads."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.auth.avatars import Submitter
from gateway.auth.credentials import PasswordLogin
from gateway.auth.keeping import Keeper
from gateway.auth.login import LoggedIn
from gateway.auth.login_memory import Bounds, LoginMemory
from gateway.auth.outage import OutageLogins
from gateway.auth.passwords import Aids, PasswordDesk
from gateway.auth.person_budget import PersonBudget
from gateway.auth.remembered import RememberedLogins
from gateway.auth.throttle import LoginThrottle
from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, GatewayError, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.pause import pause
from gateway.core.ports.kept_passwords import KeptPassword, Refusal
from gateway.core.ports.may_ask import Lockout, MayAsk, PasswordState
from gateway.core.shared_counters import SLOTS, SharedCounters
from gateway.core.shared_marks import WORDS, SharedMarks

T = TypeVar("T")

HOME, ABROAD = "192.0.2.9", "203.0.113.5"
NOW = 1_700_000_000.0
DAY_S = 86_400


def account(name: str, **more: Any) -> Account:
    address = f"{name}@example.test"
    return Account(AccountId(f"id-{name}"), name, address, (address,), **more)


@dataclass
class Person:
    account: Account
    password: bytes
    names: tuple[str, ...]
    failures: int = 0
    changed: str = "1"
    refusal: tuple[LoginReason, bool] | None = None


@dataclass
class CountingDirectory:
    """Locks at ``lockout.threshold`` failures.

    Args:
        tells: its entries say when the password was set and how many failures are counted.
        binds: who was bound as, with what.
        slow: by this clock it takes its time.
    """

    lockout: Lockout | None = field(default_factory=lambda: Lockout(5, 1800))
    tells: bool = True
    people: list[Person] = field(default_factory=list)
    down: Exception | None = None
    slow: Clock | None = None
    searches: int = 0
    binds: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, name: str, password: bytes, *names: str) -> Person:
        person = Person(account(name), password, (name, f"{name}@example.test", *names))
        self.people.append(person)
        return person

    def locked(self) -> list[str]:
        threshold = self.lockout.threshold if self.lockout is not None else 0
        return [p.account.login for p in self.people if threshold and p.failures >= threshold]

    def _named(self, login: str) -> Person | None:
        return next((each for each in self.people if login.lower() in each.names), None)

    async def authenticate(
        self, login: str, password: bytes, may_ask: MayAsk | None = None
    ) -> Account:
        self.searches += 1
        if self.down is not None:
            raise self.down
        person = self._named(login)
        if person is None:
            raise WrongCredentials(LoginReason.UNKNOWN)
        state = PasswordState(
            person.changed if self.tells else "",
            person.failures if self.tells else None,
            self.lockout,
        )
        assert may_ask is not None
        await may_ask.allowed(person.account.account_id, state)
        if self.slow is not None:
            await pause(cast(Any, self.slow), 0.1)
        self.binds.append((person.account.login, password))
        about: Any = {"account_id": person.account.account_id}
        if person.account.login in self.locked():
            raise WrongCredentials(LoginReason.LOCKED, **about)
        if password != person.password:
            person.failures += 1
            raise WrongCredentials(LoginReason.WRONG_PASSWORD, **about)
        person.failures = 0
        if person.refusal is not None:
            reason, proven = person.refusal
            raise WrongCredentials(reason, proven=proven, **about)
        return person.account

    async def find(self, login_or_address: str) -> Account | None:
        """As a picture answers, which outlives the servers."""
        person = self._named(login_or_address)
        if person is None and self.down is not None:
            raise DirectoryUnavailable
        return person.account if person is not None else None

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        return next((p.account for p in self.people if p.account.account_id == account_id), None)


class FakeKept:
    """Both ports, in memory."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self.rows: dict[AccountId, KeptPassword] = {}
        self.noted: list[tuple[AccountId, Refusal]] = []
        self.writes = 0
        self.trouble: Exception | None = None

    async def kept(self, account_id: AccountId) -> KeptPassword | None:
        if self.trouble is not None:
            raise self.trouble
        return self.rows.get(account_id)

    async def keep(self, account_id: AccountId, hashed: str) -> None:
        self.writes += 1
        self.rows[account_id] = KeptPassword(hashed, int(self._wall_clock()))

    async def confirm(self, account_id: AccountId, hashed: str) -> None:
        self.writes += 1
        if account_id in self.rows and self.rows[account_id].hash == hashed:
            self.rows[account_id] = KeptPassword(hashed, int(self._wall_clock()))

    async def forget(self, account_id: AccountId, hashed: str = "") -> None:
        if not hashed or (account_id in self.rows and self.rows[account_id].hash == hashed):
            self.rows.pop(account_id, None)

    async def note(self, account_id: AccountId, refusal: Refusal) -> None:
        self.noted.append((account_id, refusal))

    async def recent(self, account_id: AccountId) -> list[Refusal]:
        return [refusal for whose, refusal in reversed(self.noted) if whose == account_id]


class NoThreads:
    """Does the work at once, and counts it; ``held``: not before it is called."""

    def __init__(self) -> None:
        self.done = 0
        self.held: list[Callable[[], None]] | None = None

    def submit(self, work: Callable[[], T]) -> Deferred[T]:
        self.done += 1
        waiting: Deferred[T] = Deferred()

        def run() -> None:
            try:
                result = work()
            except Exception:
                waiting.errback(Failure())
            else:
                waiting.callback(result)

        if self.held is None:
            run()
        else:
            self.held.append(run)
        return waiting


class Desks:
    """Two processes. ``say`` logs in over the first one's throttle and desk, or the other's."""

    def __init__(
        self,
        *,
        bounds: Bounds | None = None,
        asked_per_person: int = 8,
        remembered_s: float = 60.0,
        outage_days: int = 14,
        fresh: bool = False,
        directory: Any = None,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.directory = CountingDirectory()
        self.asked: Any = directory or self.directory
        self.alice = self.directory.add("alice", b"secret", "a.smith@example.test")
        self.bob = self.directory.add("bob", b"builder")
        self.kept = FakeKept(self.wall_clock)
        self.threads = NoThreads()
        self.bounds = bounds or Bounds(10_000, 100_000)
        self._options = (asked_per_person, remembered_s, outage_days)
        self.restart()
        if not fresh:
            self.clock.advance(1801)

    def restart(self) -> None:
        """All processes end, and their memory with them."""
        rates = array("d", bytes(8 * SLOTS))
        tables = [array("Q", bytes(8 * WORDS)) for _ in range(3)]
        self.processes = [self._process(rates, tables) for _ in range(2)]

    def wall_clock(self) -> float:
        return NOW + self.clock.seconds()

    def _process(self, rates: Any, tables: Any) -> tuple[LoginThrottle, PasswordDesk, Aids]:
        asked_per_person, remembered_s, outage_days = self._options
        now = self.clock.seconds
        marks = [SharedMarks(table, b"k" * 16, now) for table in tables]
        memory = LoginMemory(SharedCounters(rates, b"k" * 16, now), *marks)
        throttle = LoginThrottle(self.bounds, memory)
        numbers = iter(range(1, 1_000_000))
        parts: Any = {
            "key": b"K" * 32,
            "random": lambda octets: next(numbers).to_bytes(octets),
            "threads": self.threads,
            "wall_clock": self.wall_clock,
        }
        keeper = Keeper(
            self.kept,
            said=memory.tallies,
            background=cast(Any, self.threads),
            timers=cast(Any, self.clock),
            **parts,
        )
        aids = Aids(
            PersonBudget(
                memory.answers,
                memory.tallies,
                cast(Any, self.clock),
                asked_per_person=asked_per_person,
            ),
            RememberedLogins(
                memory.answers, for_s=remembered_s, monotonic=now, random=lambda _: next(numbers)
            ),
            throttle.is_known,
            self.wall_clock,
            OutageLogins(self.kept, keeper, keep_s=outage_days * DAY_S, **parts)
            if outage_days
            else None,
            keeper if outage_days else None,
            self.kept,
        )
        return throttle, PasswordDesk(self.asked, aids), aids

    @property
    def aids(self) -> Aids:
        return self.processes[0][2]

    def begin(
        self, login: str, password: bytes, ip: str = HOME, *, process: int = 0, door: str = "imap"
    ) -> Deferred[LoggedIn]:
        throttle, desk, _ = self.processes[process]
        came = PasswordLogin(
            login=login, password=password, protocol=door, peer_ip=ip, over_tls=True
        )

        async def ask() -> LoggedIn:
            return LoggedIn(Submitter(await desk.account(came)), lambda: None)

        async def attempt() -> LoggedIn:
            turn = await throttle.turn(
                ip, login, cast(Any, self.clock), guessed=True, password=password
            )
            return await throttle.asked(turn, ask)

        return Deferred.fromCoroutine(attempt())

    def say(self, login: str, password: bytes, ip: str = HOME, **more: Any) -> str:
        """``in`` with whose login it was, or what was raised, with the reason of a refusal."""
        return outcome(self.begin(login, password, ip, **more))

    def be_down(self, error: Exception | None = None) -> None:
        self.directory.down = error or DirectoryUnavailable()

    def change(self, person: Person, **what: Any) -> None:
        person.account = replace(person.account, **what)


def outcome(waiting: Deferred[Any]) -> str:
    seen: list[Any] = []
    waiting.addBoth(seen.append)
    if not seen:
        return "waits"
    if isinstance(seen[0], LoggedIn):
        return f"in {seen[0].avatar.account.login}"
    error = seen[0].value
    assert isinstance(error, GatewayError), seen[0]
    if isinstance(error, WrongCredentials):
        return error.reason.name
    return type(error).__name__


def now_of(work: Coroutine[Deferred[Any], Any, T]) -> T:
    """What a coroutine that waits for nothing returns or raises."""
    seen: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(seen.append)
    if isinstance(seen[0], Failure):
        seen[0].raiseException()
    return cast(T, seen[0])
