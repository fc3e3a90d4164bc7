"""Two processes that throttle logins in one memory, on a clock, before a directory that counts."""

from __future__ import annotations

from array import array
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.auth.avatars import Submitter
from gateway.auth.login import LoggedIn
from gateway.auth.login_memory import Bounds, LoginMemory
from gateway.auth.throttle import LoginThrottle
from gateway.core.app_passwords import Place
from gateway.core.errors import GatewayError, WrongCredentials
from gateway.core.networks import Networks
from gateway.core.shared_counters import SLOTS, SharedCounters
from gateway.core.shared_marks import WORDS, SharedMarks
from tests.support.pop3_fakes import ALICE

HERE, ELSEWHERE, FAR = "192.0.2.9", "198.51.100.1", "203.0.113.5"
NO_BOUND = Bounds(failures_per_minute=10_000, failures_per_day=100_000)


class World:
    """Two processes in front of a directory that counts what it is asked."""

    def __init__(self, bounds: Bounds = NO_BOUND, exempt: str = "10.0.0.0/8") -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        now = self.clock.seconds
        rates = array("d", bytes(8 * SLOTS))
        tables = [array("Q", bytes(8 * WORDS)) for _ in range(3)]
        contains = Networks([exempt]).contains
        self.processes = [
            LoginThrottle(
                bounds,
                LoginMemory(
                    SharedCounters(rates, b"k" * 16, now),
                    *(SharedMarks(table, b"k" * 16, now) for table in tables),
                ),
                contains,
            )
            for _ in range(2)
        ]
        self.asked: list[tuple[str, bytes]] = []
        self.held: Deferred[None] | None = None
        self.trouble: Exception | None = None
        self.logouts = 0

    def begin(
        self,
        ip: str,
        login: str,
        password: bytes,
        *,
        process: int = 0,
        guessed: bool = True,
        ours: Place | None = None,
    ) -> Deferred[LoggedIn]:
        throttle = self.processes[process]

        async def ask() -> LoggedIn:
            self.asked.append((login, password))
            if self.held is not None:
                await self.held
            if self.trouble is not None:
                raise self.trouble
            if password != b"secret":
                raise WrongCredentials
            return LoggedIn(Submitter(ALICE), self._logout)

        async def attempt() -> LoggedIn:
            mine = await throttle.turn(
                ip, login, cast(Any, self.clock), guessed=guessed,
                password=password if guessed else b"", ours=ours,
            )  # fmt: skip
            return await throttle.asked(mine, ask)

        return Deferred.fromCoroutine(attempt())

    def _logout(self) -> None:
        self.logouts += 1

    def outcome(self, deferred: Deferred[LoggedIn]) -> str:
        seen: list[Any] = []
        deferred.addBoth(seen.append)
        if not seen:
            return "waits"
        if isinstance(seen[0], LoggedIn):
            return "in"
        error = seen[0].value
        assert isinstance(error, GatewayError), seen[0]
        return type(error).__name__

    def say(self, ip: str, login: str, password: bytes, *, process: int = 0) -> str:
        return self.outcome(self.begin(ip, login, password, process=process))
