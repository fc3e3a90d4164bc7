"""Mail for a group that has a mailbox of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake
from gateway.core.route import Expansion, LocalMailbox, addressed_alone
from gateway.core.shared_mailboxes import MEMBERS, WRITE, Deliver, Share
from tests.routing.test_recipients import World
from tests.support.people import People


def world(deliver: Deliver = Deliver.MAILBOX, **options: Any) -> World:
    people = People("alice@example.com", "bob@example.com")
    people.add_group("info@example.com", "alice@example.com", "bob@example.com", dead=["gone: no"])
    people.groups["info@example.com"] = replace(people.groups["info@example.com"], group_id="7")
    share = Share(Address("info", "example.com"), "info", {MEMBERS: WRITE}, deliver)
    return World(people, shares={"info@example.com": share}, **options)


@pytest.mark.parametrize(
    ("deliver", "to"),
    [
        (Deliver.MAILBOX, ["group=7"]),
        (Deliver.MEMBERS, ["alice@example.com", "bob@example.com"]),
        (Deliver.BOTH, ["group=7", "alice@example.com", "bob@example.com"]),
    ],
)
def test_mail_goes_where_the_setting_says(deliver: Deliver, to: list[str]) -> None:
    made = world(deliver)
    for recipient in ("info@example.com", "INFO+x@example.org"):
        assert made.everybody(recipient) == to
    found = made.route("info@example.com")
    assert isinstance(found, Expansion)
    assert [each.group_id for each in found.groups] == ["7"], "whose word is who may write to it"
    assert bool(found.dead) is (deliver is not Deliver.MAILBOX)
    assert ("group info@example.com has a shared mailbox" in made.steps) is (
        deliver is not Deliver.MEMBERS
    )


def test_an_alias_and_a_group_that_name_it_lead_there() -> None:
    made = world(aliases={"contact@example.com": ["info@example.com", "alice@example.com"]})
    assert sorted(made.everybody("contact@example.com")) == ["alice@example.com", "group=7"]
    made.people.add_group("all@example.com", "info@example.com", "bob@example.com")
    assert sorted(made.everybody("all@example.com")) == ["bob@example.com", "group=7"]


def test_the_copy_is_for_an_address_that_leads_here_again() -> None:
    made = world()
    group = made.people.groups["info@example.com"]
    made.people.groups["info@example.com"] = replace(
        group, addresses=("info@corp.local", "info@example.com")
    )
    found = made.route("info@example.com")
    assert isinstance(found, Expansion)
    assert str(found.members[0].address) == "info@example.com"


def test_a_group_without_members_has_its_mailbox() -> None:
    made = world()
    made.people.add_group("info@example.com")
    made.people.groups["info@example.com"] = replace(
        made.people.groups["info@example.com"], group_id="7"
    )
    assert made.everybody("info@example.com") == ["group=7"]


def test_mail_waits_for_a_group_without_an_immutable_id() -> None:
    made = world()
    made.people.groups["info@example.com"] = replace(
        made.people.groups["info@example.com"], group_id="cn=info,dc=example"
    )
    with pytest.raises(DirectoryMistake, match="immutable id"):
        made.route("info@example.com")


def test_who_is_addressed_alone() -> None:
    alone = addressed_alone(world().route("info@example.com"))
    assert alone is not None and alone.account_id == "group=7"
    assert addressed_alone(world(Deliver.BOTH).route("info@example.com")) is None
    made = world(Deliver.MEMBERS)
    made.people.add_group("info@example.com", "alice@example.com")
    assert addressed_alone(made.route("info@example.com")) is None, "one member is a member"
    person = made.route("alice@example.com")
    assert isinstance(person, LocalMailbox)
    assert addressed_alone(person) == person.account
