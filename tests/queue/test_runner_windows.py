"""What a destination bears: windows that grow and shrink, pauses, rates."""

from __future__ import annotations

from gateway.core.queue import Trouble
from gateway.queue.paces import Pace
from gateway.queue.schedule import Schedule
from tests.support.queue_many import Yard

NAME = "y.example"


def test_the_window_starts_small_and_grows_while_it_is_used_up() -> None:
    yard = Yard()
    yard.add(NAME, count=1000)
    assert yard.delivery.running[NAME] == 2
    yard.pass_time(0.2)
    assert 4 <= yard.delivery.running[NAME] <= 6
    yard.pass_time(1)
    assert 10 <= yard.delivery.running[NAME] <= 17
    yard.pass_time(2)
    assert yard.delivery.running[NAME] == yard.delivery.most[NAME] == 20


def test_a_window_that_is_not_used_does_not_grow() -> None:
    yard = Yard()
    for _ in range(100):
        yard.add(NAME, count=4)
        yard.pass_time(0.2)
    yard.add(NAME, count=100)
    assert yard.delivery.running[NAME] <= 5


def test_the_settings_bound_it() -> None:
    yard = Yard(domains={NAME: Pace(3), "*.z.example": Pace(1)})
    for name in (NAME, "a.z.example", "z.example"):
        yard.add(name, count=500)
    yard.pass_time(4)
    assert yard.delivery.most == {NAME: 3, "a.z.example": 1, "z.example": 20}


def test_busy_halves_it_once_for_all_that_were_under_way() -> None:
    yard = Yard()
    yard.add(NAME, count=5000)
    yard.pass_time(4)
    assert yard.status(NAME).window == 20
    yard.delivery.troubles[NAME] = Trouble.BUSY
    yard.pass_time(0.1)
    status = yard.status(NAME)
    assert status.window == 10 and status.problem == "421 4.7.0 too much from you"
    yard.delivery.troubles.clear()
    yard.pass_time(3)
    assert yard.status(NAME).window > 10


def test_who_is_busy_even_for_one_is_left_alone_for_longer_and_longer() -> None:
    yard = Yard(pace=Pace(1))
    yard.delivery.troubles[NAME] = Trouble.BUSY
    yard.add(NAME, count=500)
    yard.pass_time(60)
    # 2, 4, 8, 16, 32 seconds: nothing else is tried meanwhile, or counts as tried.
    assert len(yard.delivery.order) == 5
    assert yard.status(NAME).limited_until is not None
    yard.delivery.troubles.clear()
    yard.pass_time(120)
    assert yard.delivery.done[NAME] > 100


def test_a_window_is_forgotten_when_it_was_long_ago() -> None:
    yard = Yard()
    yard.add(NAME, count=1000)
    yard.finish(NAME)
    yard.pass_time(700, step=10)
    yard.add(NAME, count=100)
    assert yard.delivery.running[NAME] == 2


# -- rates


def starts(yard: Yard, seconds: int) -> list[int]:
    """How many were begun in each of the next seconds."""
    found = []
    for _ in range(seconds):
        before = len(yard.delivery.order)
        yard.pass_time(1)
        found.append(len(yard.delivery.order) - before)
    return found


def test_a_rate_is_kept_in_even_steps() -> None:
    yard = Yard(pace=Pace(20, messages_per_minute=120))
    yard.add(NAME, count=500)
    yard.pass_time(2)
    counts = starts(yard, 20)
    assert sum(counts) in (39, 40, 41) and max(counts) <= 3


def test_a_rate_slower_than_a_line_is_kept_and_the_store_is_not_asked_meanwhile() -> None:
    yard = Yard(domains={NAME: Pace(20, messages_per_minute=2)})
    yard.add(NAME, count=500)
    yard.pass_time(1)
    leased, before = yard.queue.leased, len(yard.delivery.order)
    yard.pass_time(300)
    assert len(yard.delivery.order) - before == 10
    assert yard.queue.leased - leased <= 21
    assert yard.in_hand <= 1


def test_after_idle_time_no_more_than_a_second_s_worth_is_made_up_for() -> None:
    yard = Yard(pace=Pace(20, messages_per_minute=600), seconds=0.0)
    yard.add(NAME)
    yard.pass_time(300, step=1)
    yard.add(NAME, count=500)
    assert len(yard.delivery.order) - 1 <= 10
    yard.pass_time(1)
    assert sum(starts(yard, 10)) in (99, 100, 101)


def test_rates_of_others_are_their_own() -> None:
    yard = Yard(domains={NAME: Pace(messages_per_minute=60, schedule=Schedule(jitter=0.0))})
    yard.add(NAME, count=100)
    yard.add("z.example", count=100)
    yard.finish("z.example", within_s=5)
    assert yard.delivery.done[NAME] < 10
