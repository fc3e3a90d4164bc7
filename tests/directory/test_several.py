"""Several directories: who is asked, whose is what several have, and whose trouble stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.shared_mailboxes import account_of
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.several import MAIN, Served, SeveralDirectories
from tests.directory.contract import *  # noqa: F403
from tests.directory.contract import PEOPLE, Place
from tests.directory.contract_groups import *  # noqa: F403
from tests.directory.contract_groups import GROUPS
from tests.support.pump import Pump

UNIQUE = "22222222-2222-3333-4444-000000000001"

Make = Callable[..., SeveralDirectories]


@pytest.fixture
def place(tmp_path: Path, pump: Pump) -> Iterator[Place]:
    """One alone behaves as without the others around it."""
    path = tmp_path / "people.ldif"
    path.write_text(PEOPLE + GROUPS, encoding="utf-8")
    only = LdifDirectory(path, call_from_thread=pump.call_from_thread)
    directory = SeveralDirectories([Served(MAIN, only)])
    yield Place(directory, pump)
    pump.wait(directory.close())


def entry(uid: str, entry_id: str, domain: str) -> str:
    return (
        f"dn: uid={uid},dc={domain.partition('.')[0]}\nobjectClass: inetOrgPerson\n"
        f"entryUUID: {entry_id}\nuid: {uid}\ncn: {uid} of {domain}\nsn: Person\n"
        f"mail: {uid}@{domain}\nuserPassword: {uid}-at-{domain}\n\n"
    )


def team(domain: str, *members: str) -> str:
    named = "".join(f"member: uid={uid},dc={domain.partition('.')[0]}\n" for uid in members)
    return (
        f"dn: cn=team,dc={domain.partition('.')[0]}\nobjectClass: groupOfNames\n"
        f"objectClass: mailRecipient\ncn: team\nmail: team@{domain}\n{named}\n"
    )


@pytest.fixture
def make(tmp_path: Path, pump: Pump) -> Iterator[Make]:
    made: list[SeveralDirectories] = []

    def several(
        texts: Mapping[str, str], domains: Mapping[str, set[str]] | None = None
    ) -> SeveralDirectories:
        served = []
        for number, (name, text) in enumerate(texts.items()):
            path = tmp_path / f"{number}.ldif"
            path.write_text(text)
            directory = LdifDirectory(path, call_from_thread=pump.call_from_thread)
            served.append(Served(name, directory, frozenset((domains or {}).get(name, ()))))
        made.append(SeveralDirectories(served))
        return made[-1]

    yield several
    for each in made:
        pump.wait(each.close())


def address(text: str) -> Address:
    local_part, _, domain = text.partition("@")
    return Address(local_part, domain)


def recipient(directory: SeveralDirectories, pump: Pump, text: str) -> Account | Group | None:
    return pump.wait(directory.find_recipient((address(text),)))


def who(directory: SeveralDirectories, pump: Pump, name: str) -> str:
    found = pump.wait(directory.find(name))
    assert found is not None
    return found.account_id


class Away:
    """A directory that nobody can ask."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        async def unavailable(*_: object) -> object:
            raise DirectoryUnavailable(reason="away")

        return unavailable


def test_the_first_in_order_has_what_several_have(make: Make, pump: Pump) -> None:
    both = make({MAIN: entry("ann", "a", "one.example"), "two": entry("ann", "b", "one.example")})
    found = recipient(both, pump, "ann@one.example")
    assert isinstance(found, Account) and found.account_id == "a"
    assert who(both, pump, "ann") == "a"


def test_whom_the_first_does_not_have_the_next_may(make: Make, pump: Pump) -> None:
    both = make({MAIN: entry("ann", "a", "one.example"), "two": entry("bob", "b", "two.example")})
    found = recipient(both, pump, "bob@two.example")
    assert isinstance(found, Account) and found.login == "bob"
    assert recipient(both, pump, "carl@two.example") is None
    account = pump.wait(both.authenticate("bob@two.example", b"bob-at-two.example"))
    assert account.account_id == found.account_id
    with pytest.raises(WrongCredentials):
        pump.wait(both.authenticate("carl", b"x"))


def test_the_password_of_a_later_directory_opens_nothing_of_an_earlier_one(
    make: Make, pump: Pump
) -> None:
    both = make({MAIN: entry("ann", "a", "one.example"), "two": entry("ann", "b", "two.example")})
    with pytest.raises(WrongCredentials):
        pump.wait(both.authenticate("ann", b"ann-at-two.example"))
    account = pump.wait(both.authenticate("ann@two.example", b"ann-at-two.example"))
    assert account.primary_address == "ann@two.example"


def test_a_domain_belongs_to_the_directory_that_names_it(make: Make, pump: Pump) -> None:
    both = make(
        {MAIN: entry("ann", "a", "two.example"), "two": entry("bob", "b", "two.example")},
        {"two": {"two.example"}},
    )
    assert recipient(both, pump, "ann@two.example") is None
    found = recipient(both, pump, "bob@two.example")
    assert isinstance(found, Account) and found.login == "bob"
    # By a bare name both are people of this house.
    assert who(both, pump, "ann") == "a"


