"""The runner and what is held or more urgent; whatever clocks do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.envelope import DeliverBy, Hold, MessageOptions
from gateway.core.ids import QueueId
from gateway.core.messages import QueuedRecipient
from gateway.core.queue import QueueFilter, Verdict
from gateway.queue.line import Group, Line
from gateway.queue.paces import Pace
from gateway.queue.schedule import DAY_S
from tests.store.house import NOW, House
from tests.support.queue_runs import Runs
from tests.support.queue_world import World


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with House(tmp_path) as house:
        running = Runs(house)
        running.start()
        yield running
        running.stop()


def test_held_mail_goes_when_its_hold_ends(runs: Runs) -> None:
    runs.accept("until", hold=Hold("limit: too many", NOW + 600))
    runs.accept("ever", hold=Hold("quarantine: looked at"))
    runs.pass_time(500)
    assert runs.sent == 0
    runs.pass_time(180)
    assert runs.sent == 1
    assert runs.house.wait(runs.house.store.depth()).held == 1


def test_D7_clocks_neither_expire_nor_release_what_is_held_for_ever(runs: Runs) -> None:
    runs.delivery.default = Verdict.DEFERRED
    runs.accept("ever", hold=Hold("quarantine: looked at"))
    runs.accept("plain")
    assert runs.sent == 1
    for shift_s in (10 * DAY_S, -400 * DAY_S):
        runs.offset_s += shift_s
        runs.pass_time(300)
        depth = runs.house.wait(runs.house.store.depth())
        assert (depth.messages, depth.held) == (2, 1), "nothing expired, nothing was released"
    assert runs.sent <= 8, "no burst"


@pytest.mark.parametrize("shift_s", [10 * DAY_S, -400 * DAY_S])
def test_D7_times_that_senders_set_are_kept_when_the_clock_is_set_right_again(
    runs: Runs, shift_s: int
) -> None:
    """Time that never passed ends no hold and no DELIVERBY; nor does it delay them for days."""
    runs.delivery.default = Verdict.DEFERRED
    for each in (shift_s, -shift_s):
        runs.offset_s += each
        runs.accept(f"plain {each}")
        runs.pass_time(120)
    tried = runs.sent
    now = int(runs.wall())
    runs.accept("until", hold=Hold("release: later", now + 3600))
    runs.accept("by", options=MessageOptions(deliver_by=DeliverBy(now + 1800, or_return=True)))
    assert runs.sent == tried + 1, "one is sent and not given back; the other is held"
    runs.pass_time(1200)
    depth = runs.house.wait(runs.house.store.depth())
    assert (depth.messages, depth.held) == (4, 1)
    runs.pass_time(900)
    depth = runs.house.wait(runs.house.store.depth())
    assert depth.messages == 4, "given back when its time was over; the report waits instead"
    runs.pass_time(1800)
    assert runs.house.wait(runs.house.store.depth()).held == 0


def test_D7_a_hold_till_later_is_no_sign_that_the_clock_was_set_back(runs: Runs) -> None:
    """What is due further ahead than any wait proves that of all other mail."""
    runs.delivery.default = Verdict.DEFERRED
    runs.accept("later", hold=Hold("release: on a day next year", NOW + 300 * DAY_S))
    runs.accept("plain")
    runs.pass_time(900)
    assert runs.sent == 3, "by the schedule, not at once"
    assert runs.house.wait(runs.house.store.depth()).held == 1


def test_the_life_of_a_message_does_not_go_on_while_it_is_held(runs: Runs) -> None:
    runs.delivery.default = Verdict.DEFERRED
    runs.accept("held", hold=Hold("limit: too many", NOW + 20 * DAY_S))
    runs.offset_s += 20 * DAY_S
    runs.pass_time(120)
    assert runs.sent >= 1
    (row,) = runs.house.wait(runs.house.store.queue.listed(QueueFilter(), after=None, limit=9))
    assert row.sender is not None, "no report of a failure or a delay"


def test_the_more_urgent_message_overtakes_in_line() -> None:
    world = World(pace=Pace(1))
    world.delivery.default = None
    world.add("first@y.example", queue_id="Q0")
    for name, priority in (("low", -2), ("plain", 0), ("high", 5), ("higher", 9)):
        options = MessageOptions(priority=priority)
        world.add(f"{name}@y.example", queue_id=name, options=options)
    for _ in range(5):
        world.delivery.pending.pop(0).callback(None)
    order = [addresses[0].split("@")[0] for addresses in world.tried]
    assert order == ["first", "higher", "high", "plain", "low"]


def test_a_line_goes_by_priority_then_by_turn_then_as_it_came() -> None:
    world = World(start=False)
    world.add("p@y.example")
    plain = next(iter(world.queue.rows.values())).item
    urgent = replace(plain, options=MessageOptions(priority=3))
    early = replace(plain, turn=plain.turn - 1)
    groups = [Group(item) for item in (plain, plain, early, urgent)]
    line = Line()
    for group in groups:
        line.add(group)
    line.remove(groups[1])
    line.add(groups[1])
    assert line.first() is groups[3]
    assert line.clear() == [groups[2], groups[0], groups[1]] and len(line) == 0


def test_a_recipient_here_may_wait_for_its_time_as_well(runs: Runs) -> None:
    here = QueuedRecipient(Address("bob", "x.example"), "local")
    message = runs.house.message("1", remote=[here])
    later = replace(message, options=MessageOptions(release_at=NOW + 300))
    runs.house.wait(runs.house.store.accept(later))
    runs.pass_time(240)
    assert runs.sent == 0
    runs.pass_time(120)
    assert runs.delivery.attempts[0][2] == "local"


def test_what_is_recalled_waits_no_more_unless_only_the_whole_was_wanted() -> None:
    world = World(pace=Pace(1))
    world.delivery.default = None
    world.add("busy@z.example", queue_id="Q0")
    world.add("a@y.example", "b@z.example", queue_id="Q1")
    assert world.runner.recall(QueueId("Q1"), if_whole=True)
    world.add("c@z.example", queue_id="Q2")
    assert not world.runner.recall(QueueId("Q2"), if_whole=True)
    world.queue.rows[QueueId("Q2"), 0].due_at = world.time.now
    world.runner.wake()
    world.delivery.pending.pop(0).callback(None)
    assert world.tried[-1] == ("b@z.example",)
    world.delivery.pending.pop().callback(None)
    assert ("c@z.example",) not in world.tried
    world.runner.allow(QueueId("Q2"))
    world.queue.rows[QueueId("Q2"), 0].due_at = world.time.now
    world.runner.wake()
    assert world.tried[-1] == ("c@z.example",)
