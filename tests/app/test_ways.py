"""The ways out as the settings have them, and how they are told to an administrator."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock

from gateway.app.rehearsals import RealWays
from gateway.app.ways import OwnDoors, Ways, make_ways
from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS
from gateway.core.errors import SettingsError
from gateway.core.messages import QueuedRecipient
from gateway.core.settings.listen import ListenSettings
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings
from gateway.delivery.destinations import Destinations
from gateway.delivery.dns.services import make_resolver
from gateway.delivery.mx import MxLookup
from gateway.delivery.reachability import Reachability
from gateway.delivery.routes import MailRoutes
from gateway.delivery.targets import Protection
from tests.delivery.test_routes import FakePolicies
from tests.support.dns_fakes import FakeNames
from tests.support.pump import Pump
from tests.support.remote_world import item_of, recipients_of

BASE = """\
hostname = "mail.example.com"
[domains."example.com"]
[directory]
kind = "ldif"
path = "/x"
[tls]
self_signed = true
"""
SENDER = Address("a", "example.com")


def settings(outbound: str = "", **secrets: str) -> Settings:
    text = f"{BASE}\n{outbound}"
    return load(text, source="t", environ={}, read_secret=lambda path: secrets[path[1:]]).settings


def targets(text: str, destination: str, **secrets: str) -> list[Any]:
    reactor: Any = Clock()
    wanted = settings(text, **secrets)
    ways = make_ways(wanted, reactor, make_resolver(wanted.outbound, reactor), FakePolicies())
    item = replace(item_of(recipients_of("b@y.example")), destination=destination)
    return list(Pump().wait(ways.routes.targets(item)))


CHAIN = "smtps://me@198.51.100.1:465 smtps://me@198.51.100.2:465"


def test_the_password_of_smart_host_is_told_to_the_first_server_alone() -> None:
    text = """\
[outbound]
smart_host = ["smtps://me@198.51.100.1", "smtps://me@198.51.100.2"]
smart_host_password_file = "/one"
[outbound.logins."me@198.51.100.2:465"]
password_file = "/two"
"""
    first, second = targets(text, CHAIN, one="secret1\n", two="secret2\n")
    assert [first.login.password, second.login.password] == [b"secret1", b"secret2"]
    assert first.demand.protection is Protection.VERIFIED
    with pytest.raises(SettingsError) as wrong:
        settings(text.partition("[outbound.logins")[0], one="secret1")
    assert 'outbound.logins."me@198.51.100.2".password_file: found nothing' in str(wrong.value)


@pytest.mark.parametrize(
    "text, expected",
    [
        ('[outbound]\nsmart_host = "mx"', "outbound.smart_host"),
        ('[outbound]\nsmart_host = "lmtp://x"', "outbound.smart_host"),
        ('[outbound]\nsmart_host = "lmtp+unix:///run/lmtp"', "outbound.smart_host"),
        (
            f'[domains."z.example"]\nrelay = "lmtp+unix:///{"x" * 107}"',
            "the path of its socket has 108 octets, and the system takes 107",
        ),
        ('[outbound]\nsmart_host = "smtp://x?tls=perhaps"', "tls=none|opportunistic"),
        ('[outbound.destinations."x.example"]\nnext_hop = ["mx", "smtp://y"]', "only alone"),
        ('[outbound.senders."@x.example"]\nsmart_host = "smtps://me@y"', '"me@y".password_file'),
        ('[outbound.logins."nobody"]\npassword = "x"', "outbound.logins"),
        (
            '[outbound]\nresolvers = ["192.0.2.1:53"]\ntrusted_resolvers = ["127.0.0.1:53"]',
            "either these are asked or those",
        ),
        (
            '[outbound]\nsmart_host = "smtp://x"\nsmart_host_password = "y"',
            "no server in outbound.smart_host names its user",
        ),
        (
            '[outbound.destinations."x.example"]\n[outbound.destinations."X.example"]',
            "found it in other letters too; expected it once",
        ),
        ('[outbound]\nsmart_host = "smtp://relay..example"', "neither a name"),
        ('[domains."z.example"]\nrelay = "smtp://me@y"', "without user"),
    ],
)
def test_mistakes_are_told_with_their_key(text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        settings(text)
    assert expected in str(wrong.value)


def test_forms_that_are_taken() -> None:
    taken = settings(
        """\
[outbound]
smart_host = "smtp://relay.example?tls=opportunistic"
[outbound.destinations."*.x.example"]
next_hop = "lmtp://store.example"
[outbound.destinations."y.example"]
next_hop = "mx"
[domains."backup.example"]
relay = "mx"
relay_recipients = "any"
[domains."old.example"]
relay = ["smtp://a", "lmtp://b"]
[domains."store.example"]
relay = "lmtp+unix:///run/dovecot/lmtp"
"""
    )
    assert taken.domains["backup.example"].relay == ("mx",)
    assert taken.domains["old.example"].relay == ("smtp://a", "lmtp://b")
    assert taken.domains["store.example"].relay == ("lmtp+unix:///run/dovecot/lmtp",)
    assert taken.outbound.smart_host == ("smtp://relay.example?tls=opportunistic",)


def told(recipient: str, next_hop: str = "", outbound: str = "") -> dict[str, Any]:
    clock = Clock()
    names = FakeNames(
        mx={
            "y.example": [(10, "a.example"), (20, "mail.example.com")],
            "gone.example": [(0, "")],
        },
        a={"a.example": ["192.0.2.1"], "mail.example.com": ["192.0.2.9"]},
    )
    mx = MxLookup(names, Random(1), own_names=["mail.example.com"])
    reachability = Reachability(clock)
    routes = MailRoutes(
        mx, FakePolicies(), timers=clock, random=Random(1), reachability=reachability
    )
    dns: Any = names
    ways = Ways(dns, Destinations(settings(outbound).outbound), routes, reachability)
    queued = QueuedRecipient(Address(*recipient.split("@")), next_hop)
    return dict(Pump().wait(RealWays(ways)(SENDER, queued, NO_OPTIONS)))


def test_explain_shows_the_rule_the_hosts_and_who_is_left_out() -> None:
    found = told("b@y.example")
    assert found["next_hop"] == "y.example"
    assert "MX records" in found["rule"]
    (host,) = found["hosts"]
    assert (host["host"], host["addresses"], host["tls"]) == (
        "a.example",
        ["192.0.2.1"],
        "opportunistic",
    )
    assert found["left_out"] == ["mail.example.com"]
    assert found["problem"] == ""
    by_rule = told("b@y.example", outbound='[outbound]\nsmart_host = "smtp://192.0.2.7"')
    assert by_rule["next_hop"] == "smtp://192.0.2.7:25?tls=verified"
    assert by_rule["hosts"][0]["tls"] == "verified"
    assert "5.1.10" in told("b@gone.example")["problem"]


def test_S34_our_own_doors_are_known_whatever_address_they_are_named_by() -> None:
    doors = OwnDoors(
        [
            ListenSettings(protocol="smtp", address="0.0.0.0:25"),
            ListenSettings(protocol="submission", address="198.51.100.1:587"),
            ListenSettings(protocol="imap", address="127.0.0.1:143"),
        ]
    )
    assert doors("127.0.0.1", 25) and doors("127.0.0.9", 25) and doors("::ffff:127.0.0.1", 25)
    assert doors("198.51.100.1", 587)
    for other in (("198.51.100.1", 25), ("127.0.0.1", 587), ("127.0.0.1", 143), ("127.0.0.1", 26)):
        assert not doors(*other)
