"""How often the directory is asked, how far an expansion goes, and what is said about the way."""

from __future__ import annotations

import contextlib

import pytest

from gateway.core.address import Address
from gateway.core.errors import ExpansionFailed, RelayDenied, UnknownRecipient
from gateway.core.route import Expansion
from tests.routing.test_recipients import World
from tests.support.people import People
from tests.support.pump import Pump


@pytest.mark.parametrize(
    ("recipient", "questions"),
    [
        ("bob@example.com", [["bob@example.com"]]),
        ("bob@example.org", [["bob@example.org", "bob@example.com"]]),
        ("bob+x@example.com", [["bob+x@example.com", "bob@example.com"]]),
        ("all@example.com", [["all@example.com"]]),
        ("nobody@example.com", [["nobody@example.com"]]),
        ("x@plant.example.com", [["x@plant.example.com"]]),
        ("x@backup.example.com", []),
        ("out@example.com", []),
        ("out+x@example.com", [["out+x@example.com"]]),
        ("x@else.example", []),
    ],
)
def test_one_question_at_most_for_one_recipient(recipient: str, questions: list[list[str]]) -> None:
    people = People("bob@example.com", "alice@example.com", "x@plant.example.com")
    people.add_group("all@example.com", "bob@example.com", "alice@example.com", "a@else.example")
    world = World(people, aliases={"out@example.com": ["a@else.example", "b@else.example"]})
    with contextlib.suppress(UnknownRecipient):
        world.route(recipient, may_relay=True)
    assert people.questions == questions


def test_a_thousand_recipients_are_a_thousand_questions() -> None:
    people = People(*(f"p{number}@example.com" for number in range(1000)))
    world = World(people, aliases={"info@example.com": ["p1@example.com"]})
    for number in range(1000):
        assert world.person(f"p{number}@example.com") == f"p{number}@example.com"
    assert len(people.questions) == 1000


def test_a_thousand_members_are_no_questions_more() -> None:
    people = People(*(f"p{number}@example.com" for number in range(1000)))
    people.add_group("all@example.com", *people.accounts)
    assert len(World(people).everybody("all@example.com")) == 1000
    assert len(people.questions) == 1


def test_too_many_members_are_trouble_that_may_pass() -> None:
    people = People(*(f"p{number}@example.com" for number in range(11)))
    people.add_group("all@example.com", *people.accounts)
    assert len(World(people, members=11).everybody("all@example.com")) == 11
    with pytest.raises(ExpansionFailed):
        World(people, members=10).route("all@example.com")


def test_too_many_levels_are_trouble_that_may_pass() -> None:
    chain = {f"a{n}@example.com": [f"a{n + 1}@example.com"] for n in range(12)}
    world = World(People("a12@example.com"), aliases=chain)
    assert world.person("a3@example.com") == "a12@example.com"
    with pytest.raises(ExpansionFailed):
        world.route("a1@example.com")


def test_aliases_that_name_each_other_end_at_once() -> None:
    names = [f"a{n}@example.com" for n in range(60)]
    world = World(
        People("bob@example.com"), aliases={name: [*names, "bob@example.com"] for name in names}
    )
    found = world.route("a0@example.com")
    assert len(found.members if isinstance(found, Expansion) else [found]) == 1
    # Each name that is no alias of somebody else's is asked for once.
    assert len(world.people.questions) <= 61


def test_the_way_is_told_for_explain() -> None:
    people = People("bob@example.com")
    people.add_group("all@example.com", "bob@example.com", "a@else.example", dead=["x: gone"])
    world = World(people, aliases={"info@example.com": ["all@example.com"]})
    world.route("info+x@example.org")
    assert world.steps == [
        "domain example.org is an alias of example.com",
        "info+x may be info with a tag",
        "info@example.com is an alias of all@example.com",
        "all@example.com is the group all@example.com",
        "left out: x: gone",
        "bob@example.com is bob, with a mailbox here",
        "a@else.example is outside",
        "alias info@example.com has 2 members, 1 of them on other servers, 1 dead",
    ]


def test_the_way_to_a_refusal_is_told_as_well() -> None:
    world = World(People())
    with pytest.raises(UnknownRecipient):
        world.route("nobody@example.com")
    with pytest.raises(RelayDenied):
        world.route("x@else.example")
    assert world.steps == [
        "nobody in the directory has nobody@example.com",
        "else.example is not ours, and the sender may not relay",
    ]


def test_nothing_is_told_where_nobody_listens() -> None:
    world = World(People("bob@example.com"))
    Pump().wait(world.router.route(Address("bob", "example.com"), may_relay=False))
    assert world.steps == []
