"""The service account's password is tried seldom while it is refused, by however many processes."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from gateway.directory.ldap.account import Marks, OwnMarks, ServiceAccount, ServiceRefused
from gateway.directory.ldap.asking import BindAnswer, LdapFailed
from gateway.wire.ldap.messages import Result


class Server:
    """Counts attempts. ``silent``: answers when it is told to."""

    def __init__(self, code: int = 49) -> None:
        self.code = code
        self.attempts = 0
        self.silent = False
        self.waiting: list[Deferred[BindAnswer]] = []

    def bind(self, request: object, **_: Any) -> Deferred[BindAnswer]:
        self.attempts += 1
        if not self.silent:
            return succeed(BindAnswer(Result(self.code)))
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def speak(self) -> None:
        self.waiting.pop().callback(BindAnswer(Result(self.code)))


def account(clock: Clock, marks: Marks, password: bytes = b"secret") -> ServiceAccount:
    timers = cast(Any, clock)
    return ServiceAccount(
        timers, dn="cn=x", password=password, mechanism="", pause_s=30.0, marks=marks
    )


def attempt(one: ServiceAccount, server: Server) -> Deferred[Any]:
    async def work() -> str:
        try:
            await one.bind(cast(Any, server), "ldap://x", deadline_s=3.0)
        except ServiceRefused as error:
            return error.reason
        except LdapFailed:
            return "failed"
        return "bound"

    return Deferred.fromCoroutine(work())


def said(one: ServiceAccount, server: Server) -> str:
    seen: list[str] = []
    attempt(one, server).addCallback(seen.append)
    return seen[0] if seen else "waits"


def test_L22_all_processes_together_stay_below_five_attempts_in_half_an_hour() -> None:
    clock, server = Clock(), Server()
    marks = OwnMarks(cast(Any, clock))
    workers = [account(clock, marks) for _ in range(8)]
    at: list[float] = []
    for second in range(3 * 3600):
        for worker in workers:
            if worker.wait_s() == 0:
                said(worker, server)
        at += [second] * (server.attempts - len(at))
        clock.advance(1)
    assert len(at) > 10
    assert max(sum(begin <= each < begin + 1800 for each in at) for begin in at) == 4
    assert "not tried again yet" in said(workers[5], server)
    assert said(account(clock, marks, b"another"), Server(0)) == "bound"


def test_L22_until_it_has_worked_one_at_a_time_tries() -> None:
    clock, server = Clock(), Server(0)
    marks = OwnMarks(cast(Any, clock))
    server.silent = True
    workers = [account(clock, marks) for _ in range(3)]
    outcomes: list[str] = []
    for worker in workers:
        attempt(worker, server).addCallback(outcomes.append)
    clock.pump([0.1] * 5)
    assert server.attempts == 1
    server.speak()
    clock.pump([0.1] * 2)
    assert server.attempts == 3, "it is known to be right"
    server.speak()
    server.speak()
    assert outcomes == ["bound"] * 3
    assert not clock.getDelayedCalls()


def test_L22_who_waits_for_a_silent_attempt_gives_up_in_time() -> None:
    clock, server = Clock(), Server()
    marks = OwnMarks(cast(Any, clock))
    server.silent = True
    attempt(account(clock, marks), server)
    outcomes: list[str] = []
    attempt(account(clock, marks), server).addCallback(outcomes.append)
    clock.pump([0.1] * 31)
    assert outcomes == ["failed"] and server.attempts == 1


def test_L22_what_was_refused_and_works_again_is_free_at_once() -> None:
    clock, server = Clock(), Server()
    marks = OwnMarks(cast(Any, clock))
    one, other = account(clock, marks), account(clock, marks)
    assert "refused" in said(one, server)
    assert "another process" in said(other, server) and other.trouble
    server.code = 0
    clock.advance(31)
    assert said(other, server) == "bound" and not other.trouble
    assert said(one, server) == "bound"
    server.code = 49
    assert "wrong password" in said(one, server)
    assert 29 < one.wait_s() <= 30, "the pauses begin anew"
