"""What servers are asked for groups: chains and steps of Active Directory, pages, bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import ExpansionFailed
from gateway.core.group import Group
from gateway.directory.at_once import at_once
from gateway.directory.entries import Entry, account_from
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import Search, TooMany
from gateway.directory.groups.resolving import group_from
from gateway.directory.ldap.asking import Found, LdapFailed
from gateway.directory.ldap.groups import (
    ACTIVE_DIRECTORY,
    CHAIN_FROM,
    CHAIN_PAUSE_S,
    PAGE,
    ServerEntries,
)
from gateway.wire.ldap.ber import OCTET_STRING, SEQUENCE, integer, tlv
from gateway.wire.ldap.controls import PAGED_RESULTS, page_of
from gateway.wire.ldap.filters import Equal, Extensible, FilterSyntax, Or, Present, attributes_of
from gateway.wire.ldap.messages import (
    Control,
    Result,
    Scope,
    SearchEntry,
    SearchRequest,
)
from tests.directory.groups.world import AD_LIKE, group, person

Answer = Callable[[SearchRequest], Sequence[Entry] | int]
STEP = 1500
MANY = tuple(f"uid=gone{number},dc=test" for number in range(CHAIN_FROM))


class Clock:
    now = 0.0

    def seconds(self) -> float:
        return self.now


class Asks:
    """A server that is scripted by the attributes a filter looks at; ``sizes`` of pages."""

    def __init__(self, *everything: Entry, capabilities: tuple[bytes, ...] = ()) -> None:
        self.everything = everything
        self.capabilities = capabilities
        self.asked: list[SearchRequest] = []
        self.chain: Sequence[Entry] | int = ()
        self.found: Sequence[Entry] | int = ()
        self.code = 0
        self.pages = 0
        self.closed = 0

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        self.asked.append(request)
        if request.base == "":
            root = SearchEntry("", {"supportedcapabilities": self.capabilities})
            return Found(Result(0), (root,))
        if request.scope is Scope.BASE:
            return self._base(request)
        answer = self._answer(request)
        if isinstance(answer, int):
            return Found(Result(answer), ())
        found = [SearchEntry(each.dn, each.attributes) for each in answer]
        if request.most and len(found) > request.most:
            return Found(Result(4), tuple(found[: request.most]))
        if controls and (page := page_of(controls)) is not None:
            self.pages += 1
            start = int(page.cookie or b"0")
            behind = start + PAGE
            cookie = str(behind).encode() if behind < len(found) else b""
            told = tlv(SEQUENCE, integer(0) + tlv(OCTET_STRING, cookie))
            return Found(
                Result(0), tuple(found[start:behind]), (Control(PAGED_RESULTS, value=told),)
            )
        return Found(Result(0), tuple(found))

    def _answer(self, request: SearchRequest) -> Sequence[Entry] | int:
        wanted: Any = request.wanted
        if "1.2.840.113556.1.4.1941" in str(wanted):
            return self.chain
        if attributes_of(wanted) == {"distinguishedname"}:
            names = {each.value for each in wanted.operands}
            return [each for each in self.everything if each.dn in names]
        return self.found

    def _base(self, request: SearchRequest) -> Found:
        for each in self.everything:
            if each.dn == request.base:
                wanted = request.attributes[0]
                if ";range=" in wanted:
                    return Found(Result(0), (_step(each, wanted),))
                return Found(Result(0), (SearchEntry(each.dn, each.attributes),))
        return Found(Result(32), ())

    async def listening(self) -> Asks:
        return self

    async def close(self) -> None:
        self.closed += 1


def _step(each: Entry, wanted: str) -> SearchEntry:
    name, _, span = wanted.partition(";range=")
    first = int(span.partition("-")[0])
    values = each.attributes[f"all {name}"][first : first + STEP]
    behind = first + len(values)
    last = "*" if behind >= len(each.attributes[f"all {name}"]) else str(behind - 1)
    return SearchEntry(each.dn, {f"{name};range={first}-{last}": values} if values else {})


def large(members: int) -> Entry:
    """A group that comes with the first members only."""
    dns = tuple(f"uid=p{number},dc=test".encode() for number in range(members))
    known = group("all", "group")
    some = {"member": (), f"member;range=0-{STEP - 1}": dns[:STEP], "all member": dns}
    return Entry(known.dn, {**known.attributes, **some})


def entries_of(asks: Asks, members: int = 5000, clock: Clock | None = None) -> ServerEntries:
    schema = replace(AD_LIKE, members=members)
    monotonic = (clock or Clock()).seconds
    return ServerEntries(cast(Any, asks), "dc=test", schema, monotonic=monotonic)


def resolved(asks: Asks, one: Entry, members: int = 5000, clock: Clock | None = None) -> Group:
    schema = replace(AD_LIKE, members=members)
    return at_once(group_from(one, schema, entries_of(asks, members, clock)))


def people(count: int) -> list[Entry]:
    return [person(f"p{number}") for number in range(count)]


def test_L18_members_that_come_in_steps_are_all_read() -> None:
    whole = large(3200)
    asks = Asks(whole, *people(3200))
    found = resolved(asks, whole)
    assert len(found.members) == 3200
    steps = [each.attributes[0] for each in asks.asked if ";range=" in each.attributes[0]]
    assert steps == ["member;range=1500-*", "member;range=3000-*"]


@pytest.mark.parametrize("count", [STEP, 2 * STEP])
def test_L18_the_last_step_may_be_empty(count: int) -> None:
    whole = large(count)
    assert len(resolved(Asks(whole, *people(count)), whole).members) == count


def test_L18_a_group_of_too_many_is_trouble_before_all_is_read() -> None:
    whole = large(9000)
    asks = Asks(whole, *people(10))
    with pytest.raises(ExpansionFailed):
        resolved(asks, whole, members=2000)
    assert len(asks.asked) == 2


def test_L18_a_server_that_does_not_go_on_is_trouble() -> None:
    whole = large(3200)

    class Stuck(Asks):
        def _base(self, request: SearchRequest) -> Found:
            same = {"member;range=0-1499": whole.attributes["member;range=0-1499"]}
            return Found(Result(0), (SearchEntry(whole.dn, same),))

    with pytest.raises(LdapFailed):
        resolved(Stuck(whole), whole)


def test_L18_active_directory_is_asked_once_for_all_who_are_below() -> None:
    inner = group("inner", "group", member="uid=p1,dc=test")
    outer = group("outer", "group", member=("cn=inner,dc=test", "uid=p0,dc=test", *MANY))
    asks = Asks(capabilities=(b"1.2.3", ACTIVE_DIRECTORY.encode()))
    asks.chain = [*people(2), inner]
    found = resolved(asks, outer)
    assert set(found.members) == {"p0@x.test", "p1@x.test"}
    assert found.nested == ("inner",)
    assert [each.base for each in asks.asked] == ["", "dc=test"]
    chain = cast(Extensible, asks.asked[1].wanted)
    assert (chain.attribute, chain.rule, chain.value) == (
        "memberOf",
        ":1.2.840.113556.1.4.1941",
        "cn=outer,dc=test",
    )
    assert asks.asked[1].time_limit_s > 0


@pytest.mark.parametrize("code", [3, 11, 18, 51, 53])
def test_L18_where_the_chain_is_too_long_for_the_server_levels_are_asked(code: int) -> None:
    clock = Clock()
    inner = group("inner", "group", member="uid=p1,dc=test")
    outer = group("outer", "group", member=("cn=inner,dc=test", "uid=p0,dc=test", *MANY))
    asks = Asks(inner, *people(2), capabilities=(ACTIVE_DIRECTORY.encode(),))
    asks.chain = code
    entries = entries_of(asks, clock=clock)

    def chains() -> int:
        at_once(group_from(outer, AD_LIKE, entries))
        return sum("1.4.1941" in str(each.wanted) for each in asks.asked)

    assert set(at_once(group_from(outer, AD_LIKE, entries)).members) == {"p0@x.test", "p1@x.test"}
    assert chains() == 1  # and not again for a while
    clock.now += CHAIN_PAUSE_S
    assert chains() == 2


def test_L18_a_small_group_is_asked_for_by_level() -> None:
    outer = group("outer", "group", member="uid=p0,dc=test")
    asks = Asks(*people(1), capabilities=(ACTIVE_DIRECTORY.encode(),))
    assert resolved(asks, outer).members == ("p0@x.test",)
    assert all("1.4.1941" not in str(each.wanted) for each in asks.asked)


def test_L18_other_servers_are_not_asked_for_chains() -> None:
    outer = group("outer", "group", member=("uid=p0,dc=test", *MANY))
    asks = Asks(*people(1))
    asks.chain = []  # as they answer: nobody, without a word
    assert resolved(asks, outer).members == ("p0@x.test",)


def test_L18_a_persons_groups_are_one_question_to_active_directory() -> None:
    asks = Asks(capabilities=(ACTIVE_DIRECTORY.encode(),))
    asks.chain = [group("staff", "group"), group("silent", "group", mail=())]
    asks.found = [person("ann")]

    entries = entries_of(asks)
    ann = account_from(person("ann"), AD_LIKE)
    found = at_once(groups_around(ann, AD_LIKE, entries))
    assert [each.addresses[0] for each in found] == ["staff@x.test"]


def test_many_who_are_found_come_in_pages() -> None:
    asks = Asks()
    asks.found = people(2 * PAGE + 7)
    entries = entries_of(asks)
    search = Search(Present("objectClass"), 5000)
    assert len(at_once(entries.matching(search))) == 2 * PAGE + 7
    assert asks.pages == 3
    assert asks.closed == 1
    with pytest.raises(TooMany):
        at_once(entries.matching(replace(search, most=PAGE + 1)))
    with pytest.raises(TooMany):
        at_once(entries.matching(replace(search, most=3)))


@pytest.mark.parametrize(
    "base", ["dc=other", "dc=xtest", "cn=a\\,dc=test", "cn=a\\, dc=test", "DC=com", "dc=te\\,st"]
)
def test_F3_nothing_outside_the_base_is_searched(base: str) -> None:
    asks = Asks()
    with pytest.raises(FilterSyntax):
        at_once(entries_of(asks).matching(Search(Present("objectClass"), 10, base)))
    assert asks.asked == []
    at_once(entries_of(asks).matching(Search(Present("objectClass"), 10, "ou=a, DC=Test")))
    assert len(asks.asked) == 1


@pytest.mark.parametrize("code", [16, 18, 32, 34])
def test_a_search_that_the_server_refuses_is_a_dead_member(code: int) -> None:
    asks = Asks()
    asks.found = code
    dynamic = group("dyn", "msExchDynamicDistributionList", msExchDynamicDLFilter="(a=b)")
    found = resolved(asks, dynamic)
    assert found.members == ()
    assert len(found.dead) == 1


@pytest.mark.parametrize("code", [1, 2, 3, 50, 51, 52, 80])
def test_trouble_with_a_search_is_trouble(code: int) -> None:
    asks = Asks()
    asks.found = code
    dynamic = group("dyn", "msExchDynamicDistributionList", msExchDynamicDLFilter="(a=b)")
    with pytest.raises(LdapFailed):
        resolved(asks, dynamic)


def test_an_expansion_ends_in_time() -> None:
    clock = Clock()

    async def slowly() -> None:
        clock.now += 5.0

    whole = group("all", "group", member=[f"uid=p{number},dc=test" for number in range(900)])
    asks = Asks(*people(900))
    entries = entries_of(asks, clock=clock)
    found = group_from(whole, AD_LIKE, entries, pause=slowly, monotonic=clock.seconds)
    with pytest.raises(ExpansionFailed, match="not resolved within"):
        at_once(found)


def test_entries_in_one_go_are_few_at_a_time() -> None:
    """Whoever runs on the reactor's thread breathes between batches."""
    breaths: list[None] = []

    async def breathe() -> None:
        breaths.append(None)
        await _fired()

    whole = group("all", "group", member=[f"uid=p{number},dc=test" for number in range(900)])
    found = at_once(group_from(whole, AD_LIKE, entries_of(Asks(*people(900))), pause=breathe))
    assert len(found.members) == 900
    assert len(breaths) >= 9


async def _fired() -> None:
    done: Deferred[None] = Deferred()
    done.callback(None)
    await done


def test_people_by_login_are_asked_for_with_all_that_a_login_is_compared_with() -> None:
    asks = Asks()
    asks.found = [person("ann")]
    found = at_once(entries_of(asks).called(["ann", "bob"]))
    assert [each.dn for each in found] == ["uid=ann,dc=test"]
    wanted = cast(Any, asks.asked[0].wanted)
    assert isinstance(wanted.operands[1], Or)
    assert Equal("uid", "bob") in wanted.operands[1].operands
