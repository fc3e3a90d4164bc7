"""Sessions end with the app password that opened them; and what its failures count for."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock

from gateway.auth.app_passwords_sessions import LEAVE_S, LOOK_EVERY_S, AppPasswordSessions
from gateway.auth.login_memory import Bounds
from gateway.core.app_passwords import Place
from gateway.core.errors import StoreUnavailable
from tests.auth.app_password_world import World
from tests.auth.throttle_world import ELSEWHERE, FAR
from tests.auth.throttle_world import World as ThrottleWorld
from tests.support.pop3_fakes import ALICE


class Session:
    connection_id = "c1"

    def __init__(self, trouble: bool = False) -> None:
        self.said: list[str] = []
        self.trouble = trouble

    def dismiss(self) -> None:
        self.said.append("dismiss")
        if self.trouble:
            raise ValueError

    def abort(self) -> None:
        self.said.append("abort")


class Bench:
    def __init__(self) -> None:
        self.world = World()
        self.clock = Clock()
        self.sessions = AppPasswordSessions(self.world.store, cast(Any, self.clock))
        self.made = [self.world.make() for _ in range(2)]

    def revoke(self) -> None:
        self.world.pump.wait(self.world.store.remove(ALICE.account_id, [1]))


def test_revoked_sessions_end_within_a_minute_and_others_go_on() -> None:
    bench = Bench()
    gone, stays, left = Session(), Session(), Session()
    bench.sessions.opened(1, gone)
    bench.sessions.opened(2, stays)
    bench.sessions.opened(1, left)()
    bench.clock.advance(LOOK_EVERY_S)
    assert gone.said == []
    bench.revoke()
    bench.clock.advance(LOOK_EVERY_S)
    assert (gone.said, stays.said, left.said) == (["dismiss"], [], [])
    assert LOOK_EVERY_S + LEAVE_S < 60
    bench.clock.advance(LEAVE_S)
    assert "abort" in gone.said and stays.said == []


def test_one_that_expires_ends_too() -> None:
    bench = Bench()
    session = Session()
    text = bench.world.make(days=1)
    bench.sessions.opened(text.kept.number, session)
    bench.world.store.now += 86_400
    bench.clock.advance(LOOK_EVERY_S)
    assert session.said == ["dismiss"]


def test_whoever_revokes_here_has_them_end_at_once() -> None:
    bench = Bench()
    good, faulty = Session(), Session(trouble=True)
    ended = bench.sessions.opened(1, good)
    bench.sessions.opened(1, faulty)
    bench.revoke()
    bench.world.pump.wait(bench.sessions.look())
    assert (good.said, faulty.said) == (["dismiss"], ["dismiss", "abort"])
    ended()
    bench.clock.advance(LEAVE_S)
    assert good.said == ["dismiss"], "it has gone by itself"


def test_a_store_that_cannot_be_read_ends_nothing_and_is_asked_again() -> None:
    bench = Bench()
    session = Session()
    bench.sessions.opened(1, session)
    live = bench.world.store.live

    async def broken(numbers: Any) -> Any:
        raise StoreUnavailable

    bench.world.store.live = broken  # type: ignore[method-assign]
    bench.revoke()
    bench.clock.advance(LOOK_EVERY_S)
    assert session.said == []
    bench.world.store.live = live  # type: ignore[method-assign]
    bench.clock.advance(LOOK_EVERY_S)
    assert session.said == ["dismiss"]


def test_no_timer_runs_without_sessions_or_after_the_end() -> None:
    bench = Bench()
    assert bench.clock.getDelayedCalls() == []
    ended = bench.sessions.opened(1, Session())
    ended()
    bench.clock.advance(LOOK_EVERY_S)
    assert bench.clock.getDelayedCalls() == []
    bench.sessions.opened(1, Session())
    bench.sessions.close()
    assert bench.clock.getDelayedCalls() == []


# -- what failures count for (``auth.throttle``)


def guess(world: ThrottleWorld, ip: str, place: Place, password: bytes = b"k7-wrong") -> str:
    return world.outcome(world.begin(ip, "alice", password, ours=place))


def test_A8_a_revoked_one_that_is_repeated_is_not_counted_again() -> None:
    world = ThrottleWorld()
    imap, pop3 = Place("imap", ELSEWHERE), Place("pop3", ELSEWHERE)
    assert [guess(world, ELSEWHERE, imap) for _ in range(5)] == ["WrongCredentials"] * 5
    assert len(world.asked) == 1
    guess(world, ELSEWHERE, pop3)
    assert len(world.asked) == 2, "wrong by one protocol may be right by another"


def test_L22_failures_of_app_passwords_leave_the_directorys_count_alone() -> None:
    world = ThrottleWorld()
    for number in range(20):
        guess(world, FAR, Place("imap", FAR), b"k7-%d" % number)
    assert len(world.asked) == 20, "no lock-out of a directory is near"
    assert world.say(FAR, "alice", b"wrong") == "WrongCredentials"
    assert world.asked[-1] == ("alice", b"wrong"), "and strangers may still try theirs"


def test_A7_an_address_that_guesses_them_is_refused_like_others() -> None:
    world = ThrottleWorld(Bounds(failures_per_minute=3, failures_per_day=3))
    answers = [guess(world, FAR, Place("imap", FAR), b"k7-%d" % number) for number in range(5)]
    assert answers == ["WrongCredentials"] * 3 + ["TooManyFailures"] * 2
