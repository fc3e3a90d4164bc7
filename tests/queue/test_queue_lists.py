"""The desk's calls about hold rules and suppressed addresses, on a real store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.messages import QueuedRecipient
from gateway.queue.desk_forms import CallRefused
from gateway.queue.hold_rules import MAX_RULES
from tests.store.house import CAROL, DAVE, NOW
from tests.support.queue_office import ROOT, Office


def apply(office: Office, rule_id: int) -> int:
    held: int = 0
    after = ""
    while True:
        answer = office.call("rule-apply", id=rule_id, after=after)
        held += answer["held"]
        after = answer["more_after"]
        if not after:
            return held


def held(office: Office) -> dict[str, str]:
    return {each["id"]: each["hold"] for each in office.call("list", held=True)["messages"]}


# -- hold rules


def test_a_rule_holds_what_waits_and_what_comes_and_a_release_passes_it(office: Office) -> None:
    office.accept("first")
    office.sending()  # it occupies the only connection to that destination
    waits = office.accept("1")
    other = office.accept("2", DAVE)
    office.sending(2)
    rule = office.call("rule-add", destination="example.org", reason="ask me first")["rule"]
    assert (rule["id"], rule["made_by"], rule["made_at"]) == (1, ROOT, NOW)
    assert apply(office, 1) == 2  # what is being sent is held when that is over
    comes = office.accept("3")
    office.delivery.pending.pop(0).callback(None)  # now it is the next one's turn
    office.house.pump.until(lambda: comes in held(office))
    assert held(office)[waits] == held(office)[comes] == "rule 1: ask me first"
    assert other not in held(office) and len(office.delivery.attempts) == 2
    assert office.call("release", ids=[comes])["done"] == [comes]
    office.sending(3)
    assert office.delivery.attempts[-1][0] == comes
    office.call("rule-add", sender="@x.example")
    assert ("hold rule made", ROOT) in office.deeds
    assert office.call("rules")["rules"][1]["sender"] == "@x.example"


def test_rules_outlive_a_restart_and_numbers_are_not_given_twice(closed: Office) -> None:
    closed.call("rule-add", sender="<>")
    closed.call("rule-add", larger_octets=1000, recipient="Bob@Y.example")
    assert closed.call("rule-remove", id=2)["rule"]["larger_octets"] == 1000
    assert closed.call("rule-add", everything=True)["rule"]["id"] == 3
    ids = [rule.rule_id for rule in closed.house.wait(closed.house.store.hold_rules.all())]
    assert ids == [1, 3] == [rule["id"] for rule in closed.call("rules")["rules"]]
    kinds = [kind for kind, by in closed.deeds if by == ROOT]
    assert kinds == ["hold rule made"] * 2 + ["hold rule removed", "hold rule made"]


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"sender": "alice@x.example"}, True),
        ({"sender": "ALICE@X.example"}, True),
        ({"sender": "@x.example"}, True),
        ({"sender": "<>"}, False),
        ({"sender": "@y.example"}, False),
        ({"recipient": "dave@example.net"}, True),
        ({"recipient": "erin@example.net"}, False),
        ({"destination": "example.net"}, True),
        ({"destination": "smtp://relay.example.net:25"}, True),
        ({"destination": "example.org"}, False),
        ({"larger_octets": 10}, True),
        ({"larger_octets": 10_000}, False),
        ({"sender": "@x.example", "destination": "example.org"}, False),
        ({"everything": True}, True),
    ],
)
def test_before_an_attempt_and_in_the_list_the_same_fits_a_rule(
    closed: Office, rule: dict[str, Any], fits: bool
) -> None:
    queue_id = closed.accept("1", DAVE)
    made = closed.call("rule-add", **rule)["rule"]
    entry = closed.house.wait(closed.house.store.queue.entry(queue_id))  # type: ignore[arg-type]
    assert entry is not None
    item = replace(entry.item, destination="smtp://relay.example.net:25")
    assert (closed.guards.rules.judge(item) is not None) is fits
    passed = replace(item, rules_passed=made["id"])
    assert closed.guards.rules.judge(passed) is None
    assert apply(closed, made["id"]) == int(fits)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("rule-add", {}, "expected one of sender"),
        ("rule-add", {"sender": "x@y.example", "everything": True}, "expected one of sender"),
        ("rule-add", {"sender": "x"}, "sender: found x; expected an address"),
        ("rule-add", {"larger_octets": "x"}, "larger_octets: found x"),
        ("rule-remove", {"id": 7}, "there is no rule 7"),
        ("rule-apply", {}, "there is no rule 0"),
        ("suppress", {}, "expected a list of addresses"),
        ("suppress", {"addresses": ["x"]}, "addresses: found x; expected an address"),
        ("unsuppress", {"addresses": []}, "found 0; expected 1 to 500"),
        ("suppressed", {"limit": 0}, "limit: found 0"),
    ],
)
def test_what_a_call_may_not_be(closed: Office, name: str, arguments: Any, words: str) -> None:
    with pytest.raises(CallRefused, match=words):
        closed.call(name, **arguments)


def test_rules_are_bounded(closed: Office) -> None:
    for _ in range(MAX_RULES):
        closed.call("rule-add", sender="<>")
    with pytest.raises(CallRefused, match="there are 100 rules already"):
        closed.call("rule-add", sender="<>")


# -- suppressed addresses


def test_addresses_are_suppressed_and_lifted_by_hand(office: Office) -> None:
    added = office.call("suppress", addresses=["<Carol@example.org>"], reason="left")
    assert added == {"done": ["carol@example.org"], "refused": []}
    (row,) = office.call("suppressed")["addresses"]
    assert (row["address"], row["made_by"], row["reason"]) == ("carol@example.org", ROOT, "left")
    assert row["suppressed"] and row["ends_at"] is None
    office.accept("1", CAROL)
    office.house.pump.until(lambda: office.house.wait(office.house.store.depth()).messages == 0)
    assert office.delivery.attempts == []
    assert office.call("suppressed")["addresses"][0]["turned_away"] == 1
    office.call("unsuppress", addresses=["carol@example.org"])
    office.accept("2", CAROL)
    office.sending()
    again = office.call("unsuppress", addresses=["carol@example.org"])
    assert again["refused"] == [{"address": "carol@example.org", "why": "it is not suppressed"}]
    assert ("suppressed", ROOT) in office.deeds and ("suppression ended", ROOT) in office.deeds


def test_a_list_has_pages_and_says_what_is_only_counted(closed: Office) -> None:
    closed.call("suppress", addresses=[f"p{number}@y.example" for number in range(5)])
    first = closed.call("suppressed", limit=2)
    assert [each["address"] for each in first["addresses"]] == ["p0@y.example", "p1@y.example"]
    rest = closed.call("suppressed", after=first["more_after"])
    assert len(rest["addresses"]) == 3 and rest["more_after"] == ""
    assert len(closed.call("suppressed", which="P3@")["addresses"]) == 1
    counted = QueuedRecipient(Address("q", "y.example"))
    assert closed.guards.suppressions.find(counted.address) is None
    kept = closed.house.wait(closed.house.store.suppressions.all())
    assert [each.address for each in kept] == [f"p{number}@y.example" for number in range(5)]
