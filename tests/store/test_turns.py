"""Whose turn it is: one sender's many messages stand behind another's one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.messages import QueuedRecipient
from gateway.core.queue import Wish
from gateway.store.turns import AHEAD_MS, FLOWS, LINE_STEP_MS, STEP_MS, Turns, flow_of
from tests.store.house import CAROL, NOW, House

NOW_MS = NOW * 1000


@pytest.mark.parametrize(
    ("local_part", "flow"),
    [
        ("alice", "alice@x.example"),
        ("Alice", "alice@x.example"),
        ("alice+shop", "alice@x.example"),
        ("bounces+57-carol=y.example", "bounces@x.example"),
        ("news-owner-carol=y.example", "news@x.example"),
        ("bounce-1234-5678", "bounce@x.example"),
        ("prvs=12345abcde=alice", "alice@x.example"),
        ("+", "+@x.example"),
    ],
)
def test_a_flow_is_what_does_not_change_from_message_to_message(local_part: str, flow: str) -> None:
    assert flow_of(Address(local_part, "x.example")) == flow


def test_who_submits_is_one_flow_whatever_sender_they_name() -> None:
    assert flow_of(Address("any", "x.example"), "a11ce") == flow_of(None, "a11ce") == "a11ce"
    assert flow_of(None) != flow_of(Address("any", "x.example"))


def test_each_message_of_a_flow_steps_back_and_no_further_than_some_days() -> None:
    turns = Turns()
    taken = [turns.take("a", "y", NOW_MS)[0] for _ in range(3)]
    assert taken == [NOW_MS, NOW_MS + STEP_MS, NOW_MS + 2 * STEP_MS]
    assert turns.take("b", "y", NOW_MS)[0] == NOW_MS
    assert turns.take("a", "z", NOW_MS)[0] == NOW_MS  # another line
    for _ in range(AHEAD_MS // STEP_MS + 5):
        last, _ = turns.take("a", "y", NOW_MS)
    assert last == NOW_MS + AHEAD_MS


def test_destinations_of_one_flow_stand_in_line_behind_another_s() -> None:
    turns = Turns()
    in_line = [turns.take("a", f"y{number}", NOW_MS)[1] for number in range(3)]
    assert in_line == [NOW_MS, NOW_MS + LINE_STEP_MS, NOW_MS + 2 * LINE_STEP_MS]
    assert turns.take("b", "z", NOW_MS)[1] == NOW_MS


def test_D7_a_clock_set_back_puts_no_flow_off() -> None:
    turns = Turns()
    turns.take("a", "y", NOW_MS)
    before_ms = NOW_MS - 400 * 86_400_000
    assert turns.take("a", "y", before_ms)[0] <= before_ms + AHEAD_MS


def test_N6_only_so_many_flows_are_remembered() -> None:
    turns = Turns()
    for number in range(2 * FLOWS):
        turns.take(f"a{number}", "y", NOW_MS)
    assert len(turns._messages) <= FLOWS
    assert len(turns._lines) <= FLOWS


def send(house: House, name: str, sender: str, *remote: QueuedRecipient) -> None:
    message = house.message(name, remote=remote, sender=Address(sender, "example.test"))
    house.wait(house.store.accept(message))


def test_one_sender_s_many_do_not_delay_another_s_one(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for number in range(50):
            send(house, f"many{number}", f"bounce+{number}", CAROL)
        send(house, "one", "alice", CAROL)
        wish = Wish("example.org", 3, NOW)
        leased = house.wait(house.store.lease([wish], NOW, "me", 60))
        assert [item.message_id for item in leased.items] == ["many0", "one", "many1"]
        assert leased.items[0].turn <= leased.items[1].turn < leased.items[2].turn


def test_one_sender_s_many_destinations_do_not_delay_another_s_one(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        for number in range(30):
            send(
                house, f"many{number}", "news", QueuedRecipient(Address("c", f"y{number}.example"))
            )
        send(house, "one", "alice", CAROL)
        assert "example.org" in house.wait(house.store.ready(NOW, 2))
        # Its mail for a destination where others wait already brings that one forward.
        send(house, "also one", "bob", QueuedRecipient(Address("d", "y29.example")))
        assert "y29.example" in house.wait(house.store.ready(NOW, 3))
