"""People whose mail goes elsewhere, by what the directory says of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, NobodyThere, RelayDenied
from gateway.core.route import Expansion, LocalMailbox, Outbound, Route
from gateway.routing.domains import Domain, DomainRouter
from tests.support.people import People, person
from tests.support.pump import Pump

OLD = Elsewhere("old.example.com", "smtp://old.example.com:25")
OURS = "mail.example.com"
DOMAINS = {
    "example.com": Domain("example.com"),
    "plant.example.com": Domain("plant.example.com", "smtp://plant:25"),
}


def goes(elsewhere: Elsewhere, *addresses: str) -> Account:
    return replace(person(*addresses), elsewhere=elsewhere)


def to(address: str, host: str = "") -> Elsewhere:
    local, _, domain = address.rpartition("@")
    return Elsewhere(host, f"smtp://{host}:25" if host else "", Address(local, domain))


def route(*people: Account, recipient: str = "bob@example.com", may_relay: bool = False) -> Route:
    directory = People()
    for each in people:
        directory.add(each)
    router = DomainRouter(DOMAINS, directory, own_hosts=[OURS])
    local, _, domain = recipient.rpartition("@")
    return Pump().wait(router.route(Address(local, domain), may_relay=may_relay))


def ends(found: Route) -> list[tuple[str, str]]:
    assert isinstance(found, Expansion)
    return [
        (str(each.address), each.route.next_hop if isinstance(each.route, Outbound) else "here")
        for each in found.members
    ]


def test_a_server_alone_takes_the_address_that_was_asked_for() -> None:
    bob = goes(OLD, "bob@example.com")
    assert route(bob) == Outbound("smtp://old.example.com:25", owner=bob)
    assert route(bob, recipient="bob+tag@example.com") == route(bob)


def test_our_own_name_means_a_mailbox_here_also_in_a_relayed_domain() -> None:
    moved = goes(Elsewhere(OURS, f"smtp://{OURS}:25"), "bob@plant.example.com")
    assert route(moved, recipient="bob@plant.example.com") == LocalMailbox(moved)
    still_there = person("eve@plant.example.com")
    assert route(still_there, recipient="eve@plant.example.com") == Outbound("smtp://plant:25")


def test_an_address_alone_is_routed_like_any_other() -> None:
    carol = person("carol@example.com")
    assert ends(route(goes(to("x@y.example"), "bob@example.com"))) == [("x@y.example", "")]
    found = route(goes(to("carol@example.com"), "bob@example.com"), carol)
    assert ends(found) == [("carol@example.com", "here")]
    plant = person("eve@plant.example.com")
    found = route(goes(to("eve@plant.example.com"), "bob@example.com"), plant)
    assert ends(found) == [("eve@plant.example.com", "smtp://plant:25")]


def test_with_both_that_server_takes_it_under_that_address() -> None:
    bob = goes(to("b.obb@old.example.com", "old.example.com"), "bob@example.com")
    assert ends(route(bob)) == [("b.obb@old.example.com", "smtp://old.example.com:25")]
    assert isinstance(found := route(bob), Expansion)
    assert found.owners is not None
    # In a group as well.
    directory = People()
    directory.add(bob)
    directory.add_group("all@example.com", "bob@example.com")
    router = DomainRouter(DOMAINS, directory, own_hosts=[OURS])
    found = Pump().wait(router.route(Address("all", "example.com"), may_relay=False))
    assert ends(found) == [("b.obb@old.example.com", "smtp://old.example.com:25")]


def test_ones_own_address_means_ones_own_mailbox() -> None:
    bob = goes(to("robert@example.com"), "bob@example.com", "robert@example.com")
    assert route(bob) == LocalMailbox(bob)
    assert route(bob, recipient="robert@example.com") == LocalMailbox(bob)
    here = goes(to("bob@example.com", OURS), "bob@example.com")
    assert route(here) == LocalMailbox(here)


def test_S34_addresses_that_lead_to_each_other_end() -> None:
    bob, eve = goes(to("eve@example.com"), "bob@example.com"), person("eve@example.com")
    eve = replace(eve, elsewhere=to("bob@example.com"))
    with pytest.raises(NobodyThere):
        route(bob, eve)


def test_L25_what_cannot_be_used_lets_the_mail_wait() -> None:
    with pytest.raises(DirectoryUnavailable):
        route(goes(Elsewhere(trouble="two hosts"), "bob@example.com"))


def test_S36_no_stranger_names_a_way_on_behind_that_server() -> None:
    bob = goes(OLD, "bob@example.com")
    with pytest.raises(RelayDenied):
        route(bob, recipient="bob+x%y.example@example.com")
    assert route(bob, recipient="bob+x%y.example@example.com", may_relay=True)


def copies(*addresses: str, keeps: bool = True) -> Elsewhere:
    parts = [address.rpartition("@") for address in addresses]
    targets = tuple(Address(local, domain) for local, _, domain in parts)
    return Elsewhere(forwards=targets, keeps_copy=keeps)


def test_copies_go_to_whom_the_entry_names_and_the_mail_comes_here_too() -> None:
    carol = person("carol@example.com")
    bob = goes(copies("x@y.example", "carol@example.com"), "bob@example.com", "b@example.com")
    both = [("x@y.example", ""), ("carol@example.com", "here")]
    assert ends(route(bob, carol)) == [*both, ("bob@example.com", "here")]
    # The own copy comes to the address that was asked for, also where the first one is elsewhere.
    assert ends(route(bob, carol, recipient="b@example.com")) == [*both, ("b@example.com", "here")]
    found = route(bob, carol)
    assert isinstance(found, Expansion) and found.owners is not None


def test_who_keeps_no_copy_gets_nothing_here() -> None:
    bob = goes(copies("x@y.example", keeps=False), "bob@example.com")
    assert ends(route(bob)) == [("x@y.example", "")]


def test_a_copy_in_a_mailbox_elsewhere_goes_there() -> None:
    away = replace(copies("x@y.example"), host=OLD.host, next_hop=OLD.next_hop)
    found = route(goes(away, "bob@example.com"))
    assert ends(found) == [("x@y.example", ""), ("bob@example.com", OLD.next_hop)]


def test_S34_forwarding_in_circles_ends() -> None:
    to_self = goes(copies("bob@example.com", keeps=False), "bob@example.com")
    assert route(to_self) == LocalMailbox(to_self)
    bob = goes(copies("eve@example.com"), "bob@example.com")
    eve = goes(copies("bob@example.com"), "eve@example.com")
    assert sorted(ends(route(bob, eve))) == [
        ("bob@example.com", "here"),
        ("eve@example.com", "here"),
    ]
    with pytest.raises(NobodyThere):
        route(
            goes(copies("eve@example.com", keeps=False), "bob@example.com"),
            goes(copies("bob@example.com", keeps=False), "eve@example.com"),
        )
