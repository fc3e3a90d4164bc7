"""Where addresses lead, by domain and directory."""

from __future__ import annotations

import pytest

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, RelayDenied, UnknownRecipient
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, Route
from gateway.routing.domains import Domain, DomainRouter
from tests.support.people import People
from tests.support.pump import Pump

MAIN = Domain("example.com")
DOMAINS = {
    "example.com": MAIN,
    "example.org": MAIN,
    "plant.example.com": Domain("plant.example.com", "smtp://old:25"),
}


def route(
    people: People, recipient: str, *, may_relay: bool = False, postmaster: str = ""
) -> Route:
    local, _, domain = recipient.rpartition("@") if "@" in recipient else (recipient, "", "")
    router = DomainRouter(DOMAINS, people, postmaster=postmaster)
    return Pump().wait(router.route(Address(local, domain), may_relay=may_relay))


def mailbox_of(found: Route) -> str:
    assert isinstance(found, LocalMailbox)
    return found.account.account_id


@pytest.mark.parametrize(
    "recipient",
    ["bob@example.com", "BOB@example.com", "Bob@EXAMPLE.com", "bob@example.org", "bob@EXAMPLE.ORG"],
)
def test_people_are_found_whatever_the_case_and_under_aliases(recipient: str) -> None:
    assert mailbox_of(route(People("bob@example.com"), recipient)) == "bob@example.com"


def test_an_address_spelled_with_the_alias_in_the_directory_wins() -> None:
    people = People("info@example.com", "info@example.org")
    assert mailbox_of(route(people, "info@example.org")) == "info@example.org"
    assert mailbox_of(route(people, "info@example.com")) == "info@example.com"


@pytest.mark.parametrize("may_relay", [False, True])
@pytest.mark.parametrize("domain", ["example.com", "example.org", "plant.example.com"])
def test_S36_unknown_people_of_ours_are_refused_for_everybody(domain: str, may_relay: bool) -> None:
    with pytest.raises(UnknownRecipient):
        route(People("bob@example.com"), f"nobody@{domain}", may_relay=may_relay)


def test_known_people_of_a_relayed_domain_go_to_its_server() -> None:
    found = route(People("bob@plant.example.com"), "bob@plant.example.com")
    assert found == Outbound("smtp://old:25")


@pytest.mark.parametrize(
    "recipient", ["bob@elsewhere.example", "bob@sub.example.com", "bob@[192.0.2.1]"]
)
def test_foreign_domains_need_a_login(recipient: str) -> None:
    with pytest.raises(RelayDenied):
        route(People(), recipient)
    assert route(People(), recipient, may_relay=True) == Outbound("")


def test_S36_directory_trouble_is_never_an_unknown_person() -> None:
    people = People()
    people.broken = True
    with pytest.raises(DirectoryUnavailable):
        route(people, "bob@example.com")


def test_disabled_people_still_get_mail() -> None:
    people = People("bob@example.com", enabled=False)
    assert mailbox_of(route(people, "bob@example.com")) == "bob@example.com"


@pytest.mark.parametrize("recipient", ["postmaster", "Postmaster"])
def test_the_bare_postmaster_is_the_first_domains(recipient: str) -> None:
    people = People("postmaster@example.com")
    assert mailbox_of(route(people, recipient)) == "postmaster@example.com"


@pytest.mark.parametrize("recipient", ["postmaster", "PostMaster@example.org"])
def test_somebody_stands_in_for_a_postmaster_that_nobody_is(recipient: str) -> None:
    people = People("bob@example.com")
    with pytest.raises(UnknownRecipient):
        route(people, recipient)
    assert mailbox_of(route(people, recipient, postmaster="bob@example.com")) == "bob@example.com"
    provider = Address("admin", "provider.example")
    found = route(people, recipient, postmaster=str(provider))
    assert found == Expansion("postmaster", (Member(provider, Outbound()),))


def test_a_stand_in_that_is_nobody_either_is_refused() -> None:
    with pytest.raises(UnknownRecipient):
        route(People(), "postmaster@example.com", postmaster="gone@example.com")


def test_without_domains_everything_is_foreign() -> None:
    router = DomainRouter({}, People())
    for address in (Address("postmaster", ""), Address("a", "b.example")):
        with pytest.raises(RelayDenied):
            Pump().wait(router.route(address, may_relay=False))
