"""Addresses that are refused again and again: when they are written to no more, and when again."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from email import message_from_bytes
from email.message import Message
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from gateway.core.address import Address
from gateway.core.errors import StoreUnavailable
from gateway.core.queue import Outcome, Verdict
from gateway.core.suppression import Suppression
from gateway.queue.guards import Guards
from gateway.queue.hold_rules import HoldRules
from gateway.queue.journal import Journal
from gateway.queue.suppression import SuppressionRules, Suppressions
from tests.support.pump import Pump
from tests.support.queue_lists import MemoryHoldRules, MemorySuppressions
from tests.support.queue_world import World

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED
DAY_S = 86_400
RULES = SuppressionRules(after=3, over_s=DAY_S, for_s=2 * DAY_S)
BOB = Address("bob", "y.example")
T = TypeVar("T")


def done(coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
    return Pump().wait(coroutine)


class Suppressing(World):
    """bob@y.example is refused; three times over a day are too often."""

    def __init__(self, rules: SuppressionRules = RULES, **options: int) -> None:
        super().__init__(start=False)
        self.kept = MemorySuppressions()
        self.rules = rules
        self.options = options
        self.delivery.answers["bob@y.example"] = FAILED
        self.sent = 0
        self.restart()

    def restart(self) -> None:
        if self.sent:
            self.stop()
        journal = Journal(None, self.time.wall)
        self.suppressions = Suppressions(
            self.kept, self.rules, journal, self.time.wall, **self.options
        )
        guards = Guards(HoldRules(MemoryHoldRules()), self.suppressions)
        self.runner = self.new_runner(screen=guards)
        self.runner.start()

    def send(self, *to: str, after_s: float = 0) -> bool:
        """Whether it was tried."""
        self.time.offset_s += after_s
        self.sent += 1
        before = len(self.tried)
        self.add(*(to or ("bob@y.example",)), queue_id=f"Q{self.sent}")
        return len(self.tried) > before

    def suppress(self) -> None:
        for _ in range(3):
            assert self.send(after_s=DAY_S / 2)

    @property
    def last_report(self) -> Message:
        return message_from_bytes(self.queue.reports[-1][1])


def text_of(report: Message) -> str:
    part = report.get_payload(0)
    assert isinstance(part, Message)
    return " ".join(str(part.get_payload()).split())


def test_after_repeated_refusals_mail_comes_back_without_an_attempt() -> None:
    world = Suppressing()
    world.suppress()
    assert not world.send() and world.queue.rows == {}
    text = text_of(world.last_report)
    assert "There is no mailbox with this address at y.example." in text
    assert "this server writes to it no more since 14 Jan 1970, when 3 messages" in text
    assert "mx.y.example last answered: 550 5.1.1 no such user; the postmaster" in text
    block = world.last_report.get_payload(1)
    assert isinstance(block, Message)
    fields = block.get_payload(1)
    assert isinstance(fields, Message)
    assert (fields["Status"], fields["Action"]) == ("5.1.1", "failed")
    assert "Remote-MTA" not in fields and world.kept.rows["bob@y.example"].turned_away == 1


def test_many_refusals_within_hours_do_not_suppress() -> None:
    world = Suppressing()
    assert all(world.send(after_s=3600) for _ in range(20))


def test_a_delivery_forgets_what_was_counted() -> None:
    world = Suppressing()
    world.send(after_s=DAY_S)
    world.send(after_s=DAY_S)
    world.delivery.answers.clear()
    world.send()
    assert world.kept.rows == {}
    world.delivery.answers["bob@y.example"] = FAILED
    assert world.send() and world.send(after_s=DAY_S)


@pytest.mark.parametrize(
    ("status", "remote", "counts"),
    [
        ("5.1.1", "mx", True),
        ("5.1.10", "mx", True),
        ("5.2.1", "mx", True),
        ("5.1.2", "", False),  # said by DNS
        ("5.7.1", "mx", False),  # policy
        ("5.2.2", "mx", False),  # a full mailbox is there
        ("5.1.8", "mx", False),  # about the sender
        ("5.3.4", "mx", False),  # about the message
        ("5.0.0", "mx", False),  # nobody knows about what
    ],
)
def test_only_what_a_server_says_of_the_mailbox_counts(
    status: str, remote: str, counts: bool
) -> None:
    world = Suppressing()
    world.queue.add("bob@y.example", due_at=2**40)
    (row,) = world.queue.rows.values()
    item = replace(row.item, recipients=(row.recipient,))
    outcome = Outcome(0, FAILED, status, "no", remote)
    world.suppressions.learn(item, [outcome])
    assert (world.suppressions.find(BOB) is not None) is counts


def test_servers_that_routing_names_suppress_nobody() -> None:
    world = Suppressing()
    world.delivery.default = FAILED
    for number in range(5):
        world.time.offset_s += DAY_S
        world.add("ann@plant.example", queue_id=f"R{number}", next_hop="smtp://old:25")
    assert len(world.tried) == 5 and world.kept.rows == {}


def test_after_its_time_one_message_is_tried_and_one_refusal_is_enough() -> None:
    world = Suppressing()
    world.suppress()
    assert not world.send(after_s=2 * DAY_S - 60)
    assert world.send(after_s=61)
    assert not world.send()
    world.delivery.answers.clear()
    assert world.send(after_s=2 * DAY_S)
    assert world.send() and world.kept.rows == {}


def test_spellings_are_one_address_and_others_get_theirs() -> None:
    world = Suppressing()
    world.suppress()
    assert not world.send("BOB@y.example")
    assert world.send("ann@y.example", "bob@y.example")
    assert world.tried[-1] == ("ann@y.example",) and world.queue.rows == {}


def test_it_outlives_a_restart_and_a_store_in_trouble_stops_nothing() -> None:
    world = Suppressing()
    world.send(after_s=DAY_S)
    world.kept.problem = StoreUnavailable()
    world.send(after_s=DAY_S)
    world.kept.problem = None
    world.send()
    assert world.kept.rows["bob@y.example"].failures == 3
    world.restart()
    assert not world.send()


def test_D7_a_clock_that_was_set_back_makes_nothing_last_longer() -> None:
    world = Suppressing()
    world.suppress()
    world.time.offset_s -= 10 * DAY_S
    world.restart()
    assert not world.send()
    assert world.send(after_s=2 * DAY_S + 1)


def test_nothing_is_counted_where_the_settings_say_never() -> None:
    world = Suppressing(SuppressionRules(after=0))
    assert all(world.send(after_s=DAY_S) for _ in range(20)) and world.kept.rows == {}


def test_by_hand_it_is_for_good_and_off_again_done() -> None:
    world = Suppressing()
    row = done(world.suppressions.add(BOB, "asked us to stop", "uid 0 (root)"))
    assert row is not None and world.kept.rows["bob@y.example"] == row
    assert not world.send(after_s=1000 * DAY_S)
    text = text_of(world.last_report)
    assert "the administrator stopped mail for it on 12 Jan 1970: asked us to stop" in text
    assert done(world.suppressions.remove(BOB)) is not None
    assert world.kept.rows == {} and world.send()
    assert done(world.suppressions.remove(Address("x", "y.example"))) is None


def test_memory_is_bounded_and_what_is_suppressed_goes_last() -> None:
    world = Suppressing(max_rows=10)
    world.suppress()
    world.delivery.default = FAILED
    for number in range(30):
        world.send(f"p{number}@y.example", after_s=1)
    assert len(world.kept.rows) <= 10 and not world.send()
    for number in range(9):
        done(world.suppressions.add(Address(f"q{number}", "y.example"), "", "root"))
    assert done(world.suppressions.add(Address("r", "y.example"), "", "root")) is None


def test_what_was_heard_of_long_ago_is_forgotten_at_the_start() -> None:
    world = Suppressing()
    world.send()
    world.kept.rows["hand@y.example"] = Suppression(
        "hand@y.example", suppressed_at=1, made_by="root"
    )
    world.time.offset_s += 91 * DAY_S
    world.restart()
    assert list(world.kept.rows) == ["hand@y.example"]
