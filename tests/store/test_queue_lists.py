"""Suppressed addresses and hold rules as the store keeps them, over restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.core.hold_rules import HoldRule
from gateway.core.ids import QueueId
from gateway.core.suppression import Suppression
from tests.store.house import CAROL, NOW, House

BOB = Suppression("bob@y.example", 3, 1, 2, 3, "5.1.1", "550 no", "mx", "", "why", 4)
RULE = HoldRule(0, "a@x.example", "@y.example", "example.org", 7, "look", "root", NOW)


def test_addresses_are_kept_changed_and_removed(tmp_path: Path) -> None:
    many = [replace(BOB, address=f"p{number:04}@y.example") for number in range(1200)]
    with House(tmp_path) as house:
        house.wait(house.store.suppressions.keep([BOB, *many], ["nobody@y.example"]))
        changed = replace(BOB, failures=9)
        house.wait(house.store.suppressions.keep([changed], [many[0].address]))
    with House(tmp_path) as house:
        assert house.wait(house.store.suppressions.all()) == [changed, *many[1:]]


def test_rules_get_numbers_that_are_never_given_again(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        rules = house.store.hold_rules
        assert house.wait(rules.add(RULE)) == replace(RULE, rule_id=1)
        house.wait(rules.add(RULE))
        assert house.wait(rules.remove(2)) and not house.wait(rules.remove(2))
    with House(tmp_path) as house:
        assert house.wait(house.store.hold_rules.add(RULE)).rule_id == 3
        kept = house.wait(house.store.hold_rules.all())
        assert kept == [replace(RULE, rule_id=1), replace(RULE, rule_id=3)]


def test_what_is_released_passes_the_rules_that_are_there(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        store = house.store
        accepted = house.wait(store.accept(house.message("1", remote=[CAROL])))
        queue_id = QueueId(accepted.queue_id)
        house.wait(store.hold_rules.add(RULE))
        house.wait(store.queue.hold([queue_id], "rule 1: look"))
        assert house.wait(store.queue.release([queue_id])) == [queue_id]
        entry = house.wait(store.queue.entry(queue_id))
        assert entry is not None and entry.item.rules_passed == 1
