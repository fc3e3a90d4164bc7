"""Which destination a recipient belongs to, by the settings."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.messages import LOCAL
from gateway.core.settings.outbound import OutboundSettings
from gateway.delivery.by_domain import ByDomain
from gateway.delivery.destinations import Destinations

SETTINGS: dict[str, Any] = {
    "smart_host": ["smtps://user@relay.example:465", "smtp://backup.example"],
    "destinations": {
        "partner.example": {"next_hop": "smtp://a.partner.example", "tls": "required"},
        "*.partner.example": {"next_hop": ["lmtp://store.example:24", "smtp://b?tls=none"]},
        "direct.example": {"next_hop": "mx"},
        "strict.example": {"tls": "verified"},
        "*.deep.partner.example": {"next_hop": "mx"},
    },
    "senders": {
        "Sales@x.example": {"smart_host": "smtp://sales.example"},
        "@x.example": {"smart_host": "smtp://127.0.0.1:2525"},
    },
    "smart_host_password": "secret",
}
RELAY = "smtps://user@relay.example:465 smtp://backup.example:25?tls=verified"
SENDER = Address("a", "y.example")


def destinations(**settings: Any) -> Destinations:
    return Destinations(OutboundSettings.model_validate(settings))


def of(recipient: str, sender: Address | None = SENDER, next_hop: str = "", **over: Any) -> str:
    local, _, domain = recipient.rpartition("@")
    rules = destinations(**{**SETTINGS, **over})
    address = Address(local, domain)
    text = rules(sender, address, next_hop)
    assert rules.rule(sender, address, next_hop).text == text
    return text


@pytest.mark.parametrize(
    "domain, destination",
    [
        ("partner.example", "smtp://a.partner.example:25?tls=required"),
        ("x.partner.example", "lmtp://store.example:24 smtp://b:25?tls=none"),
        ("y.x.partner.example", "lmtp://store.example:24 smtp://b:25?tls=none"),
        ("z.deep.partner.example", "z.deep.partner.example"),
        ("direct.example", "direct.example"),
        ("strict.example", RELAY),
        ("other.example", RELAY),
        ("xpartner.example", RELAY),
    ],
)
def test_the_recipients_domain_comes_before_the_smart_host(domain: str, destination: str) -> None:
    assert of(f"b@{domain}") == destination


def test_a_sender_has_a_smart_host_of_their_own_but_not_around_a_destination() -> None:
    sales, other = Address("sales", "x.example"), Address("b", "x.example")
    assert of("b@z.example", sales) == "smtp://sales.example:25?tls=verified"
    assert of("b@z.example", other) == "smtp://127.0.0.1:2525"
    assert of("b@partner.example", sales) == "smtp://a.partner.example:25?tls=required"
    assert of("b@z.example", None) == RELAY


def test_what_routing_names_comes_first() -> None:
    assert of("b@partner.example", next_hop="smtp://old:25") == "smtp://old:25?tls=required"
    assert of("b@strict.example", next_hop="smtp://old:25 smtp://127.0.0.1:26?tls=none") == (
        "smtp://old:25?tls=verified smtp://127.0.0.1:26?tls=none"
    )
    assert of("b@z.example", next_hop="smtp://old:25") == "smtp://old:25"
    assert of("b@z.example", next_hop="mx") == "z.example"
    assert of("b@strict.example", next_hop=LOCAL) == LOCAL
    assert of("b@strict.example", next_hop="smtp://not a url") == "smtp://not a url"


def test_without_any_rule_it_is_the_domain() -> None:
    rules = destinations()
    assert rules(None, Address("b", "z.example"), "") == "z.example"
    assert rules(None, Address("b", "[192.0.2.1]"), "") == "[192.0.2.1]"
    assert rules(None, Address("b", LOCAL), "") != LOCAL, "a domain is no mailbox here"


def test_rules_are_told_in_words() -> None:
    rules = destinations(**SETTINGS)

    def why(recipient: str, sender: str = "a@y.example", next_hop: str = "") -> str:
        one, two = (Address(*each.split("@")) for each in (sender, recipient))
        return rules.rule(one, two, next_hop).why

    assert "destinations has x.partner.example" in why("b@x.partner.example")
    assert "senders has b@x.example" in why("b@z.example", "b@x.example")
    assert "smart_host" in why("b@z.example")
    assert "routing" in why("b@z.example", next_hop="smtp://old")
    assert "MX records of z.example" in destinations().rule(None, Address("b", "z.example"), "").why


def test_the_fingerprint_tells_what_matters() -> None:
    one = destinations(**SETTINGS).fingerprint
    assert destinations(**SETTINGS, connections=7).fingerprint == one
    assert destinations(**{**SETTINGS, "smart_host": "smtps://relay.example"}).fingerprint != one
    assert destinations(**{**SETTINGS, "senders": {}}).fingerprint != one


def test_tables_by_domain_take_the_nearest_name() -> None:
    table = ByDomain({"a.example": 1, "*.a.example": 2, "*.b.a.example": 3})
    assert [table.get(name) for name in ("a.example", "x.a.example", "y.b.a.example")] == [1, 2, 3]
    assert table.get("b.a.example") == 2
    assert table.get("example") is None
    assert not ByDomain({})
