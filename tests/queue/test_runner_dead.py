"""A destination that nobody answers for is tried once a round for all its mail."""

from __future__ import annotations

from gateway.core.envelope import DeliverBy, MessageOptions
from gateway.core.queue import Trouble, Verdict
from gateway.queue.attempts import NOT_TRIED
from gateway.queue.schedule import DAY_S
from tests.support.queue_many import Yard
from tests.support.queue_world import World

NAME = "y.example"
DEAD = Trouble.DEAD


def test_all_its_mail_is_put_off_with_the_words_of_the_one_that_was_tried() -> None:
    yard = Yard()
    yard.delivery.troubles[NAME] = DEAD
    yard.add(NAME, count=1000)
    yard.pass_time(30)
    assert len(yard.delivery.order) <= 3
    replies = {item.recipients[0].last_reply for item in yard.queue.items.values()}
    assert replies == {"connection refused", f"connection refused {NOT_TRIED}"}
    assert {item.recipients[0].attempts for item in yard.queue.items.values()} == {1}
    status = yard.status(NAME)
    assert status.dead_until is not None and status.problem == "connection refused"
    assert status.in_line == status.in_flight == 0


def test_one_goes_ahead_when_the_round_is_over_and_the_others_follow_when_it_arrived() -> None:
    yard = Yard()
    yard.delivery.troubles[NAME] = DEAD
    yard.add(NAME, count=300)
    yard.pass_time(50)
    tried = len(yard.delivery.order)
    yard.pass_time(30)
    assert len(yard.delivery.order) == tried + 1
    yard.delivery.troubles.clear()
    yard.delivery.most.clear()
    yard.pass_time(300, step=0.5)
    assert yard.delivery.done[NAME] == 300
    assert yard.status_or_none(NAME) is None


def test_the_window_opens_by_steps_after_that() -> None:
    yard = Yard(seconds=1.0)
    yard.delivery.troubles[NAME] = DEAD
    yard.add(NAME, count=300)
    yard.pass_time(20)
    yard.delivery.troubles.clear()
    seen = []
    while yard.delivery.done.get(NAME, 0) < 20:
        yard.pass_time(0.5)
        seen.append(yard.delivery.running[NAME])
    first = next(at for at, running in enumerate(seen) if running)
    assert seen[first] == 1 and max(seen[first : first + 4]) <= 3 < max(seen)


def test_new_mail_for_it_is_put_off_as_well_without_a_connection() -> None:
    world = World()
    world.delivery.troubles[NAME] = DEAD
    world.add("b@y.example")
    world.pass_time(10)
    world.add("c@y.example", queue_id="Q2")
    assert world.tried == [("b@y.example",)]
    assert world.queue.waiting()["c@y.example"] == (1, world.time.now + 60)


def test_each_message_keeps_its_own_first_retry() -> None:
    # A round is a little shorter than a message's wait, so that a restart costs it one wait only.
    for _ in range(5):
        world = World()
        world.delivery.troubles[NAME] = DEAD
        world.add("b@y.example")
        world.delivery.troubles.clear()
        world.pass_time(61, step=1)
        assert len(world.tried) == 2 and world.queue.rows == {}


def test_rounds_get_longer_but_never_much() -> None:
    yard = Yard()
    yard.delivery.troubles[NAME] = DEAD
    yard.delivery.default_s = 0.0
    for _ in range(4 * 60):  # mail comes all the time, for four hours
        yard.add(NAME)
        yard.pass_time(60, step=10)
    assert 4 * 6 <= len(yard.delivery.order) <= 4 * 60 / 7 + 5


def test_one_failure_among_attempts_that_pass_kills_nothing() -> None:
    yard = Yard()
    yard.add(NAME, count=2000)
    yard.pass_time(3)
    yard.delivery.troubles[NAME] = DEAD
    yard.time.clock.advance(0.02)  # some of those in flight
    yard.delivery.troubles.clear()
    yard.pass_time(1)
    assert yard.status(NAME).dead_until is None
    yard.finish(NAME)


def test_its_mail_still_grows_old_and_goes_back() -> None:
    world = World()
    world.delivery.troubles[NAME] = DEAD
    for number in range(5):
        world.add("b@y.example", queue_id=f"Q{number}")
    world.pass_time(5 * 3600, step=60)
    assert len(world.queue.reports) == 5  # the notices of the delay
    world.pass_time(5 * DAY_S, step=600)
    assert world.queue.rows == {} and len(world.queue.reports) == 10
    assert all(b"connection refused" in octets for _, octets in world.queue.reports[5:])


def test_a_time_set_by_the_sender_is_kept_though_nobody_is_tried() -> None:
    world = World()
    world.delivery.troubles[NAME] = DEAD
    world.add("b@y.example")
    by = DeliverBy(world.time.now - 1, or_return=True, trace=False)
    world.add("c@y.example", queue_id="Q2", options=MessageOptions(deliver_by=by))
    assert list(world.queue.waiting()) == ["b@y.example"]
    assert b"5.4.7" in world.queue.reports[0][1]


def test_revived_it_is_tried_at_once() -> None:
    for which in (NAME, None):
        world = World()
        world.delivery.troubles[NAME] = DEAD
        world.add("b@y.example")
        world.delivery.troubles.clear()
        world.runner.revive(which)
        world.add("c@y.example", queue_id="Q2")
        assert world.tried[-1] == ("c@y.example",)
        assert world.runner.snapshot() == []


def test_an_unknown_destination_may_be_revived() -> None:
    World().runner.revive("nowhere.example")


def test_a_recipient_deferred_by_its_server_says_nothing_of_the_destination() -> None:
    world = World()
    world.delivery.default = Verdict.DEFERRED
    for number in range(5):
        world.add("b@y.example", queue_id=f"Q{number}")
    assert len(world.tried) == 5
