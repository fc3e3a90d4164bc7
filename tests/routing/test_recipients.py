"""Tags, aliases, groups, catch-alls, backup domains and literals: what else is ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.errors import (
    DirectoryUnavailable,
    NobodyThere,
    RelayDenied,
    UnknownRecipient,
)
from gateway.core.route import Expansion, LocalMailbox, Outbound, Route, groups_at
from gateway.routing.alias_file import FixedAliases
from gateway.routing.aliases import Aliases, from_settings
from gateway.routing.domains import Domain, DomainRouter
from gateway.wire.address import parse_mailbox, parse_path
from tests.support.people import People, person
from tests.support.pump import Pump

MAIN = Domain("example.com")
PLANT = Domain("plant.example.com", "smtp://old:25")
BACKUP = Domain("backup.example.com", "smtp://primary:25", any_recipient=True)
NAMES = ("example.com", "example.org", "plant.example.com", "backup.example.com")


class World:
    """A router over four domains, with what a test wants of it."""

    def __init__(self, people: People, *, main: Domain = MAIN, **options: Any) -> None:
        aliases = from_settings(options.pop("aliases", {}), NAMES)
        domains = dict(zip(NAMES, (main, main, PLANT, BACKUP), strict=True))
        self.people = people
        self.router = DomainRouter(
            domains, people, aliases=FixedAliases(Aliases(aliases)), **options
        )
        self.steps: list[str] = []

    def add(self, text: str) -> None:
        self.steps.append(text)

    def route(self, recipient: str, *, may_relay: bool = False) -> Route:
        address = parse_mailbox(recipient)
        return Pump().wait(self.router.route(address, may_relay=may_relay, steps=self))

    def person(self, recipient: str) -> str:
        """Whose mailbox it is."""
        found = self.route(recipient)
        assert isinstance(found, LocalMailbox)
        return found.account.account_id

    def everybody(self, recipient: str) -> list[str]:
        """People by their first address, others as they are written, with an arrow."""
        found = self.route(recipient)
        assert isinstance(found, Expansion)
        return [
            each.route.account.account_id
            if isinstance(each.route, LocalMailbox)
            else f"-> {each.address}"
            for each in found.members
        ]

    def unknown(self, recipient: str) -> None:
        with pytest.raises(UnknownRecipient):
            self.route(recipient)


# -- tags


def test_a_tag_does_not_choose_the_person() -> None:
    world = World(People("bob@example.com"))
    for recipient in ("bob+x@example.com", "BOB+@example.org", "bob+a+b@example.com"):
        assert world.person(recipient) == "bob@example.com"
    world.unknown("+x@example.com")
    world.unknown("bo+b@example.com")


def test_an_address_with_a_plus_in_the_directory_wins() -> None:
    world = World(People("bob@example.com", "bob+list@example.com"))
    assert world.person("bob+list@example.com") == "bob+list@example.com"
    assert world.person("bob+other@example.com") == "bob@example.com"


def test_the_delimiter_is_the_domains_own() -> None:
    world = World(People("bob@example.com"), main=replace(MAIN, delimiter="-"))
    assert world.person("bob-x@example.com") == "bob@example.com"
    world.unknown("bob+x@example.com")
    without = World(People("bob@example.com"), main=replace(MAIN, delimiter=""))
    without.unknown("bob+x@example.com")


# -- aliases


def test_an_alias_is_another_name_of_one_person() -> None:
    world = World(People("bob@example.com"), aliases={"info@example.com": ["bob@example.com"]})
    for recipient in ("info@example.com", "INFO@EXAMPLE.ORG", "info+tag@example.com"):
        assert world.person(recipient) == "bob@example.com"


def test_an_alias_leads_to_several_also_outside() -> None:
    aliases = {"sales@example.com": ["alice@example.com", "bob@example.com", "Ann@else.example"]}
    world = World(People("alice@example.com", "bob@example.com"), aliases=aliases)
    assert world.everybody("sales@example.com") == [
        "alice@example.com",
        "bob@example.com",
        "-> Ann@else.example",
    ]


def test_a_name_alone_counts_in_every_domain_with_mailboxes() -> None:
    world = World(People("bob@example.com"), aliases={"abuse": ["bob"]})
    assert world.person("abuse@example.com") == "bob@example.com"
    assert world.person("Abuse@example.org") == "bob@example.com"
    world.unknown("abuse@plant.example.com")


def test_an_alias_wins_over_a_person_but_not_over_a_nearer_name() -> None:
    people = People("sales@example.com", "bob@example.com", "sales+uk@example.com")
    people.add(person("sales@example.org"))
    world = World(people, aliases={"sales@example.com": ["bob@example.com"]})
    assert world.person("sales@example.com") == "bob@example.com"
    assert world.person("sales+x@example.com") == "bob@example.com"
    assert world.person("sales+uk@example.com") == "sales+uk@example.com"
    assert world.person("sales@example.org") == "sales@example.org"


def test_S34_an_alias_that_is_its_own_target_means_the_mailbox_too() -> None:
    aliases = {
        "bob@example.com": ["bob@example.com", "copy@else.example"],
        "a@example.com": ["b@example.com"],
        "b@example.com": ["a@example.com", "bob@example.org"],
        "x@example.com": ["y@example.com"],
        "y@example.com": ["x@example.com"],
        "me@example.com": ["me@example.com"],
    }
    world = World(People("bob@example.com"), aliases=aliases)
    assert world.everybody("bob@example.com") == ["bob@example.com", "-> copy@else.example"]
    assert world.everybody("a@example.com") == ["bob@example.com", "-> copy@else.example"]
    for recipient in ("x@example.com", "me@example.com"):
        with pytest.raises(NobodyThere):
            world.route(recipient)


def test_dead_targets_are_left_out_and_told() -> None:
    aliases = {"team@example.com": ["gone@example.com", "bob@example.com", "ann@else.example"]}
    world = World(People("bob@example.com"), aliases=aliases)
    found = world.route("team@example.com")
    assert isinstance(found, Expansion)
    assert len(found.members) == 2
    assert found.dead == ("gone@example.com: nobody has this address",)
    assert any("1 dead" in step for step in world.steps)


def test_S36_trouble_with_one_target_is_trouble() -> None:
    people = People("bob@example.com")
    people.broken = True
    world = World(people, aliases={"team@example.com": ["bob@example.com", "ann@else.example"]})
    with pytest.raises(DirectoryUnavailable):
        world.route("team@example.com")


def test_an_alias_works_where_the_people_are_elsewhere() -> None:
    aliases = {
        "desk@plant.example.com": ["bob@example.com"],
        "desk@backup.example.com": ["bob@example.com"],
    }
    world = World(People("bob@example.com"), aliases=aliases)
    assert world.person("desk@plant.example.com") == "bob@example.com"
    assert world.person("desk@backup.example.com") == "bob@example.com"


# -- groups


def test_a_group_is_everybody_in_it_once() -> None:
    people = People("alice@example.com", "x@plant.example.com")
    people.add(person("bob@example.com", "b@example.com"))
    people.add_group("inner@example.com", "alice@example.com", "in@else.example")
    people.add_group(
        "all@example.com",
        "bob@example.com",
        "b@example.com",
        "inner@example.com",
        "all@example.com",
        "in@else.example",
        "x@plant.example.com",
        "info@example.com",
        dead=["uid=gone: there is no such entry"],
    )
    world = World(people, aliases={"info@example.com": ["alice@example.com", "i@else.example"]})
    assert sorted(world.everybody("all@example.com")) == [
        "-> i@else.example",
        "-> in@else.example",
        "-> x@plant.example.com",
        "alice@example.com",
        "bob@example.com",
    ]
    found = world.route("all+news@example.org")
    assert isinstance(found, Expansion)
    assert found.dead == ("uid=gone: there is no such entry",)
    relayed = [each.route for each in found.members if each.address.domain == "plant.example.com"]
    assert relayed == [Outbound("smtp://old:25")]


def test_a_group_of_one_stays_a_group() -> None:
    people = People("bob@example.com")
    people.add_group("all@example.com", "bob@example.com")
    assert World(people).everybody("all@example.com") == ["bob@example.com"]


@pytest.mark.parametrize("members", [(), ("gone@example.com",), ("all@example.com",)])
def test_a_group_without_anybody_is_refused(members: tuple[str, ...]) -> None:
    people = People("bob@example.com")
    people.add_group("all@example.com", *members)
    with pytest.raises(NobodyThere):
        World(people).route("all@example.com")


def test_a_member_whose_first_address_is_elsewhere_still_has_a_mailbox() -> None:
    people = People()
    people.add(person("ann@else.example", "ann@example.com"))
    people.add(person("joe@else.example"))
    people.add_group("all@example.com", "ann@else.example", "joe@else.example")
    world = World(people)
    assert world.everybody("all@example.com") == ["ann@else.example", "-> joe@else.example"]
    found = world.route("all@example.com")
    assert isinstance(found, Expansion)
    # By an address that leads to her mailbox again, should her copy wait in the queue.
    assert str(found.members[0].address) == "ann@example.com"


def groups_asked(world: World, address: str) -> list[str]:
    """Whose word who may write there counts."""
    found = world.route(address)
    assert isinstance(found, Expansion)
    return [group.addresses[0] for group in found.groups]


def test_a_group_keeps_its_word_behind_aliases_and_catch_alls() -> None:
    people = People("bob@example.com", "alice@example.com")
    people.add_group("inner@example.com", "bob@example.com")
    people.add_group("all@example.com", "inner@example.com", "alice@example.com")
    aliases = {
        "team@example.com": ["all@example.com"],
        "more@example.com": ["team@example.com", "inner@example.com"],
        "one@example.com": ["inner@example.com"],
    }
    main = replace(MAIN, catch_all=Address("all", "example.com"))
    world = World(people, aliases=aliases, main=main)
    # Of a group inside another one the outer one's word counts.
    assert groups_asked(world, "all@example.com") == ["all@example.com"]
    assert groups_asked(world, "team@example.com") == ["all@example.com"]
    assert sorted(groups_asked(world, "more@example.com")) == [
        "all@example.com",
        "inner@example.com",
    ]
    assert groups_asked(world, "nobody@example.com") == ["all@example.com"]
    # Also where one person is all there is behind the alias.
    assert groups_asked(world, "one@example.com") == ["inner@example.com"]


def test_disabled_members_still_get_mail() -> None:
    people = People("bob@example.com", enabled=False)
    people.add_group("all@example.com", "bob@example.com")
    assert World(people).everybody("all@example.com") == ["bob@example.com"]


def test_known_groups_of_a_relayed_domain_are_its_servers() -> None:
    people = People("bob@example.com")
    people.add_group("all@plant.example.com", "bob@example.com")
    aliases = {"plant@example.com": ["all@plant.example.com"]}
    world = World(people, aliases=aliases)
    group = people.groups["all@plant.example.com"]
    route = world.route("all@plant.example.com")
    assert route == Outbound("smtp://old:25")
    assert groups_at(route) == (group,), "who may write to it counts here"
    assert groups_at(world.route("plant@example.com")) == (group,)
    people.add_group("world@example.com", "all@plant.example.com")
    assert groups_asked(world, "world@example.com") == ["world@example.com"]


# -- catch-all, backup domains, literals, postmaster


def test_a_catch_all_gets_what_nobody_has() -> None:
    main = replace(MAIN, catch_all=Address("bob", "example.com"))
    world = World(People("bob@example.com", "alice@example.com"), main=main)
    assert world.everybody("anything@example.org") == ["bob@example.com"]
    assert world.person("alice+x@example.com") == "alice@example.com"
    world.unknown("anything@plant.example.com")
    world = World(People(), main=replace(MAIN, catch_all=Address("in", "else.example")))
    assert world.everybody("anything@example.com") == ["-> in@else.example"]
    world = World(People(), main=replace(MAIN, catch_all=Address("gone", "example.com")))
    with pytest.raises(NobodyThere):
        world.route("anything@example.com")


def test_a_percent_sign_never_leads_out_of_a_catch_all() -> None:
    main = replace(MAIN, catch_all=Address("bob", "example.com"))
    world = World(People("bob@example.com"), main=main)
    for recipient in ("t%ext.test@example.com", '"t@ext.test"@example.com', "ext!t@example.com"):
        assert world.everybody(recipient) == ["bob@example.com"]


def test_a_backup_domain_takes_whoever_and_asks_nobody() -> None:
    world = World(People())
    assert world.route("whoever+x@backup.example.com") == Outbound("smtp://primary:25")
    assert world.people.questions == []


@pytest.mark.parametrize("local_part", ["t%ext.test", "ext.test!t", '"t@ext.test"'])
def test_a_backup_domain_is_no_way_round_for_strangers(local_part: str) -> None:
    world = World(People())
    with pytest.raises(RelayDenied):
        world.route(f"{local_part}@backup.example.com")
    found = world.route(f"{local_part}@backup.example.com", may_relay=True)
    assert found == Outbound("smtp://primary:25")


@pytest.mark.parametrize("tag", ["t%ext.test", "ext.test!t", "t@ext.test"])
def test_a_tag_is_no_way_round_either_where_it_is_passed_on(tag: str) -> None:
    people = People("bob@plant.example.com", "to%us@plant.example.com", "bob@example.com")
    world = World(people)
    tagged = f'"bob+{tag}"@plant.example.com'
    with pytest.raises(RelayDenied):
        world.route(tagged)
    for recipient in ("bob+tag@plant.example.com", "to%us@plant.example.com"):
        assert world.route(recipient) == Outbound("smtp://old:25")
    assert world.route(tagged, may_relay=True) == Outbound("smtp://old:25")
    assert world.person(f'"bob+{tag}"@example.com') == "bob@example.com"


def test_literals_of_ours_mean_the_first_domain_if_they_are_taken() -> None:
    people = People("bob@example.com")
    world = World(people, literals=("192.0.2.1", "2001:db8::1"))
    for literal in ("[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:2001:DB8:0::1]"):
        assert world.person(f"bob@{literal}") == "bob@example.com"
        world.unknown(f"nobody@{literal}")
        with pytest.raises(RelayDenied):
            World(people).route(f"bob@{literal}")
    with pytest.raises(RelayDenied):
        world.route("bob@[192.0.2.2]")


def test_S29_S31_spellings_of_one_address_are_one_person() -> None:
    umlaut = Domain("xn--mnchen-3ya.example")
    people = People("jörg@xn--mnchen-3ya.example")
    router = DomainRouter({umlaut.name: umlaut}, people)
    for octets in (
        "<jörg@münchen.example>",
        "<JÖRG@MÜNCHEN.EXAMPLE>",
        "<jo\u0308rg@xn--mnchen-3ya.example>",
        '<"jörg"@münchen.example>',
    ):
        address, _ = parse_path(octets.encode(), allow_null=False, utf8=True)
        assert address is not None
        assert isinstance(Pump().wait(router.route(address, may_relay=False)), LocalMailbox)


def test_a_postmaster_of_the_directory_is_before_the_stand_in() -> None:
    people = People("postmaster@example.org", "bob@example.com", "alice@example.com")
    world = World(
        people,
        postmaster="bob@example.com",
        main=replace(MAIN, catch_all=Address("alice", "example.com")),
    )
    assert world.person("postmaster@example.org") == "postmaster@example.org"
    assert world.person("postmaster@example.com") == "bob@example.com"
    assert world.everybody("abuse@example.com") == ["alice@example.com"]
