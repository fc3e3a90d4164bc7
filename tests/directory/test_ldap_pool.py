"""The kept connections to one server: how many, how long, and what a dead one costs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gateway.directory.ldap.asking import BindAnswer, Found, Heard, LdapFailed
from gateway.directory.ldap.pool import Pool, PoolLimits
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import BindRequest, Control, Result, Scope, SearchRequest

REQUEST = SearchRequest("dc=example,dc=test", Scope.SUBTREE, Present("uid"), ("uid",))
ANSWER = Found(Result(0), ())
LIMITS = PoolLimits(connections=2, pipelined=2, running=6, waiting=1, idle_s=240.0)


class FakeLink:
    """Answers when it is told to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.usable = True
        self.last_used_at = clock.seconds()
        self.asked: list[Deferred[Found]] = []
        self.answered = 0

    @property
    def pending(self) -> int:
        return len(self.asked) - self.answered

    def search(
        self,
        request: SearchRequest,
        controls: Sequence[Control] = (),
        *,
        deadline_s: float,
        reply_limit_octets: int,
        heard: Heard | None = None,
    ) -> Deferred[Found]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def bind(
        self, request: BindRequest, controls: Sequence[Control] = (), *, deadline_s: float
    ) -> Deferred[BindAnswer]:
        raise AssertionError("a kept connection is bound already (SECURITY L11)")

    def answer(self) -> None:
        """The oldest question that waits."""
        waiting = self.asked[self.answered]
        self.answered += 1
        self.last_used_at = self._clock.seconds()
        waiting.callback(ANSWER)

    def die(self) -> None:
        self.usable = False
        while self.pending:
            self.answered += 1
            self.asked[self.answered - 1].errback(LdapFailed("the connection was lost"))

    def close(self) -> None:
        self.die()


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.links: list[FakeLink] = []
        self.refuses = False
        self.takes_s = 0.0
        self.up = True
        self.pool = Pool(self._open, self.clock, LIMITS, usable=lambda: self.up)

    async def _open(self) -> FakeLink:
        if self.refuses:
            raise LdapFailed("connection refused")
        if self.takes_s:
            opening: Deferred[None] = Deferred()
            self.clock.callLater(self.takes_s, opening.callback, None)
            await opening
        self.links.append(FakeLink(self.clock))
        return self.links[-1]

    def ask(self) -> Deferred[Found]:
        return Deferred.fromCoroutine(self.pool.search(REQUEST, (), deadline_s=8.0))


def failure_of(asking: Deferred[Found]) -> str:
    caught: list[Found | Failure] = []
    asking.addBoth(caught.append)
    (failure,) = caught
    assert isinstance(failure, Failure)
    assert isinstance(failure.value, LdapFailed)
    return failure.value.reason


def test_searches_share_connections_and_more_are_opened_when_all_are_busy() -> None:
    made = Bench()
    asking = [made.ask() for _ in range(6)]
    assert [link.pending for link in made.links] == [3, 3]
    for link in made.links:
        while link.pending:
            link.answer()
    assert all(each.called for each in asking)
    made.ask()
    assert len(made.links) == 2


def test_N4_who_has_to_wait_is_bounded() -> None:
    made = Bench()
    asking = [made.ask() for _ in range(7)]
    assert not any(each.called for each in asking)
    assert "waiting" in failure_of(made.ask())
    made.links[0].answer()
    assert made.links[0].pending + made.links[1].pending == 6


def test_L9_a_search_on_a_kept_connection_that_dies_is_asked_once_more() -> None:
    made = Bench()
    first = made.ask()
    made.links[0].answer()
    assert first.called
    asking = [made.ask() for _ in range(2)]
    made.takes_s = 0.01
    made.links[0].die()
    made.clock.advance(0.01)
    # All who lost it share the one that is opened for them.
    assert [link.pending for link in made.links[1:]] == [2]
    made.links[1].die()
    assert [failure_of(each) for each in asking] == ["the connection was lost"] * 2
    assert len(made.links) == 2


def test_L9_a_server_that_is_known_to_be_down_is_not_asked_once_more() -> None:
    made = Bench()
    made.ask()
    made.links[0].answer()
    asking = made.ask()
    made.up = False
    made.pool.close()
    assert failure_of(asking) == "the connection was lost"
    assert len(made.links) == 1


def test_L9_idle_connections_are_closed_before_servers_drop_them() -> None:
    made = Bench()
    made.ask()
    made.links[0].answer()
    made.clock.advance(200)
    made.ask()
    made.links[0].answer()
    made.clock.advance(239)
    assert [link.usable for link in made.links] == [True]
    made.clock.advance(1)
    assert [link.usable for link in made.links] == [False]
    assert not made.clock.getDelayedCalls()
    made.ask()
    assert len(made.links) == 2


def test_who_cannot_be_reached_is_said_to_all_who_wait() -> None:
    made = Bench()
    made.refuses = True
    assert failure_of(made.ask()) == "connection refused"


def test_whoever_gives_up_waiting_takes_nothing_from_others() -> None:
    made = Bench()
    asking = [made.ask() for _ in range(7)]
    asking[6].cancel()
    asking[6].addErrback(lambda failure: None)
    for link in made.links:
        while link.pending:
            link.answer()
    assert all(each.called for each in asking)
    again = [made.ask() for _ in range(6)]
    assert sum(link.pending for link in made.links) == len(again)


@pytest.mark.parametrize("dead", [True, False])
def test_a_closed_pool_keeps_nothing(dead: bool) -> None:
    made = Bench()
    made.ask()
    made.links[0].answer()
    if dead:
        made.links[0].die()
    made.pool.close()
    assert not made.links[0].usable
    assert not made.clock.getDelayedCalls()
