"""Who may send as whom: the entry, groups, rules, and what leads to the person (SECURITY S32)."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, RelayDenied
from gateway.core.group import Group
from gateway.core.route import Expansion, LocalMailbox, Member, Route
from gateway.policy.send_as import LOOK_S, BrokenRules, RulesFile, SendAs, read_rules, rules_from
from gateway.policy.senders import MAX_REMEMBERED, Names, Senders, Standing
from gateway.routing.alias_file import FixedAliases
from gateway.routing.aliases import Aliases, from_settings
from gateway.routing.domains import Domain, DomainRouter
from gateway.wire.address import parse_mailbox
from tests.support.people import People as Directory
from tests.support.pop3_fakes import ALICE
from tests.support.smtp_fakes import BOB

T = TypeVar("T")

A = Member(Address("alice", "example.test"), LocalMailbox(ALICE))
B = Member(Address("bob", "example.test"), LocalMailbox(BOB))


class Routes:
    """Knows where a few addresses lead; counts questions."""

    def __init__(self, **routes: Route) -> None:
        self.routes = routes
        self.asked = 0
        self.fails = False

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        assert not may_relay
        self.asked += 1
        if self.fails:
            raise DirectoryUnavailable
        if recipient.local_part not in self.routes:
            raise RelayDenied
        return self.routes[recipient.local_part]


class People:
    def __init__(self, *groups: str) -> None:
        self.groups = [Group(name, (f"{name}@example.test",), ()) for name in groups]
        self.owners: dict[str, Account | Group] = {}
        self.asked = 0

    async def groups_of(self, account: Account) -> Sequence[Group]:
        self.asked += 1
        return self.groups

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        named = (each for each in self.groups if str(addresses[0]).lower() in each.addresses)
        return self.owners.get(addresses[0].key) or next(named, None)


def now(question: Coroutine[Any, Any, T]) -> T:
    """The answer to a question that needs no waiting."""
    answers: list[T] = []
    Deferred.fromCoroutine(question).addCallback(answers.append)
    (answer,) = answers
    return answer


def standing(names: Names, address: str) -> Standing | None:
    return now(names.find(parse_mailbox(address)))


def test_S32_own_addresses_cost_no_question() -> None:
    routes = Routes()
    names = Senders(routes).of(replace(ALICE, addresses=("alice@example.test", "Al@example.test")))
    assert names.known(Address("ALICE", "example.test")) is Standing.OWN
    assert standing(names, "al@example.test") is Standing.OWN
    assert names.known(Address("x", "example.test")) is None
    assert routes.asked == 0


def test_S32_another_name_of_a_person_is_theirs() -> None:
    routes = Routes(alias=LocalMailbox(ALICE), other=LocalMailbox(BOB))
    names = Senders(routes).of(ALICE)
    assert standing(names, "alias@example.org") is Standing.OWN
    assert standing(names, "other@example.org") is None
    assert standing(names, "stranger@far.test") is None


def test_S32_the_only_member_of_a_group_is_a_member_like_others() -> None:
    routes = Routes(one=Expansion("one", (A,)))
    assert standing(Senders(routes, groups=People()).of(ALICE), "one@x.test") is Standing.SHARED
    assert standing(Senders(routes).of(ALICE), "one@x.test") is None


def router(aliases: dict[str, list[str]], catch_all: Address | None = None) -> DomainRouter:
    domain = Domain("example.test", catch_all=catch_all)
    known = Directory()
    known.add(ALICE)
    known.add(BOB)
    table = Aliases(from_settings(aliases, ["example.test"]))
    return DomainRouter({"example.test": domain}, known, aliases=FixedAliases(table))


def test_S32_who_gets_what_nobody_has_may_not_make_up_names() -> None:
    senders = Senders(router({}, catch_all=A.address), groups=People())
    for invented in ("ceo@example.test", "anybody@example.test", "ceo+alice@example.test"):
        assert standing(senders.of(ALICE), invented) is None
    assert standing(senders.of(ALICE), "alice+tag@example.test") is Standing.OWN
    rules = SendAs(rules_from({"alice": ("*@example.test",)}))
    allowed = Senders(router({}, catch_all=A.address), send_as=rules).of(ALICE)
    assert standing(allowed, "anybody@example.test") is Standing.SHARED


def test_S32_who_gets_copies_of_somebodys_mail_may_not_send_as_them() -> None:
    copied = {"bob@example.test": ["bob@example.test", "alice@example.test"]}
    for people in (People(), None):
        senders = Senders(router(copied), groups=people)
        for name in ("bob@example.test", "bob+x@example.test"):
            assert standing(senders.of(ALICE), name) is None
            assert standing(senders.of(BOB), name) is Standing.OWN


def test_S32_an_alias_of_several_is_as_a_group() -> None:
    shared = {"sales@example.test": ["bob@example.test", "alice@example.test", "x@far.test"]}
    senders = Senders(router(shared), groups=People())
    assert standing(senders.of(ALICE), "sales@example.test") is Standing.SHARED
    assert standing(Senders(router(shared)).of(ALICE), "sales@example.test") is None
    # Their own address, all of whose mail the administrator leads to somebody else.
    given_up = router({"bob@example.test": ["alice@example.test"]})
    assert standing(Senders(given_up).of(ALICE), "bob@example.test") is Standing.OWN


def test_S32_groups_by_the_setting() -> None:
    routes = Routes(sales=Expansion("sales", (A, B)), staff=Expansion("staff", (B,)))
    for people, expected in ((People(), Standing.SHARED), (None, None)):
        names = Senders(routes, groups=people).of(ALICE)
        assert standing(names, "sales@example.org") is expected
        assert standing(names, "staff@example.org") is None
    people = People("sales")
    names = Senders(Routes(), groups=people).of(ALICE)
    assert standing(names, "Sales@example.test") is Standing.SHARED
    assert standing(names, "other@example.test") is None
    assert people.asked == 1


def test_S32_L5_a_group_with_anothers_address_gives_nobody_that_name() -> None:
    people = People("ceo", "sales")
    people.owners["ceo@example.test"] = BOB
    people.owners["sales@example.test"] = Group("other", ("sales@example.test",), ())
    names = Senders(Routes(), groups=people).of(ALICE)
    assert standing(names, "ceo@example.test") is None
    assert standing(names, "sales@example.test") is None


def test_what_is_learnt_is_remembered_and_bounded_and_a_no_is_not() -> None:
    routes = Routes(alias=LocalMailbox(ALICE))
    names = Senders(routes).of(ALICE)
    for _ in range(3):
        assert standing(names, "alias@example.org") is Standing.OWN
    assert routes.asked == 1
    for _ in range(3):
        assert standing(names, "no@example.org") is None
    assert routes.asked == 4
    for number in range(2 * MAX_REMEMBERED):
        assert standing(names, f"alias@d{number}.test") is Standing.OWN
    assert standing(names, "alice@example.test") is Standing.OWN


def test_A5_directory_trouble_is_no_refusal() -> None:
    routes = Routes()
    routes.fails = True
    names = Senders(routes).of(ALICE)
    failures: list[Any] = []
    Deferred.fromCoroutine(names.find(Address("x", "y.test"))).addErrback(failures.append)
    assert failures[0].check(DirectoryUnavailable)


def test_S32_the_refusal_names_the_rule_and_what_would_do() -> None:
    many = replace(ALICE, addresses=tuple(f"a{n}@example.test" for n in range(7)))
    stranger = Address("ceo", "example.test")
    assert Senders(Routes(), groups=People()).of(ALICE).refusal(stranger) == (
        "alice may not send as <ceo@example.test>: it is not an address of alice nor of a group"
        " alice may send as; alice may send as alice@example.test"
    )
    text = Senders(Routes()).of(many).refusal(stranger)
    assert "group" not in text and text.endswith("a4@example.test or 2 more")
    assert "no address" in Senders(Routes()).of(replace(ALICE, addresses=())).refusal(stranger)


# -- the administrator's rules


def test_rules_of_the_settings() -> None:
    rules = rules_from({"Alice": ("Info@example.test", "*@example.org")})
    names = Senders(Routes(), send_as=SendAs(rules)).of(ALICE)
    assert standing(names, "info@Example.test") is Standing.SHARED
    assert standing(names, "anybody@example.org") is Standing.SHARED
    assert standing(names, "anybody@sub.example.org") is None
    assert standing(Senders(Routes(), send_as=SendAs(rules)).of(BOB), "info@example.test") is None


def test_a_rule_may_name_a_person_by_an_address() -> None:
    """Most people log in with it, whatever their login is called in the directory."""
    rules = rules_from({"Alice@example.test": ("info@example.test",)})
    senders = Senders(Routes(), send_as=SendAs(rules))
    assert standing(senders.of(ALICE), "info@example.test") is Standing.SHARED
    assert standing(senders.of(BOB), "info@example.test") is None


def write(path: Path, text: str, number: int = 0) -> None:
    path.write_text(text)
    os.utime(path, ns=(number, number))  # two changes within the clock's resolution


def at_once(work: Callable[[], T]) -> Deferred[T]:
    return maybeDeferred(work)


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "send-as"
    write(path, "# who may\nalice info@example.test, *@example.org\nalice x@y.test\n\n", 1)
    clock = Clock()
    file = RulesFile(path, timers=clock, in_thread=at_once)
    names = Senders(Routes(), send_as=SendAs(file=file)).of(ALICE)
    assert standing(names, "info@example.test") is standing(names, "x@y.test") is Standing.SHARED
    write(path, "alice new@y.test", 2)
    assert standing(names, "new@y.test") is None
    clock.advance(LOOK_S)
    assert standing(names, "new@y.test") is Standing.SHARED
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
    try:
        write(path, "alice not-an-address", 3)
        for _ in range(3):
            clock.advance(LOOK_S)
            assert standing(names, "newer@y.test") is None
        path.unlink()
        clock.advance(LOOK_S)
        names = Senders(Routes(), send_as=SendAs(file=file)).of(ALICE)
        assert standing(names, "new@y.test") is Standing.SHARED
    finally:
        globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]
    told = [event["text"] for event in events if "cannot be used" in str(event.get("log_format"))]
    assert told == [
        "line 1: found 'not-an-address'; expected an address such as \"sales@example.com\","
        ' or "*@example.com"',
        "No such file or directory",
    ]


def test_a_file_that_is_being_written_has_to_wait(tmp_path: Path) -> None:
    path = tmp_path / "send-as"
    write(path, "alice info@example.test\n", 1)
    clock = Clock()
    file = RulesFile(path, timers=clock, in_thread=at_once, wall_clock=lambda: 100.0)
    names = Senders(Routes(), send_as=SendAs(file=file))
    write(path, "", 99_500_000_000)
    clock.advance(LOOK_S)
    assert standing(names.of(ALICE), "info@example.test") is Standing.SHARED
    write(path, "alice info@example.test, x@y.test\n", 99_900_000_000)
    clock.advance(LOOK_S)
    assert standing(names.of(ALICE), "x@y.test") is None
    clock.advance(LOOK_S)
    assert standing(names.of(ALICE), "x@y.test") is Standing.SHARED


def test_a_broken_file_is_read_once_and_a_busy_thread_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "send-as"
    write(path, "alice info@example.test\n", 1)
    clock = Clock()
    busy = True
    found: list[object] = []

    def in_thread(work: Callable[[], T]) -> Deferred[T]:
        if busy:
            raise DirectoryUnavailable
        result = work()
        found.append(result)
        return succeed(result)

    file = RulesFile(path, timers=clock, in_thread=in_thread)
    senders = Senders(Routes(), send_as=SendAs(file=file))
    clock.advance(LOOK_S)
    assert standing(senders.of(ALICE), "info@example.test") is Standing.SHARED
    busy = False
    write(path, "alice", 2)
    for _ in range(3):
        clock.advance(LOOK_S)
        assert standing(senders.of(ALICE), "info@example.test") is Standing.SHARED
    assert [isinstance(each[1], BrokenRules) for each in found] == [True, False, False]  # type: ignore[index]


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"alice", "line 1: found 'alice' alone"),
        (b"alice a@b.test\nbob *", "line 2: found '\\*'"),
        (b"alice a*@b.test", "line 1: found 'a\\*@b.test'"),
        (b"alice \xff@b.test", "line 1: found octets that are not UTF-8"),
        (b"x y\n" * 9, "and 4 more"),
    ],
)
def test_mistakes_in_a_file_are_told_with_their_lines(
    tmp_path: Path, octets: bytes, why: str
) -> None:
    path = tmp_path / "send-as"
    path.write_bytes(octets)
    with pytest.raises(BrokenRules, match=why):
        read_rules(path)
