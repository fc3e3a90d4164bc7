"""Who may open which shared mailbox: by ids, as of now, and each mailbox for itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.auth.sharing import KEPT_S, Sharing
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake, DirectoryUnavailable, GatewayError
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.quota import Allowance
from gateway.core.shared_mailboxes import (
    FULL,
    MEMBERS,
    NOTHING,
    READ,
    WRITE,
    Rights,
    Share,
    SharedMailbox,
)
from tests.support.people import person
from tests.support.pump import Pump

ALICE, BOB = person("alice@example.com"), person("bob@example.com")


class Known:
    """A directory in memory."""

    def __init__(self) -> None:
        self.people = {each.account_id: each for each in (ALICE, BOB)}
        self.groups: dict[str, Group] = {}
        self.around: list[str] = []
        self.trouble: dict[str, GatewayError] = {}
        self.asked: list[str] = []

    def add(self, name: str, *members: Account, **more: Any) -> None:
        people = {each.primary_address: each for each in members}
        address = f"{name}@example.com"
        self.groups[address] = Group(f"0-{name}", (address,), (*people,), people=people, **more)

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        return self.people.get(account_id)

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        text = str(addresses[0])
        self.asked.append(text)
        if text in self.trouble:
            raise self.trouble[text]
        owners = [each for each in self.people.values() if text in each.addresses]
        return self.groups.get(text) or next(iter(owners), None)

    async def groups_of(self, account: Account) -> Sequence[Group]:
        return [Group(each, ("x@example.com",), ()) for each in self.around]


class World:
    def __init__(self) -> None:
        self.known = Known()
        self.now = 0.0
        self.shares: dict[str, Share] = {}
        self.prepared: list[Account] = []
        self.pump = Pump()
        self.share("info")

    def share(self, name: str, **rights: Rights) -> None:
        granted = {who.replace("_at_", "@"): each for who, each in rights.items()}
        share = Share(Address(name, "example.com"), name, {MEMBERS: WRITE} | granted)
        self.shares[f"{name}@example.com"] = share
        directory: Any = self.known
        self.sharing = Sharing(directory, self.shares, self._prepare, monotonic=lambda: self.now)

    async def _prepare(self, account: Account) -> None:
        self.prepared.append(account)

    def find(self, who: Account = ALICE, name: str = "info") -> SharedMailbox | None:
        return self.pump.wait(self.sharing.find(who.account_id, name))

    def names(self, who: Account = ALICE) -> list[str]:
        return [each.name for each in self.pump.wait(self.sharing.shared_with(who.account_id))]


def test_a_mailbox_is_the_groups_whatever_it_is_called() -> None:
    world = World()
    world.known.add("info", ALICE, display_name="Info", allowance=Allowance(octets=7))
    found = world.find()
    assert found is not None
    assert (found.name, found.rights) == ("info", WRITE)
    assert found.account.account_id == "group=0-info"
    assert found.account.allowance == Allowance(octets=7)
    assert world.prepared == [found.account]
    assert world.find(BOB) is None and world.find(name="other") is None
    assert world.names() == ["info"] and world.names(BOB) == []


def test_what_is_not_called_so_is_asked_of_nobody() -> None:
    world = World()
    assert world.find(name="INFO") is None and world.find(name="") is None
    assert world.known.asked == []


def test_who_is_gone_or_disabled_shares_nothing_and_locked_people_do() -> None:
    world = World()
    world.known.add("info", ALICE, BOB)
    del world.known.people[BOB.account_id]
    assert world.find(BOB) is None and world.names(BOB) == []
    world.known.people[ALICE.account_id] = replace(ALICE, locked=True)
    assert world.find() is not None
    world.known.people[ALICE.account_id] = replace(ALICE, enabled=False)
    assert world.find() is None and world.names() == []


def test_L4_a_new_owner_of_an_old_address_is_somebody_else() -> None:
    world = World()
    world.share("info", **{"bob_at_example.com": FULL})
    world.known.add("info", ALICE)
    assert world.find(BOB) is not None
    newcomer = replace(ALICE, account_id=AccountId("new"), addresses=("new@example.com",))
    world.known.people[newcomer.account_id] = newcomer
    assert world.find(newcomer) is None, "alice's address, and not her id"
    claims = replace(newcomer, addresses=("new@example.com", "bob@example.com"))
    world.known.people[newcomer.account_id] = claims
    assert world.find(claims) is None, "says in another directory that bob's address is theirs"


def test_another_directorys_group_of_the_same_address_means_nobody_here() -> None:
    world = World()
    world.known.add("info", ALICE)
    world.known.around = ["0-info@other"]
    assert world.find(BOB) is None
    world.known.around = ["0-info"]  # who gets no mail by it is in it all the same
    assert world.find(BOB) is not None


def test_the_highest_of_several_rights_counts() -> None:
    world = World()
    world.known.add("staff", BOB)
    world.known.add("info", ALICE, BOB)
    world.share("info", **{"members": READ, "staff_at_example.com": FULL})
    found = world.find(BOB)
    assert found is not None and found.rights == FULL
    found = world.find(ALICE)
    assert found is not None and found.rights == READ


def test_none_takes_away_what_others_give() -> None:
    world = World()
    world.known.add("interns", BOB)
    world.known.add("info", ALICE, BOB)
    for who in ("bob_at_example.com", "interns_at_example.com"):
        world.share("info", **{"members": FULL, who: NOTHING})
        assert world.find(BOB) is None
        assert world.find(ALICE) is not None
    # Of members it only says that being one is not enough.
    world.share("info", **{"members": NOTHING, "bob_at_example.com": READ})
    assert world.find(BOB) is not None
    assert world.find(ALICE) is None
    world.known.trouble["interns@example.com"] = DirectoryUnavailable()
    world.share("info", **{"members": FULL, "interns_at_example.com": NOTHING})
    with pytest.raises(DirectoryUnavailable):
        world.find(BOB)


def test_a_mistake_in_one_group_leaves_the_others() -> None:
    world = World()
    world.share("sales")
    world.known.add("info", ALICE)
    world.known.add("sales", ALICE)
    world.known.trouble["info@example.com"] = DirectoryMistake(reason="ambiguous")
    assert world.names() == ["sales"]
    with pytest.raises(DirectoryUnavailable):
        world.find()
    world.known.trouble["info@example.com"] = DirectoryUnavailable()
    with pytest.raises(DirectoryUnavailable):
        world.names()


def test_a_group_without_an_immutable_id_has_no_mailbox() -> None:
    world = World()
    world.known.add("info", ALICE)
    group = world.known.groups["info@example.com"]
    world.known.groups["info@example.com"] = replace(group, group_id="cn=info,dc=example")
    with pytest.raises(DirectoryMistake, match="immutable id"):
        world.find()
    assert world.names() == []


def test_losing_membership_counts_within_seconds() -> None:
    world = World()
    world.known.add("info", ALICE)
    assert world.find() is not None
    world.known.add("info", BOB)
    world.now += KEPT_S
    assert world.find() is None
    assert world.find(BOB) is not None


def test_many_looks_are_one_question() -> None:
    world = World()
    world.known.add("info", ALICE)
    for _ in range(20):
        world.find()
        world.names()
    assert world.known.asked == ["info@example.com"]
