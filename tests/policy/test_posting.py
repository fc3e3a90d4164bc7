"""Who may write to a group: settings, directory, default; and who is nobody (spoofed senders)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group, Named, Posting
from gateway.core.ids import AccountId
from gateway.directory.at_once import at_once
from gateway.policy.group_rules import GroupRules, Poster, Rule
from gateway.policy.posting import GroupPosting
from gateway.policy.verdicts import Action, Verdict
from gateway.wire.address import parse_mailbox
from tests.support.pop3_fakes import ALICE
from tests.support.smtp_fakes import BOB

T = TypeVar("T")

EVE = Account(AccountId("e1"), "eve", "eve@example.test", ("eve@example.test",))
GROUP = Group(
    "g",
    ("all@example.test", "everyone@example.test"),
    ("alice@example.test", "out@far.test"),
    people={"alice@example.test": ALICE},
)


BOARD = Group("b", ("Board@example.test",), ())
FOUND = Group("f", ("found@example.test",), (), people={"eve@example.test": EVE})


class Directory:
    """Bob is in ``board``, by the directory's word; eve is a member of ``found`` by a search.

    Args:
        owners: of addresses, by other entries than one would think.
    """

    def __init__(self, **owners: Account | Group) -> None:
        self.fails = False
        self.owners: dict[str, Account | Group] = {"alice": ALICE, "bob": BOB, "eve": EVE}
        self.owners |= {"board": BOARD, "found": FOUND} | owners

    async def groups_of(self, account: Account) -> Sequence[Group]:
        if self.fails:
            raise DirectoryUnavailable
        return [BOARD] if account is BOB else []

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        (address,) = addresses
        return self.owners.get(address.local_part)


def posting(
    *names: str, default: str = "anyone", directory: Directory | None = None
) -> GroupPosting:
    rules = {"everyone@example.test": Rule.of(names)} if names else {}
    meaning = GroupRules(directory or Directory(), lambda domain: domain == "example.test")
    return GroupPosting(meaning, rules=rules, default=default)


def person(account: Account) -> Poster:
    return Poster(parse_mailbox(account.primary_address), account, is_trusted=False)


def stranger(address: str = "a@far.test", *, trusted: bool = False) -> Poster:
    return Poster(parse_mailbox(address) if address else None, None, is_trusted=trusted)


def verdict(rules: GroupPosting, poster: Poster, group: Group = GROUP) -> Verdict:
    (only,) = at_once(rules.judge((group,), poster))
    return only


def may(rules: GroupPosting, poster: Poster, group: Group = GROUP) -> bool:
    return verdict(rules, poster, group).action is Action.PASS


ALL = [person(ALICE), person(BOB), person(EVE), stranger(), stranger(""), stranger(trusted=True)]


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (("anyone",), [True] * 6),
        (("authenticated",), [True, True, True, False, False, True]),
        (("members",), [True, False, False, False, False, False]),
        (("members", "eve@example.test"), [True, False, True, False, False, False]),
        (("board@example.test",), [False, True, False, False, False, False]),
        (("found@example.test",), [False, False, True, False, False, False]),
        (("gone@example.test",), [False] * 6),
        (("owners",), [False] * 6),
    ],
)
def test_a_rule_of_the_settings_decides(names: tuple[str, ...], allowed: list[bool]) -> None:
    assert [may(posting(*names), each) for each in ALL] == allowed


def test_whom_a_rule_refuses_it_does_not_mean_whatever_else_it_says() -> None:
    rule = Rule.of(("members", "bob@example.test"), ("BOARD@example.test", "alice@example.test"))
    meaning = GroupRules(Directory(), lambda domain: domain == "example.test")
    assert not at_once(meaning.mean(rule, GROUP, person(ALICE)))
    assert not at_once(meaning.mean(rule, GROUP, person(BOB)))
    assert at_once(meaning.mean(Rule.of(("members",)), GROUP, person(ALICE)))


def test_S32_L5_a_group_or_person_with_anothers_address_stands_for_nobody() -> None:
    """Whoever may make groups, or write their own addresses, gets into no rule by it."""
    board = replace(BOARD, group_id="the real one")
    assert not may(posting("board@example.test", directory=Directory(board=board)), person(BOB))
    assert not may(posting("board@example.test", directory=Directory(board=ALICE)), person(BOB))
    assert not may(posting("eve@example.test", directory=Directory(eve=ALICE)), person(EVE))
    named_so = replace(GROUP, group_id="b")
    assert may(posting("members"), person(BOB), named_so)
    same_address = replace(GROUP, addresses=("board@example.test", "everyone@example.test"))
    assert not may(posting("members"), person(BOB), same_address)


def test_S32_a_stranger_who_claims_a_members_address_is_a_stranger() -> None:
    spoofed = stranger("alice@example.test")
    for names in (("members",), ("authenticated",), ("alice@example.test",), ("owners",)):
        assert not may(posting(*names), spoofed)
    owners = Named(frozenset((ALICE.account_id,)), frozenset(("alice@example.test",)))
    owned = replace(GROUP, owners=owners)
    assert not may(posting("owners"), spoofed, owned)
    assert may(posting("owners"), person(ALICE), owned)
    # What a relay network says is as good as a login.
    trusted = stranger("alice@example.test", trusted=True)
    assert may(posting("members"), trusted)
    assert may(posting("owners"), trusted, owned)


def test_a_named_address_outside_is_taken_as_it_is_said() -> None:
    assert may(posting("a@far.test"), stranger("A@far.test"))
    assert not may(posting("a@far.test"), stranger("b@far.test"))


def test_members_are_known_from_either_side() -> None:
    board = replace(GROUP, group_id="b", people={})
    rules = GroupPosting(GroupRules(Directory(), lambda _: True), rules={}, default="members")
    assert may(rules, person(BOB), board)
    assert not may(rules, person(EVE), board)


def test_the_directory_is_heard_where_the_settings_say_nothing() -> None:
    bob = frozenset((BOB.account_id,)), frozenset(("bob@example.test",))
    only = Posting(allowed=Named(*bob, outside=frozenset(("p@far.test",))))
    some = replace(GROUP, posting=only)
    assert [may(posting(), each, some) for each in ALL] == [False, True, False, False, False, False]
    assert not may(posting(), stranger("bob@example.test"), some)
    assert may(posting(), stranger("bob@example.test", trusted=True), some)
    assert may(posting(), stranger("p@far.test"), some)
    inside = replace(GROUP, posting=Posting(authenticated=True))
    assert [may(posting(), each, inside) for each in ALL] == [True, True, True, False, False, True]
    refused = replace(GROUP, posting=Posting(refused=Named(frozenset((BOB.account_id,)))))
    assert [may(posting(), each, refused) for each in ALL] == [True, False, True, True, True, True]
    shut = replace(GROUP, posting=Posting(allowed=Named()))
    assert not any(may(posting(), each, shut) for each in ALL)
    # The administrator's own word goes before it.
    assert all(may(posting("anyone"), each, shut) for each in ALL)


@pytest.mark.parametrize(
    ("default", "count"), [("anyone", 6), ("authenticated", 4), ("members", 1)]
)
def test_the_default_is_for_groups_of_which_nothing_is_said(default: str, count: int) -> None:
    assert sum(may(posting(default=default), each) for each in ALL) == count
    inside = replace(GROUP, posting=Posting(authenticated=True))
    assert may(posting(default="members"), person(BOB), inside)


def test_the_words_of_a_refusal_name_nobody() -> None:
    said = verdict(posting("members", "eve@example.test"), stranger())
    assert said.action is Action.REJECT
    assert said.text == (
        "this address takes mail from its members and others named for it only;"
        " log in if you are one of them"
    )
    assert "eve" not in said.text
    assert "eve@example.test" in said.inputs["rule"]
    assert said.inputs["said by"] == "settings"
    assert said.status == "7.1"
    known = verdict(posting("members"), person(BOB))
    assert known.text == "this address takes mail from its members only"
    assert "bob may not write to all@example.test" in known.reason


def test_S36_trouble_with_the_directory_is_trouble() -> None:
    directory = Directory()
    directory.fails = True
    with pytest.raises(DirectoryUnavailable):
        verdict(posting("members", directory=directory), person(BOB))
    # Whoever is known without a question is not kept waiting.
    assert may(posting("members", directory=directory), person(ALICE))
    assert not may(posting("members", directory=directory), stranger())


def test_of_several_groups_each_has_to_allow_it() -> None:
    shut = replace(GROUP, addresses=("shut@example.test",), posting=Posting(allowed=Named()))
    rules = posting("anyone")
    verdicts = at_once(rules.judge((GROUP, shut, GROUP), person(ALICE)))
    assert [each.action for each in verdicts] == [Action.PASS, Action.REJECT]