def test_ids_of_files_are_kept_apart_and_unique_ones_stay(make: Make, pump: Pump) -> None:
    both = make(
        {
            MAIN: entry("ann", "person-1", "one.example"),
            "two": entry("bob", "person-1", "two.example")
            + entry("eve", UNIQUE, "two.example")
            + team("two.example", "bob"),
        }
    )
    ids = [who(both, pump, name) for name in ("ann", "bob", "eve")]
    assert ids == ["person-1", "person-1@two", UNIQUE]
    for account_id in map(AccountId, ids):
        found = pump.wait(both.find_by_id(account_id))
        assert found is not None and found.account_id == account_id
    assert pump.wait(both.find_by_id(AccountId("person-2@two"))) is None
    assert pump.wait(both.find_by_id(AccountId("person-1@three"))) is None
    group = recipient(both, pump, "team@two.example")
    assert isinstance(group, Group)
    assert [each.account_id for each in group.people.values()] == ["person-1@two"]


def test_L5_ids_that_two_directories_share_give_nobody_the_others_groups(
    make: Make, pump: Pump
) -> None:
    owned = team("two.example", "bob").replace("cn: team\n", "cn: team\nowner: uid=bob,dc=two\n")
    both = make(
        {
            MAIN: entry("ann", "person-1", "one.example")
            + team("one.example", "ann").replace("cn: team\n", "cn: team\nentryUUID: team-1\n"),
            "two": entry("bob", "person-1", "two.example")
            + owned.replace("cn: team\n", "cn: team\nentryUUID: team-1\n"),
        }
    )
    people = {name: pump.wait(both.find(name)) for name in ("ann", "bob")}
    ann, bob = people["ann"], people["bob"]
    assert ann is not None and bob is not None
    around = {name: pump.wait(both.groups_of(each)) for name, each in (("ann", ann), ("bob", bob))}
    assert [each.addresses for each in around["ann"]] == [("team@one.example",)]
    assert [each.addresses for each in around["bob"]] == [("team@two.example",)]
    group = recipient(both, pump, "team@two.example")
    assert isinstance(group, Group)
    assert group.owners.has(bob) and not group.owners.has(ann)
    # Rights in the mailbox of a group go by its id.
    (of_ann,), (of_bob,) = around["ann"], around["bob"]
    assert of_bob.group_id == group.group_id != of_ann.group_id


def test_people_are_listed_in_pages_across_directories(make: Make, pump: Pump) -> None:
    both = make(
        {
            MAIN: entry("ann", "person-1", "one.example") + entry("joe", "person-2", "one.example"),
            "two": entry("bob", "person-1", "two.example")
            + entry("amy", "person-10", "two.example")
            + entry("eve", UNIQUE, "two.example"),
        }
    )
    for limit in (1, 2, 3, 10):
        logins: list[str] = []
        after = ""
        while True:
            page = pump.wait(both.people(after, limit))
            logins += [each.login for each in page]
            if len(page) < limit:
                break
            after = page[-1].account_id
        assert logins == ["eve", "ann", "bob", "amy", "joe"]
    assert [each.login for each in pump.wait(both.people("", 9, directory="two"))] == [
        "eve",
        "bob",
        "amy",
    ]
    with pytest.raises(DirectoryUnavailable, match="there is directory, two"):
        pump.wait(both.people("", 9, directory="three"))


def test_L15_nobody_stands_in_for_a_directory_that_is_away(make: Make, pump: Pump) -> None:
    second = make({MAIN: entry("bob", "b", "two.example")})
    both = SeveralDirectories([Served(MAIN, Away()), Served("two", second)])  # type: ignore[arg-type]
    for question in (
        both.find_recipient((address("bob@two.example"),)),
        both.find("bob"),
        both.authenticate("bob", b"bob-at-two.example"),
    ):
        with pytest.raises(DirectoryUnavailable):
            pump.wait(question)


def test_a_domain_of_its_own_is_served_while_another_directory_is_away(
    make: Make, pump: Pump
) -> None:
    second = make({MAIN: entry("bob", "b", "two.example")})
    both = SeveralDirectories(
        [
            Served(MAIN, Away()),  # type: ignore[arg-type]
            Served("two", second, frozenset({"two.example"})),
        ]
    )
    found = recipient(both, pump, "bob@two.example")
    assert isinstance(found, Account)
    account = pump.wait(both.authenticate("bob@two.example", b"bob-at-two.example"))
    assert account.account_id == found.account_id


def test_each_is_probed_and_named(make: Make, pump: Pump) -> None:
    second = make({MAIN: entry("bob", "b", "two.example")})
    both = SeveralDirectories([Served(MAIN, Away()), Served("two", second)])  # type: ignore[arg-type]
    with pytest.raises(DirectoryUnavailable, match=r"directory: .*away.*two: "):
        pump.wait(both.probe())
    assert [each.name for each in SeveralDirectories([Served("two", second)]).health()] in (
        ["two"],
        [],
    )


def test_groups_of_files_keep_mailboxes_of_their_own(make: Make, pump: Pump) -> None:
    desk = "dn: cn=desk\nobjectClass: groupOfNames\nobjectClass: mailRecipient\nentryUUID: g\n"
    texts = {
        name: entry("ann", "a", domain)
        + f"{desk}cn: desk\nmail: desk@{domain}\nmember: uid=ann,dc={name}\n\n"
        for name, domain in (("one", "one.example"), ("two", "two.example"))
    }
    both = make({MAIN: texts["one"], "two": texts["two"]})
    for domain, group_id, person_id in (
        ("one.example", "g", "a"),
        ("two.example", "g@two", "a@two"),
    ):
        found = recipient(both, pump, f"desk@{domain}")
        assert isinstance(found, Group)
        mailbox = account_of(found)
        assert mailbox is not None and mailbox.account_id == f"group={group_id}"
        ann = recipient(both, pump, f"ann@{domain}")
        assert isinstance(ann, Account) and ann.account_id == person_id
        around = pump.wait(both.groups_of(ann))
        assert [each.group_id for each in around] == [group_id]
