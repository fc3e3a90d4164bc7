"""Sessions end with the account that opened them, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from twisted.internet.task import Clock

from gateway.auth.account_sessions import FEW, LEAVE_S, LOOK_EVERY_S, AccountSessions
from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable
from tests.auth.test_app_password_sessions import Session
from tests.people.world import ALICE, BOB, Folk, someone


class Bench:
    def __init__(self, *accounts: Account) -> None:
        self.folk = Folk(*accounts)
        self.clock = Clock()
        self.watch = AccountSessions(self.folk, cast(Any, self.clock))
        self.sessions = {each.account_id: self.open(each) for each in accounts}

    def open(self, account: Account) -> Session:
        session = Session()
        self.watch.opened(account.account_id, session)
        return session

    def look(self) -> None:
        self.clock.advance(LOOK_EVERY_S)
        self.clock.pump([0.01] * 20)

    def said(self, account: Account) -> list[str]:
        return self.sessions[account.account_id].said


def test_L16_L21_all_sessions_of_the_disabled_end_within_a_minute() -> None:
    bench = Bench(ALICE, BOB)
    second = bench.open(ALICE)
    bench.look()
    assert bench.said(ALICE) == []
    bench.folk.put(replace(ALICE, enabled=False, condition="expired"))
    bench.look()
    assert (bench.said(ALICE), second.said, bench.said(BOB)) == (["dismiss"], ["dismiss"], [])
    bench.clock.advance(LEAVE_S)
    assert bench.said(ALICE) == ["dismiss", "abort"], "a command that does not end is cut off"
    # The picture is refreshed every 30 s unless the settings say otherwise.
    assert 30 + 2 * LOOK_EVERY_S + LEAVE_S < 60


def test_L16_the_gone_end_when_they_are_missed_twice() -> None:
    bench = Bench(ALICE, BOB)
    bench.folk.drop(ALICE.account_id)
    bench.look()
    assert bench.said(ALICE) == []
    bench.folk.put(ALICE)
    bench.look()
    bench.folk.drop(ALICE.account_id)
    bench.look()
    assert bench.said(ALICE) == [], "once again only"
    bench.look()
    assert (bench.said(ALICE), bench.said(BOB)) == (["dismiss"], [])


def test_L15_an_outage_ends_nobodys_session() -> None:
    bench = Bench(ALICE)
    bench.folk.drop(ALICE.account_id)
    bench.look()
    bench.folk.broken = True
    for _ in range(5):
        bench.look()
    assert bench.said(ALICE) == []
    bench.folk.broken = False
    bench.look()
    assert bench.said(ALICE) == [], "missed twice in a row"
    bench.look()
    assert bench.said(ALICE) == ["dismiss"]


def test_L15_many_who_are_missing_at_once_are_not_believed(logged: list[str]) -> None:
    many = [someone(f"p{number}") for number in range(FEW + 2)]
    bench = Bench(*many, ALICE)
    for each in many:
        bench.folk.drop(each.account_id)
    for _ in range(5):
        bench.look()
    assert all(bench.said(each) == [] for each in many)
    assert any("which is not believed" in line for line in logged)


def test_L16_the_locked_stay() -> None:
    bench = Bench(ALICE)
    bench.folk.put(replace(ALICE, locked=True))
    bench.look()
    assert bench.said(ALICE) == []


def test_slow_answers_take_turns_and_nothing_is_asked_without_sessions() -> None:
    people = [someone(f"p{number:02}") for number in range(12)]
    bench = Bench(*people)
    find = bench.folk.find_by_id

    async def slow(account_id: Any) -> Account | None:
        bench.clock.rightNow += 1.0
        return await find(account_id)

    bench.folk.find_by_id = slow  # type: ignore[method-assign]
    bench.look()
    assert 8 <= len(bench.folk.asked) < 12
    bench.look()
    assert set(bench.folk.asked) == {each.account_id for each in people}, "the rest came first"

    idle = Bench()
    ended = idle.watch.opened(ALICE.account_id, Session())
    ended()
    idle.look()
    assert idle.folk.asked == [] and idle.clock.getDelayedCalls() == []


def test_the_end_of_the_process_ends_a_look() -> None:
    bench = Bench(ALICE)

    async def never(account_id: Any) -> Account | None:
        bench.watch.close()
        raise DirectoryUnavailable

    bench.folk.find_by_id = never  # type: ignore[method-assign]
    bench.look()
    assert bench.said(ALICE) == [] and bench.clock.getDelayedCalls() == []
