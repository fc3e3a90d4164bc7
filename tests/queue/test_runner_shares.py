"""Fair shares: nobody waits for another's slow destination, or for another's many messages."""

from __future__ import annotations

import pytest

from gateway.core.envelope import MessageOptions
from gateway.core.queue import Trouble
from gateway.queue.paces import Pace
from tests.support.queue_many import Yard

GOOD = [f"d{number}.example" for number in range(18)]


def yard_of_twenty(*, dead: str = "", drips: str = "") -> Yard:
    yard = Yard(attempts=60)
    if dead:
        yard.delivery.troubles[dead] = Trouble.DEAD
        yard.delivery.times_s[dead] = 30.0
    if drips:
        yard.delivery.times_s[drips] = None
    for name in (*GOOD, dead, drips):
        if name:
            yard.add(name, count=100)
    return yard


def test_one_dead_and_one_dripping_destination_do_not_slow_the_others() -> None:
    alone_s = yard_of_twenty().finish(*GOOD)
    yard = yard_of_twenty(dead="dead.example", drips="drips.example")
    assert yard.finish(*GOOD) < alone_s * 1.1
    assert yard.delivery.running["drips.example"] <= 5


def test_N6_slow_destinations_leave_places_for_others() -> None:
    yard = Yard(attempts=40, seconds=0.1)
    slow = [f"s{number}.example" for number in range(12)]
    for name in slow:
        yard.delivery.times_s[name] = None
        yard.add(name, count=100)
    yard.pass_time(5)
    yard.add("good.example", count=50)
    # Nobody knows them to answer, so a quarter of the places is not theirs.
    assert sum(yard.delivery.running.values()) < 30
    yard.finish("good.example", within_s=60)


def test_N6_destinations_that_answered_once_and_drip_now_leave_places_too() -> None:
    yard = Yard(attempts=40)
    slow = [f"s{number}.example" for number in range(6)]
    for name in slow:
        yard.add(name, count=60)
    yard.finish(*slow)
    for name in slow:
        yard.delivery.times_s[name] = None
        yard.add(name, count=100)
    yard.pass_time(5)
    assert sum(yard.delivery.running[name] for name in slow) < 40
    yard.add("good.example", count=50)
    yard.finish("good.example", within_s=60)


def test_destinations_go_in_rotation_however_much_waits_for_one() -> None:
    yard = Yard(attempts=10)
    yard.add("large.example", count=2000)
    yard.pass_time(1)
    for name in GOOD[:5]:
        yard.add(name, count=10)
    yard.finish(*GOOD[:5], within_s=3)
    assert yard.delivery.done["large.example"] < 500


def test_one_sender_s_many_messages_do_not_delay_another_s_one() -> None:
    yard = Yard()
    yard.add("y.example", count=30_000, turn=1_000, step=10_000)
    yard.pass_time(3)
    yard.add("y.example", turn=4_000)
    one = yard.queue.items[30_001]
    sent = len(yard.delivery.order)
    yard.pass_time(1)
    ahead = [each.queue_id for each in yard.delivery.order].index(one.queue_id) - sent
    assert ahead <= 40
    assert yard.in_hand <= 100


def test_what_is_urgent_overtakes_what_waits() -> None:
    yard = Yard(pace=Pace(2))
    yard.add("y.example", count=200)
    yard.pass_time(1)
    yard.add("y.example", options=MessageOptions(priority=5), turn=10**9)
    sent = len(yard.delivery.order)
    yard.pass_time(2)
    urgent = [each.options.priority for each in yard.delivery.order[sent:]].index(5)
    assert urgent <= 12  # as soon as its line is filled again


def test_memory_is_bounded_and_a_known_destination_finds_room() -> None:
    yard = Yard(messages=200, attempts=40)
    yard.add("good.example", count=5)
    yard.finish("good.example")
    slow = [f"s{number}.example" for number in range(300)]
    for name in slow:
        yard.delivery.times_s[name] = None
        yard.add(name, count=30)
    yard.pass_time(10)
    assert yard.in_hand <= 150
    yard.add("good.example", count=50)
    yard.finish("good.example", within_s=30)


def test_the_store_is_left_in_peace_while_memory_is_full() -> None:
    yard = Yard(messages=100, attempts=20)
    slow = [f"s{number}.example" for number in range(150)]
    for name in slow:
        yard.delivery.times_s[name] = None
        yard.queue.add(name, count=10, at=yard.time.now)
    yard.pass_time(60, step=1)
    leased = yard.queue.wishes
    yard.pass_time(60, step=1)
    assert yard.queue.wishes - leased <= 2 * len(slow)
    for name in slow:
        yard.delivery.times_s[name] = 0.5
    for waiting in list(yard.delivery.pending):
        waiting.callback(None)
    yard.finish(*slow, within_s=200)


def test_destinations_without_mail_are_forgotten() -> None:
    yard = Yard(destinations=50)
    yard.delivery.troubles = {f"d{number}.example": Trouble.DEAD for number in range(200)}
    for name in yard.delivery.troubles:
        yard.add(name)
    yard.pass_time(2)
    yard.add("another.example")
    assert len(yard.runner.snapshot()) <= 50


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_wake_up_costs_the_same_however_much_waits_for_a_full_destination(count: int) -> None:
    yard = Yard(pace=Pace(2))
    yard.delivery.times_s["slow.example"] = None
    yard.add("slow.example", count=count)
    for _ in range(200):
        yard.add("slow.example")
    assert yard.queue.leased <= 2 and yard.queue.asked <= 203
    yard.pass_time(30)
    assert yard.queue.leased <= 2 and yard.queue.asked <= 235


def test_a_busy_destination_never_runs_dry() -> None:
    yard = Yard(seconds=0.1)
    yard.add("y.example", count=2000)
    took_s = yard.finish("y.example")
    # Twenty at a time once the window is open, a tenth of a second each.
    assert took_s < 2000 / 20 * 0.1 * 1.25
    assert yard.delivery.most["y.example"] == 20
