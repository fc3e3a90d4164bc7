"""When a server is asked, and when it is left alone: on a clock of the test's own."""

from __future__ import annotations

from twisted.internet.task import Clock

from gateway.directory.ldap.breaker import Breaker, State


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.wall_s = 1_000_000.0
        self.alone = False
        self.changes: list[tuple[State, State]] = []
        self.breaker = Breaker(
            self.clock,
            lambda: self.wall_s,
            changed=lambda before, after: self.changes.append((before, after)),
            lonely=lambda: self.alone,
        )

    def state(self) -> State:
        return self.breaker.state

    def usable(self) -> bool:
        return self.breaker.usable

    def fail_probe(self) -> float:
        """One more probe that fails; the pause after it."""
        self.clock.advance(self.breaker.wait_s())
        self.breaker.probing()
        self.breaker.failed("no answer")
        return self.breaker.wait_s()


def test_L12_one_failure_opens_and_pauses_grow_to_a_bound() -> None:
    made = Bench()
    assert made.usable()
    made.breaker.failed("refused")
    assert made.state() is State.OPEN
    assert not made.usable()
    assert made.breaker.wait_s() == 1
    assert [made.fail_probe() for _ in range(7)] == [2, 4, 8, 16, 30, 30, 30]


def test_L12_where_nobody_else_answers_pauses_stay_short() -> None:
    made = Bench()
    made.alone = True
    made.breaker.failed("refused")
    assert [made.fail_probe() for _ in range(5)] == [2] * 5
    # Somebody else has come back meanwhile, or goes away: the pause under way follows.
    made.alone = False
    assert made.breaker.wait_s() == 30
    made.alone = True
    assert made.breaker.wait_s() == 2


def test_L12_the_wall_clock_may_jump() -> None:
    made = Bench()
    made.breaker.failed("refused")
    made.wall_s -= 400 * 86_400
    made.clock.advance(0.5)
    assert made.breaker.wait_s() == 0.5
    made.wall_s += 800 * 86_400
    assert made.breaker.wait_s() == 0.5


def test_one_probe_that_works_closes() -> None:
    made = Bench()
    made.breaker.failed("refused")
    made.clock.advance(1)
    made.breaker.probing()
    assert made.state() is State.HALF_OPEN
    assert not made.usable()  # the probe is the only one who asks
    made.breaker.worked()
    assert made.usable()
    assert made.breaker.last_error == "refused"
    assert made.changes == [
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
    ]


def test_a_server_that_comes_and_goes_is_not_asked_at_every_coming() -> None:
    made = Bench()
    made.breaker.failed("refused")
    for pause_s in (2, 4, 8):
        made.clock.advance(made.breaker.wait_s())
        made.breaker.probing()
        made.breaker.worked()
        made.clock.advance(5)
        made.breaker.failed("gone again")
        assert made.breaker.wait_s() == pause_s
    made.clock.advance(made.breaker.wait_s())
    made.breaker.worked()
    made.clock.advance(60)  # steady by now
    made.breaker.failed("gone once")
    assert made.breaker.wait_s() == 1


def test_failures_of_questions_that_were_under_way_count_once() -> None:
    made = Bench()
    for _ in range(50):
        made.breaker.failed("the connection was lost")
    assert made.breaker.wait_s() == 1
    assert len(made.changes) == 1


def test_a_suspect_is_still_usable_and_any_answer_clears_it() -> None:
    made = Bench()
    made.breaker.suspected("silent")
    assert made.state() is State.SUSPECT
    assert made.usable()
    made.breaker.worked()
    assert made.state() is State.CLOSED


def test_now_and_then_busy_is_no_failure_but_three_times_in_a_row_is() -> None:
    made = Bench()
    for _ in range(6):
        made.breaker.was_busy("busy")
        made.clock.advance(5.1)
    assert made.state() is State.CLOSED
    made.clock.advance(20)
    for _ in range(3):
        made.breaker.was_busy("busy")
    assert made.state() is State.OPEN


def test_since_is_when_it_went_down_not_when_it_was_last_tried() -> None:
    made = Bench()
    made.wall_s = 2_000.0
    made.breaker.failed("refused")
    made.wall_s = 3_000.0
    made.fail_probe()
    assert made.breaker.since == 2_000
