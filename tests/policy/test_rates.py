"""Rates: who is counted together, how long it takes, one count for all processes."""

from __future__ import annotations

from array import array

import pytest

from gateway.core.networks import Networks
from gateway.core.shared_counters import SLOTS, Rate, SharedCounters
from gateway.policy.connections import ConnectionLimits
from gateway.policy.ground import Ground
from gateway.policy.open_connections import ConnectionsCheck
from gateway.policy.rates import Counted, Per, RateCheck
from gateway.policy.shared_connections import ROW, SharedConnectionLimits
from gateway.policy.verdicts import Action, Stage
from tests.policy.facts import ALICE, facts, now


class World:
    """Two processes that count in one memory, and their clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        memory = array("d", bytes(8 * SLOTS))
        self.one, self.two = (SharedCounters(memory, b"k" * 16, lambda: self.now) for _ in range(2))

    def check(
        self,
        of: Counted = "connections",
        per: Per = "address",
        *,
        limit: int = 3,
        other: bool = False,
    ) -> RateCheck:
        ground = Ground("rate", Networks(["10.0.0.0/8"]))
        counters = self.two if other else self.one
        rate = Rate(limit, 60, limit)
        return RateCheck(ground, counters, "policies.x[0]", of, per, rate, Action.DEFER)


def test_S25_more_than_the_limit_is_deferred_with_its_count_until_there_is_room() -> None:
    world = World()
    check = world.check()
    assert [now(check, facts()) for _ in range(3)] == [None] * 3
    verdict = now(check, facts())
    assert verdict is not None and verdict.action is Action.DEFER
    assert verdict.inputs["count"] == "3" and verdict.inputs["wait_s"] == "20"
    assert verdict.inputs["bucket"] == "policies.x[0] 192.0.2.9"
    assert now(check, facts("192.0.2.10")) is None, "a neighbour is somebody else"
    world.now += 20
    assert now(check, facts()) is None and now(check, facts()) is not None


def test_what_is_refused_is_not_counted() -> None:
    world = World()
    check = world.check()
    for _ in range(1000):
        now(check, facts())
    world.now += 20
    assert now(check, facts()) is None


def test_two_processes_count_as_one() -> None:
    world = World()
    check, other = world.check(), world.check(other=True)
    assert [now(each, facts()) for each in (check, other, check)] == [None] * 3
    assert now(other, facts()) is not None and now(check, facts()) is not None


@pytest.mark.parametrize(
    ("per", "one", "other", "together"),
    [
        ("address", "2001:db8::1", "2001:db8::2", True),
        ("address", "2001:db8::1", "2001:db8:0:1::1", False),
        ("address", "::ffff:192.0.2.1", "192.0.2.1", True),
        ("network", "192.0.2.1", "192.0.2.200", True),
        ("network", "192.0.2.1", "192.0.3.1", False),
    ],
)
def test_who_is_counted_together(per: Per, one: str, other: str, together: bool) -> None:
    check = World().check(per=per, limit=1)
    assert now(check, facts(one)) is None
    assert (now(check, facts(other)) is not None) is together


def test_people_are_counted_wherever_they_are() -> None:
    check = World().check("messages", "person", limit=1)
    assert now(check, facts("192.0.2.1", account=ALICE)) is None
    assert now(check, facts("198.51.100.1", account=ALICE)) is not None
    assert now(check, facts("192.0.2.1")) is None, "nobody is logged in"


def test_named_networks_are_left_out() -> None:
    check = World().check(limit=1)
    assert [now(check, facts("10.1.2.3")) for _ in range(5)] == [None] * 5


def test_a_rehearsal_counts_nothing() -> None:
    check = World().check(limit=1)
    assert [now(check, facts(rehearsal=True)) for _ in range(5)] == [None] * 5
    assert now(check, facts()) is None
    assert now(check, facts(rehearsal=True)) is not None


def test_a_stranger_in_one_of_the_slots_refuses_nobody() -> None:
    world = World()
    check = world.check(limit=1000)
    for _ in range(1000):
        now(check, facts("203.0.113.5"))
    assert now(check, facts("203.0.113.5")) is not None
    refused = [n for n in range(2000) if now(check, facts(f"198.51.{n // 250}.{n % 250}"))]
    assert refused == []


def test_N2_connections_that_are_open_are_counted_over_processes_and_given_back() -> None:
    table = memoryview(bytearray(2 * ROW * 4)).cast("I")
    checks = [
        ConnectionsCheck(Ground("c"), SharedConnectionLimits(table, own, b"k", 100, 2))
        for own in (0, 1)
    ]
    about = [facts() for _ in range(3)]
    for number, each in enumerate(about):
        each.client.connection_id = f"c{number}"
    assert checks[0].judge(Stage.CONNECT, about[0]) is None
    assert checks[1].judge(Stage.CONNECT, about[1]) is None
    refused = checks[0].judge(Stage.CONNECT, about[2])
    assert refused is not None and refused.action is Action.DEFER
    checks[0].left(about[2].client)  # it was never let in
    checks[1].left(about[1].client)
    checks[1].left(about[1].client)
    assert checks[0].judge(Stage.CONNECT, about[2]) is None


def test_a_rehearsal_and_a_second_look_hold_no_connection() -> None:
    check = ConnectionsCheck(Ground("c"), ConnectionLimits(1, 1))
    for _ in range(3):
        assert check.judge(Stage.CONNECT, facts(rehearsal=True)) is None
    about = facts()
    for _ in range(3):
        assert check.judge(Stage.CONNECT, about) is None
    check.left(about.client)
    assert check.judge(Stage.CONNECT, about) is None
