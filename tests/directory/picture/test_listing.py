"""Listing everybody: complete or without consequences."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.picture import questions
from gateway.directory.presets.openldap import OPENLDAP
from gateway.wire.ldap.filters import Equal
from gateway.wire.ldap.messages import SearchRequest
from tests.directory.picture.world import World, asked_for_everybody
from tests.support.ldap_fakes import BASE
from tests.support.programs import run

SYNC = ("pages", "csn", "sync", "stamps")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "PAGE", 4)


def test_everybody_comes_into_the_picture() -> None:
    world = World(*SYNC, people=10)
    world.server.add_group("staff", [f"uid=p000,ou=people,{BASE}"], mail="staff@example.test")
    world.refresh()
    assert len(world.people()) == 10
    assert (world.state.people, world.state.groups) == (10, 1)
    assert world.state.listed_at == world.state.refreshed_at == int(world.wall())
    assert [each.came for each in world.followers.told] == [True] * 10
    assert world.followers.listings == [""]


def test_a_restart_goes_on_without_a_listing() -> None:
    world = World(*SYNC, people=10)
    world.refresh()
    world.restart()
    world.clock.advance(30)
    world.server.modify("p003", mail="new@example.test")
    asked = world.refresh()
    assert world.people()["p003"].primary_address == "new@example.test"
    assert world.followers.listings == [""], "one listing in all"
    assert len([each for each in asked if each == str(world.source.everybody)]) == 1, "the refresh"


@pytest.mark.parametrize("trouble", [LdapFailed("connection lost"), 4, 11, 51], ids=str)
@pytest.mark.parametrize("page", [1, 2, 3])
def test_L19_a_listing_that_breaks_off_at_any_page_removes_nobody(
    page: int, trouble: LdapFailed | int
) -> None:
    world = World("pages", "csn", people=14)
    world.refresh()
    before = set(world.people())
    for uid in ("p001", "p009"):
        world.server.delete(uid)
    world.picture.states.clear()  # so that everybody is listed again
    pages = 0

    def fails(number: int, request: SearchRequest) -> LdapFailed | int | None:
        nonlocal pages
        pages += request.wanted == world.source.everybody
        return trouble if pages == page else None

    world.server.fails = fails
    with pytest.raises(LdapFailed):
        world.refresh()
    assert set(world.people()) == before
    assert world.state.listed_at == 0
    world.server.fails = lambda number, request: None
    world.refresh()
    assert before - set(world.people()) == {"p001", "p009"}


def test_L19_a_server_that_gives_fewer_than_there_are_is_not_believed() -> None:
    world = World("csn", people=9)
    world.server.most = 5
    with pytest.raises(LdapFailed, match="raise its size limit"):
        world.refresh()
    assert world.state.listed_at == 0


def test_a_server_that_pages_and_says_nothing_of_it_is_not_believed() -> None:
    world = World("pages", "csn", people=3)
    world.server.offers.add("silent")
    listening = world.run(world.asks.listening())
    world.server.offers.discard("pages")

    async def take(found: object) -> None:
        raise AssertionError("nothing may be taken")

    with pytest.raises(LdapFailed, match="whether more follows"):
        world.run(questions.in_pages(listening, world.source.listing(), take))


def test_an_empty_directory_makes_no_picture() -> None:
    world = World(*SYNC)
    with pytest.raises(LdapFailed, match="base_dn"):
        world.refresh()
    assert world.state.listed_at == 0


def test_L25_an_entry_that_cannot_be_used_stops_nobody() -> None:
    world = World(*SYNC, people=6)
    world.server.modify("p002", uid="", mail="a\r\nb")
    world.refresh()
    assert len(world.people()) == 5
    assert world.memory.progress.unusable == 1
    assert "p002" in world.memory.progress.unusable_examples[0]


def test_L25_who_becomes_unusable_stays_as_last_seen() -> None:
    world = World(*SYNC, people=6)
    world.refresh()
    world.server.modify("p002", uid="", mail="")
    world.refresh()
    assert world.people()["p002"].primary_address == "p002@example.test"
    world.clock.advance(world.source.listing_s)
    world.refresh()
    assert world.people()["p002"].primary_address == "p002@example.test"


def test_who_was_skipped_while_pages_came_is_asked_about_by_id() -> None:
    """A listing misses somebody, as when entries move while it runs."""
    world = World(*SYNC, people=10)
    world.refresh()
    world.clock.advance(world.source.listing_s)
    hidden = world.server.rows.pop(next(iter(world.server.rows)))
    pages = 0

    def fails(number: int, request: SearchRequest) -> None:
        nonlocal pages
        if request.wanted == world.source.everybody:
            pages += 1
        elif pages:
            world.server.rows[hidden.attributes["entryuuid"][0].decode()] = hidden

    world.server.fails = fails
    asked = world.refresh()
    assert len(world.people()) == 10
    assert any(hidden.attributes["entryuuid"][0].decode() in each for each in asked)
    assert not [each for each in world.followers.told if each.left]


def test_L15_an_error_while_asking_by_id_removes_nobody() -> None:
    for trouble in (LdapFailed("gone"), 1, 4, 32, 50, 80):
        world = World("pages", "csn", people=10)
        world.refresh()
        world.server.delete("p004")
        world.clock.advance(world.source.listing_s)

        def fails(
            number: int, request: SearchRequest, trouble: LdapFailed | int = trouble
        ) -> LdapFailed | int | None:
            return trouble if "entryUUID" in str(request.wanted) else None

        world.server.fails = fails
        with pytest.raises(LdapFailed):
            world.refresh()
        assert "p004" in world.people()
        world.server.fails = lambda number, request: None
        world.refresh()
        assert "p004" not in world.people()


def test_a_base_that_is_gone_removes_nobody() -> None:
    world = World("pages", people=4)
    world.refresh()
    world.clock.advance(world.source.listing_s)
    world.server.fails = lambda number, request: 32
    with pytest.raises(LdapFailed, match="there is no such base"):
        world.refresh()
    assert len(world.people()) == 4


def test_a_full_listing_comes_every_listing_hours() -> None:
    world = World(*SYNC, people=3)
    world.refresh()
    world.clock.advance(world.source.listing_s - 1)
    assert not asked_for_everybody(world.refresh(), world)
    world.clock.advance(1)
    assert asked_for_everybody(world.refresh(), world)
    assert world.followers.listings == ["", ""]


def test_other_settings_mean_a_listing() -> None:
    world = World(*SYNC, people=3)
    world.refresh()
    world.change_source(schema=replace(OPENLDAP, display_attributes=("uid",)))
    world.refresh()
    assert world.followers.listings == ["", ""]
    world.refresh()
    assert world.followers.listings == ["", ""]


def test_a_picture_that_cannot_be_written_is_filled_later() -> None:
    for method in ("new_listing", "put", "count_unseen", "unseen", "note"):
        world = World(*SYNC, people=6)

        def wrote(called: str, method: str = method) -> None:
            if called == method:
                raise StoreUnavailable

        world.picture.wrote = wrote
        with pytest.raises(StoreUnavailable):
            world.refresh()
        assert world.state.listed_at == 0
        world.picture.wrote = lambda called: None
        world.refresh()
        assert len(world.people()) == 6 and world.state.listed_at


def test_whoever_follows_hears_it_again_until_they_have_noted_it() -> None:
    world = World(*SYNC, people=3)
    world.refresh()
    world.followers.take()
    world.followers.refuses = 1
    world.server.modify("p001", mail="other@example.test")
    with pytest.raises(StoreUnavailable):
        world.refresh()
    assert world.people()["p001"].primary_address == "p001@example.test"
    world.refresh()
    (change,) = world.followers.take()
    assert change.former_addresses == ("p001@example.test",)


def test_L18_members_in_ranges_are_fetched_to_the_end() -> None:
    world = World("pages", "stamps", people=1)
    dns = [f"uid=m{number},{BASE}" for number in range(10)]
    group = world.server.add_group("many", dns[:4], mail="many@example.test")
    row = world.server.rows[group]
    values = row.attributes.pop("member")
    row.attributes["member;range=0-3"] = values
    ranges = {4: ("member;range=4-7", dns[4:8]), 8: ("member;range=8-*", dns[8:])}

    def fails(number: int, request: SearchRequest) -> None:
        for first, (name, each) in ranges.items():
            if request.attributes == (f"member;range={first}-*",):
                for old in [key for key in row.attributes if key.startswith("member;")]:
                    del row.attributes[old]
                row.attributes[name] = [value.encode() for value in each]

    world.server.fails = fails
    world.refresh()
    kept = world.picture.entries["", group]
    assert [key for kind, key in kept.keys if kind == 4] == dns


def test_L18_members_that_cannot_be_had_stop_the_listing() -> None:
    world = World("pages", "stamps", people=1)
    group = world.server.add_group("many", ["uid=m"], mail="many@example.test")
    row = world.server.rows[group]
    row.attributes["member;range=0-0"] = row.attributes.pop("member")
    with pytest.raises(LdapFailed, match="from number 1 on are missing"):
        world.refresh()
    assert ("", group) not in world.picture.entries


def test_contacts_come_and_go_and_are_no_people() -> None:
    world = World(
        "pages", "stamps", schema=replace(OPENLDAP, contact=Equal("objectClass", "contact"))
    )
    world.server.add("p")
    names = [f"c{number}" for number in range(120)]
    for name in names:
        world.server.add(name, f"cn={name},{BASE}", objectClass="contact")
    world.refresh()
    assert (world.state.people, world.state.groups) == (1, 0)
    assert len(world.picture.entries) == 121
    world.server.delete(*names)
    world.clock.advance(world.source.listing_s)
    world.refresh()
    assert len(world.picture.entries) == 1 and not world.state.stopped


def test_all_processes_ask_alike() -> None:
    """Sets have another order in each, and a fingerprint of its own would list everybody anew."""
    program = (
        "from gateway.directory.picture.source import Source\n"
        "from gateway.directory.presets.table import PRESETS\n"
        "print([Source('', 'dc=x', each, None).fingerprint for each in PRESETS.values()])\n"
    )
    told = {
        run(
            [sys.executable, "-c", program],
            environ={"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(told) == 1
