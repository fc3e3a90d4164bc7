"""When a deferred recipient is tried again, and when trying ends."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from gateway.queue.clock import QueueClock
from gateway.queue.schedule import DAY_S, Schedule

EXACT = Schedule(jitter=0.0)


def retries(schedule: Schedule, seed: int = 1) -> list[int]:
    """Times of all attempts of a message accepted at 0 that is always deferred."""
    random, times, now, attempts = Random(seed), [0], 0, 0
    while True:
        attempts += 1
        at = schedule.next_attempt_at(attempts=attempts, now=now, created_at=0, random=random)
        if at is None:
            return times
        now = at
        times.append(now)


def test_the_waits_grow_and_end_near_the_lifetime() -> None:
    times = retries(EXACT)
    waits = [after - before for before, after in pairwise(times)]
    assert waits[:8] == [60, 300, 900, 1800, 3600, 7200, 14_400, 14_400]
    assert set(waits[8:]) == {14_400}
    # The last attempt is the first one that ends after the lifetime.
    assert 5 * DAY_S <= times[-1] < 5 * DAY_S + 14_400


def test_jitter_spreads_the_waits_within_its_share() -> None:
    firsts = {retries(Schedule(), seed)[1] for seed in range(50)}
    assert len(firsts) > 5
    assert all(54 <= first <= 66 for first in firsts)


def test_D7_a_clock_that_jumps_forward_expires_nothing() -> None:
    at = EXACT.next_attempt_at(attempts=1, now=10 * DAY_S, created_at=0, random=Random(1))
    assert at == 10 * DAY_S + 60


def test_D7_a_clock_that_went_back_does_not_keep_mail_for_ever() -> None:
    random = Random(1)
    ages = [
        EXACT.next_attempt_at(attempts=n, now=0, created_at=400 * DAY_S, random=random)
        for n in range(1, 200)
    ]
    assert ages[0] == 60
    assert ages[-1] is None


def test_mail_that_is_tried_on_demand_again_and_again_does_not_grow_old_by_that() -> None:
    """A site on a dial-up line asks by ETRN every minute while its server is down."""
    random = Random(1)
    for attempts in range(1, 2000):
        now = attempts * 60
        assert EXACT.next_attempt_at(attempts=attempts, now=now, created_at=0, random=random)
    assert EXACT.next_attempt_at(attempts=2000, now=5 * DAY_S, created_at=0, random=random) is None


@given(
    st.integers(min_value=1, max_value=10_000),
    st.integers(min_value=0, max_value=2**33),
    st.integers(min_value=0, max_value=2**33),
)
def test_D7_no_wait_is_longer_than_the_longest(attempts: int, now: int, created_at: int) -> None:
    schedule = Schedule()
    at = schedule.next_attempt_at(
        attempts=attempts, now=now, created_at=created_at, random=Random(attempts)
    )
    assert at is None or now < at <= now + schedule.longest_delay_s


def test_D7_the_queues_clock_never_goes_back_while_running() -> None:
    timers = Clock()
    wall = [1000.0]
    clock = QueueClock(lambda: wall[0], timers, 100)
    assert clock.now() == 1000
    wall[0] = 500.0
    timers.advance(10)
    assert clock.now() == 1010
    wall[0] = 5000.0
    assert clock.now() == 5000


def test_D7_mail_due_impossibly_far_ahead_is_due_now() -> None:
    clock = QueueClock(lambda: 1000.0, Clock(), 100)
    assert clock.observe(None) is None
    clock.observe(1100)
    assert clock.now() == 1000
    clock.observe(1101)
    assert clock.now() == 1101
