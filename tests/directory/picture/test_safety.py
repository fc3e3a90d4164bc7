"""A mass change stops and asks: nobody is lost by a mistake in the directory or in settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.directory.picture.round import LEFT_WINDOW_S, STOPPED_LISTING_S
from gateway.directory.picture.safety import FEW, Leaving, objection
from gateway.directory.presets.openldap import OPENLDAP
from gateway.wire.ldap.filters import And, Equal, Not
from tests.directory.picture.world import World

WAYS = {
    "syncrepl": ("pages", "csn", "sync"),
    "usn": ("pages", "usn"),
    "timestamps": ("pages", "stamps"),
}
each_way = pytest.mark.parametrize("offers", WAYS.values(), ids=WAYS)


def filled(*offers: str, people: int = 40) -> World:
    world = World(*(offers or WAYS["syncrepl"]), people=people)
    world.refresh()
    world.followers.take()
    world.clock.advance(600)
    return world


def uids(count: int, first: int = 0) -> list[str]:
    return [f"p{number:03}" for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("leaving", "known", "stops"),
    [(0, 0, False), (10, 12, False), (11, 40, True), (11, 55, False), (12, 55, True), (3, 3, True)],
)
def test_the_rule(leaving: int, known: int, stops: bool) -> None:
    assert bool(objection(Leaving(leaving, 0, 0, known, 0), 20)) is stops


@each_way
def test_too_many_who_are_gone_stop_it_until_somebody_accepts(offers: tuple[str, ...]) -> None:
    world = filled(*offers)
    world.server.delete(*uids(12))
    world.refresh()
    assert len(world.people()) == 40
    assert "12 of 40 people are not found any more" in world.state.stopped
    assert "(such as 'p0" in world.state.stopped
    assert not [each for each in world.followers.take() if each.left]
    world.clock.advance(STOPPED_LISTING_S)
    world.refresh()
    assert len(world.people()) == 40 and world.state.stopped
    world.refresh(accepted=True)
    assert len(world.people()) == 28
    assert not world.state.stopped
    assert len([each for each in world.followers.take() if each.left]) == 12


@each_way
def test_too_many_who_are_disabled_stop_it(offers: tuple[str, ...]) -> None:
    world = filled(*offers)
    for uid in uids(12):
        world.server.modify(uid, pwdAccountLockedTime="000001010000Z")
    world.refresh()
    assert "12 of 40 people are disabled" in world.state.stopped
    assert all(each.enabled for each in world.people().values())
    world.refresh(accepted=True)
    assert sum(not each.enabled for each in world.people().values()) == 12
    assert sum(each.was_disabled for each in world.followers.take()) == 12


def test_addresses_that_all_vanish_are_kept() -> None:
    """As when an access rule hides the attribute from the service account."""
    world = filled()
    for uid in uids(40):
        world.server.modify(uid, mail="")
    world.refresh()
    assert "lost their addresses" in world.state.stopped
    assert all(each.addresses for each in world.people().values())


def test_others_still_come_and_change_while_it_has_stopped() -> None:
    world = filled()
    world.server.delete(*uids(12))
    world.refresh()
    world.server.add("new")
    world.server.modify("p030", mail="other@example.test")
    world.refresh()
    people = world.people()
    assert "new" in people and people["p030"].addresses == ("other@example.test",)
    assert world.state.stopped and "p000" in people


def test_a_directory_that_is_mended_goes_on_by_itself() -> None:
    world = filled()
    world.server.delete(*uids(12))
    world.refresh()
    for uid in uids(12):
        world.server.add(uid)
    world.clock.advance(STOPPED_LISTING_S)
    world.refresh()
    assert not world.state.stopped
    assert len(world.people()) == 40 and not world.followers.take()


def test_more_than_was_accepted_stops_it_again() -> None:
    world = filled()
    world.server.delete(*uids(12))
    world.refresh()
    world.server.delete(*uids(12 + FEW, first=12))
    world.refresh(accepted=True)
    assert "more than the 12 that were accepted" in world.state.stopped
    assert len(world.people()) == 40


def test_a_loss_in_small_steps_is_one_all_the_same() -> None:
    world = filled()
    for start in range(0, 30, 5):
        world.server.delete(*uids(5, first=start))
        world.clock.advance(30)
        world.refresh()
    assert world.state.stopped
    assert len(world.people()) == 30, "up to ten leave without a question"


def test_losses_of_long_ago_do_not_count() -> None:
    world = filled()
    for start in range(0, 20, 5):
        world.server.delete(*uids(5, first=start))
        world.clock.advance(LEFT_WINDOW_S)
        world.refresh()
    assert not world.state.stopped and len(world.people()) == 20


def test_an_answer_that_holds_nobody_removes_nobody() -> None:
    world = filled(people=3)
    world.server.delete(*uids(3))
    world.refresh()
    assert "nobody would be left" in world.state.stopped
    world.clock.advance(world.source.listing_s)
    world.refresh()
    assert len(world.people()) == 3 and world.state.stopped


@each_way
@pytest.mark.parametrize("days", [10, -400])
def test_a_clock_that_jumps_removes_nobody_and_stops_nothing(
    offers: tuple[str, ...], days: int
) -> None:
    world = filled(*offers)
    world.jumped_s = days * 86_400
    world.server.add("new")
    world.refresh()
    assert len(world.people()) == 41
    assert world.state.refreshed_at == int(world.wall())
    world.server.delete(*uids(12))
    for _ in range(3):
        world.clock.advance(STOPPED_LISTING_S)
        world.refresh()
    assert "12 of 41" in world.state.stopped and len(world.people()) == 41


def test_groups_are_kept_likewise() -> None:
    world = World(*WAYS["syncrepl"], people=5)
    for number in range(20):
        world.server.add_group(f"g{number}", ["uid=x"], mail=f"g{number}@example.test")
    world.refresh()
    world.server.delete(*(f"g{number}" for number in range(11)))
    world.refresh()
    assert "11 of 20 groups" in world.state.stopped and world.state.groups == 20


def test_other_settings_lose_nobody_without_a_word() -> None:
    world = filled()
    narrower = And((OPENLDAP.person, Not(Equal("uid", "p007"))))
    world.change_source(schema=replace(OPENLDAP, person=narrower))
    for _ in range(2):
        world.refresh()
        assert "since the settings of the directory changed" in world.state.stopped
        assert "p007" in world.people()
        world.clock.advance(STOPPED_LISTING_S)
    world.refresh(accepted=True)
    assert not world.state.stopped and "p007" not in world.people()


def test_other_settings_under_which_all_are_found_ask_nobody() -> None:
    world = filled()
    world.change_source(schema=replace(OPENLDAP, display_attributes=("uid",)))
    world.refresh()
    assert not world.state.stopped
    assert world.people()["p001"].display_name == "p001"


def test_other_settings_whose_listing_breaks_off_lose_nobody() -> None:
    world = filled()
    world.change_source(base="ou=people,dc=example,dc=test")
    world.server.fails = lambda number, request: 4
    with pytest.raises(Exception, match="result code 4"):
        world.refresh()
    assert len(world.people()) == 40
