"""What has changed is learnt without listing everybody, in each way that servers offer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.picture import questions, settle
from gateway.directory.picture.round import BEHIND_S, GONE_CHECK_S, LISTING_ONLY_S
from gateway.directory.picture.strategies.stamps import OVERLAP_S
from gateway.wire.ldap.messages import SearchRequest
from tests.directory.picture.world import World
from tests.support.ldap_fakes import BASE, FakeServer

SYNC = ("pages", "csn", "sync")
WAYS = {
    "syncrepl": SYNC,
    "csn": ("pages", "csn"),
    "usn": ("pages", "usn"),
    "timestamps": ("pages", "stamps"),
}
each_way = pytest.mark.parametrize("offers", WAYS.values(), ids=WAYS)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "PAGE", 4)
    monkeypatch.setattr(settle, "PAGE", 3)


def filled(*offers: str, people: int = 20) -> World:
    world = World(*offers, people=people)
    world.refresh()
    world.followers.take()
    world.clock.advance(30)
    return world


@pytest.mark.parametrize(("way", "offers"), WAYS.items(), ids=WAYS)
def test_the_root_dse_says_which_way(way: str, offers: tuple[str, ...]) -> None:
    world = filled(*offers)
    assert world.cursor.way == world.memory.progress.way == way


@each_way
def test_each_kind_of_change_is_seen_and_told_once(offers: tuple[str, ...]) -> None:
    world = filled(*offers)
    server = world.server
    server.add("new")
    server.modify("p001", mail="renamed@example.test")
    server.modify("p002", pwdAccountLockedTime="000001010000Z")
    server.delete("p003")
    server.move("p004", "uid=p004,ou=elsewhere,dc=other,dc=test")
    server.modify("p005", objectClass="device")
    world.clock.advance(GONE_CHECK_S)
    world.refresh()
    told = {each.account_id: each for each in world.followers.take()}
    by_login = {(each.after or each.before).login: each for each in told.values()}  # type: ignore[union-attr]
    assert set(by_login) == {"new", "p001", "p002", "p003", "p004", "p005"}
    assert by_login["new"].came
    assert by_login["p001"].former_addresses == ("p001@example.test",)
    assert by_login["p002"].was_disabled
    assert all(by_login[uid].left for uid in ("p003", "p004", "p005"))
    assert world.followers.listings == [""], "nobody was listed again"
    people = world.people()
    assert len(people) == 18
    assert people["p001"].addresses == ("renamed@example.test",)
    assert not people["p002"].enabled
    world.clock.advance(30)
    world.refresh()
    assert not world.followers.take()
    world.server.modify("p002", pwdAccountLockedTime="")
    world.refresh()
    (change,) = world.followers.take()
    assert change.was_enabled


@each_way
def test_who_is_back_is_new(offers: tuple[str, ...]) -> None:
    world = filled(*offers)
    world.server.delete("p001")
    world.clock.advance(GONE_CHECK_S)
    world.refresh()
    assert [each.left for each in world.followers.take()] == [True]
    world.server.add("p001")
    world.refresh()
    (change,) = world.followers.take()
    assert change.came and "p001" in world.people()


@pytest.mark.parametrize("offers", [SYNC, ("pages", "csn"), ("pages", "usn")])
def test_next_to_nothing_is_asked_while_nothing_changes(offers: tuple[str, ...]) -> None:
    world = filled(*offers)
    if "usn" in offers:
        world.clock.advance(GONE_CHECK_S)
        world.refresh()
    asked = world.refresh()
    assert set(asked) == {"(objectClass=*)"}
    assert world.state.refreshed_at == int(world.wall())


@each_way
def test_L15_an_error_in_any_question_changes_nothing_and_loses_nothing(
    offers: tuple[str, ...],
) -> None:
    world = filled(*offers)
    server = world.server
    step = 0
    failed = True
    while failed:
        step += 1
        server.modify("p001", mail=f"step{step}@example.test")
        gone = f"p{step + 2:03}"
        server.delete(gone)
        world.clock.advance(GONE_CHECK_S + 30)
        before, cursor = set(world.people()), world.state.cursor
        server.fails = partial(_lost_at, len(server.requests) + step)
        failed = False
        try:
            world.refresh()
        except LdapFailed:
            failed = True
            assert set(world.people()) == before
            assert world.state.cursor == cursor
        server.fails = lambda number, request: None
        world.refresh()
        assert gone not in world.people()
        assert world.people()["p001"].primary_address == f"step{step}@example.test"
    assert step > 3


def _lost_at(lost: int, number: int, request: SearchRequest) -> LdapFailed | None:
    return LdapFailed("lost") if number == lost else None


def test_without_a_session_log_the_server_says_who_is_there() -> None:
    world = filled(*SYNC)
    world.server.session_log = False
    world.server.delete("p007")
    world.server.modify("p008", displayName="Eight")
    world.refresh()
    assert "p007" not in world.people() and len(world.people()) == 19
    assert world.people()["p008"].display_name == "Eight"


def test_a_present_phase_that_breaks_off_removes_nobody() -> None:
    world = filled(*SYNC)
    world.server.session_log = False
    world.server.delete("p007")
    troubles: list[LdapFailed | int] = [LdapFailed("lost"), 51]

    def fails(number: int, request: SearchRequest) -> LdapFailed | int | None:
        return troubles[0] if request.wanted == world.source.everybody else None

    world.server.fails = fails
    while troubles:
        with pytest.raises(LdapFailed):
            world.refresh()
        assert len(world.people()) == 20
        del troubles[0]


@pytest.mark.parametrize("code", [4096, 53])
def test_a_cookie_that_the_server_does_not_take_means_a_listing(code: int) -> None:
    world = filled(*SYNC)
    world.server.delete("p007")
    syncs = 0

    def fails(number: int, request: SearchRequest) -> int | None:
        nonlocal syncs
        if request.wanted != world.source.everybody:
            return None
        syncs += 1
        return code if syncs == 1 else None

    world.server.fails = fails
    world.refresh()
    assert world.followers.listings == ["", ""]
    assert len(world.people()) == 19
    world.server.modify("p001", displayName="One")
    world.refresh()
    assert world.people()["p001"].display_name == "One"
    assert world.followers.listings == ["", ""]


@pytest.mark.parametrize("offers", [SYNC, ("pages", "csn")])
def test_a_replica_that_is_behind_is_waited_for_and_a_restored_server_listed(
    offers: tuple[str, ...],
) -> None:
    world = filled(*offers)
    stood, rows = world.server.changes, dict(world.server.rows)
    world.server.add("later")
    world.refresh()
    assert "later" in world.people()
    world.server.changes, world.server.rows = stood, rows
    for _ in range(2):
        with pytest.raises(LdapFailed, match="behind"):
            world.refresh()
        assert "later" in world.people()
        world.clock.advance(BEHIND_S / 2)
    world.refresh()
    assert "later" not in world.people(), "it has been listed and asked about"


def test_another_domain_controller_is_listed_and_the_first_one_remembered() -> None:
    world = filled("pages", "usn")
    first, second = b"\x01" * 16, b"\x02" * 16
    world.server.invocation = second
    world.refresh()
    assert world.followers.listings == ["", ""]
    world.server.modify("p001", displayName="One")
    world.refresh()
    assert world.followers.listings == ["", ""]
    assert set(world.cursor.position) >= {second.hex()}
    assert world.people()["p001"].display_name == "One"
    assert first.hex() not in world.cursor.position or world.cursor.position[first.hex()]


def test_a_domain_controller_that_went_back_is_listed() -> None:
    world = filled("pages", "usn")
    world.server.add("later")
    world.refresh()
    world.server.rows.popitem()
    world.server.changes -= 1
    world.refresh()
    assert world.followers.listings == ["", ""]
    assert "later" not in world.people()


def test_a_new_server_that_takes_writes_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = filled("pages", "csn")
    monkeypatch.setattr(
        FakeServer,
        "csn",
        staticmethod(lambda n: f"{FakeServer.stamp(n)[:-1]}.000000Z#000000#002#000000"),
    )
    world.server.modify("p001", displayName="One")
    world.refresh()
    assert world.followers.listings == ["", ""]


def test_the_clock_of_the_server_counts_and_not_ours() -> None:
    """By timestamps: whatever lies between the clocks, no change is missed and few are repeated."""
    world = filled("pages", "stamps")
    for number in range(5):
        world.clock.advance(300)
        world.server.modify(f"p{number:03}", displayName=f"step {number}")
        asked = world.refresh()
        assert world.people()[f"p{number:03}"].display_name == f"step {number}"
        (first,) = {each for each in asked if "modifyTimestamp>=" in each}
    asked_since = first.rpartition(">=")[2].rstrip(")")
    assert asked_since >= FakeServer.stamp(int(world.clock.seconds()) - 300 - OVERLAP_S)


def test_ids_are_listed_now_and_then_where_changes_do_not_tell_who_is_gone() -> None:
    world = filled("pages", "stamps")
    world.server.delete("p001")
    world.refresh()
    assert "p001" in world.people()
    world.clock.advance(GONE_CHECK_S)
    world.refresh()
    assert "p001" not in world.people()


@pytest.mark.parametrize("offers", [SYNC, ("pages", "usn")])
def test_a_question_about_the_server_that_fails_for_now_changes_no_way(
    offers: tuple[str, ...],
) -> None:
    world = filled(*offers)
    first = len(world.server.requests)
    world.server.fails = lambda number, request: 51 if number == first + 1 else None
    with pytest.raises(LdapFailed):
        world.refresh()
    world.refresh()
    assert world.followers.listings == [""]


def test_an_id_list_brings_who_was_missed() -> None:
    world = filled("pages", "stamps")
    world.server.add("missed", modifyTimestamp="19990101000000Z")
    row = world.server.rows[world.server.add("missed")]
    row.attributes["modifytimestamp"] = [b"19990101000000Z"]
    world.clock.advance(GONE_CHECK_S)
    world.refresh()
    assert "missed" in world.people()


def test_a_server_that_offers_nothing_is_listed_now_and_then() -> None:
    world = World("pages", people=5)
    for row in world.server.rows.values():
        del row.attributes["modifytimestamp"]
    world.refresh()
    assert world.cursor.way == "listing"
    assert not [each for each in world.refresh() if each == str(world.source.everybody)]
    world.server.delete("p001")
    world.clock.advance(LISTING_ONLY_S)
    world.refresh()
    assert len(world.people()) == 4


def test_settings_choose_the_way_or_say_that_it_is_not_there() -> None:
    world = World(*SYNC, people=2)
    world.change_source(way="csn")
    world.refresh()
    assert world.cursor.way == "csn"
    world.change_source(way="usn")
    with pytest.raises(LdapFailed, match="refresh_by = 'usn'"):
        world.refresh()


def test_a_cursor_of_another_version_means_a_listing() -> None:
    world = filled(*SYNC)
    for text in ("", "{}", "[1]", '{"version": 2}', "\x00", "[" * 5000):
        world.run(world.picture.note("", replace(world.state, cursor=text)))
        world.refresh()
        assert world.cursor.way == "syncrepl"
    assert len(world.followers.listings) == 7


def test_a_note_that_fails_is_learnt_again() -> None:
    world = filled(*SYNC)
    world.server.modify("p001", mail="x@example.test")

    def wrote(method: str) -> None:
        if method == "note":
            raise StoreUnavailable

    world.picture.wrote = wrote
    with pytest.raises(StoreUnavailable):
        world.refresh()
    world.picture.wrote = lambda method: None
    world.refresh()
    assert world.people()["p001"].addresses == ("x@example.test",)
    assert len(world.followers.take()) == 1


def test_a_person_who_becomes_a_group_is_gone_as_a_person() -> None:
    world = filled(*SYNC)
    world.server.modify("p001", objectClass="groupOfNames", member=f"uid=p002,ou=people,{BASE}")
    world.refresh()
    (change,) = world.followers.take()
    assert change.left
    assert (world.state.people, world.state.groups) == (19, 1)
