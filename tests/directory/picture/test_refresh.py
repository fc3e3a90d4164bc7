"""When refreshing happens: at once, again and again, one at a time, and no more after the end."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.ports.picture import EntryKind, KeyKind, PicturedEntry
from gateway.directory.ldap.asking import Found, LdapFailed
from gateway.directory.picture.briefs import brief_of
from gateway.directory.picture.refresh import RETRY_S, UNREACHED_S, Refresher
from tests.directory.picture.world import World
from tests.support.ldap_fakes import FakeListening

SYNC = ("pages", "csn", "sync")


def started(world: World, refresh_s: float = 30.0) -> Refresher:
    refresher = world.refresher(refresh_s)
    refresher.start()
    world.rest()
    return refresher


def rest_of(world: World) -> float:
    """Until the next refresh."""
    calls: Any = world.clock.getDelayedCalls()
    return float(calls[0].getTime() - world.clock.seconds())


def test_it_begins_at_once_and_goes_on() -> None:
    world = World(*SYNC, people=5)
    refresher = started(world)
    assert len(world.people()) == 5 and world.server.open_now == 0
    world.server.add("new")
    world.clock.advance(29)
    world.rest()
    assert "new" not in world.people()
    world.clock.advance(1)
    world.rest()
    assert "new" in world.people()
    world.run(refresher.stop())
    assert not world.clock.getDelayedCalls()


def test_another_leader_goes_on_from_the_cursor() -> None:
    world = World(*SYNC, people=5)
    world.run(started(world).stop())
    world.server.add("new")
    second = started(world)
    assert "new" in world.people() and world.followers.listings == [""]
    world.run(second.stop())


def test_attempts_that_fail_grow_rarer() -> None:
    world = World(*SYNC, people=5)
    world.server.fails = lambda number, request: LdapFailed("no answer in time")
    refresher = started(world)
    assert refresher.status().error == "no answer in time"
    waits = []
    for _ in range(9):
        waits.append(rest_of(world))
        world.clock.advance(waits[-1])
        world.rest()
    assert waits[:4] == [1, 2, 4, 8] and waits[-1] == RETRY_S
    world.server.fails = lambda number, request: None
    refresher.wake()
    world.rest()
    assert len(world.people()) == 5 and not refresher.status().error
    world.run(refresher.stop())


def test_a_server_that_is_back_is_asked_at_once(logged: list[str]) -> None:
    world = World(*SYNC, people=5)
    world.server.down = True
    refresher = started(world)
    assert refresher.status().error == "connection refused"
    for _ in range(100):
        world.clock.advance(1)
        world.rest()
    world.server.down = False
    world.clock.advance(UNREACHED_S)
    world.rest()
    assert len(world.people()) == 5 and not refresher.status().error
    assert len([each for each in logged if "connection refused" in each]) == 1
    world.run(refresher.stop())


def test_a_long_refresh_is_followed_by_a_longer_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(*SYNC, people=5)
    held = Held(monkeypatch)
    refresher = started(world)
    world.clock.advance(20)
    held.release()
    world.rest()
    assert rest_of(world) == 150
    world.run(refresher.stop())


def test_two_never_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(*SYNC, people=5)
    held = Held(monkeypatch)
    refresher = started(world)
    for _ in range(3):
        refresher.wake()
        refresher.start()
    world.rest()
    assert world.server.opened == 1
    held.release()
    world.rest()
    assert world.server.opened == 2, "once more, for all who asked meanwhile"
    world.run(refresher.stop())


def test_the_end_waits_for_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(*SYNC, people=5)
    Held(monkeypatch)
    refresher = started(world)
    world.run(refresher.stop())
    assert world.server.open_now == 0
    assert not world.clock.getDelayedCalls()
    refresher.wake()
    world.clock.advance(1000)
    assert world.server.opened == 1


def test_what_cannot_be_foreseen_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(*SYNC, people=5)
    with monkeypatch.context() as broken:
        broken.setattr(world.picture, "state", _broken)
        refresher = world.refresher()
        refresher.start()
        world.rest()
    assert "unexpected error" in refresher.status().error
    world.clock.advance(30)
    world.rest()
    assert len(world.people()) == 5
    world.run(refresher.stop())


def _broken(source: str) -> None:
    raise ZeroDivisionError


def test_an_administrators_word_lets_it_go_on_at_once() -> None:
    world = World(*SYNC, people=40)
    refresher = started(world)
    assert refresher.accept() == ""
    world.server.delete(*(f"p{number:03}" for number in range(20)))
    world.clock.advance(30)
    world.rest()
    assert "20 of 40" in refresher.status().stopped
    assert "20 of 40" in refresher.accept()
    world.rest()
    assert refresher.status().stopped == "" and refresher.status().people == 20
    world.run(refresher.stop())


def test_an_administrators_word_outlasts_a_failure() -> None:
    world = World(*SYNC, people=40)
    refresher = started(world)
    world.server.delete(*(f"p{number:03}" for number in range(20)))
    world.clock.advance(30)
    world.rest()
    world.server.down = True
    refresher.accept()
    world.rest()
    assert refresher.status().people == 40
    world.server.down = False
    world.clock.advance(60)
    world.rest()
    assert refresher.status().people == 20
    world.run(refresher.stop())


def test_status_tells_what_several_have_and_what_cannot_be_used() -> None:
    world = World(*SYNC, people=3)
    world.server.modify("p001", mail=["p001@example.test", "p002@example.test"])
    world.server.add("broken", uid="", mail="")
    refresher = started(world)
    status = refresher.status()
    (shared,) = [each for each in status.shared if each.what == "address"]
    assert shared.key == "p002@example.test" and len(shared.owners) == 2
    assert status.unusable == 1 and "broken" in status.unusable_examples[0]
    assert (status.people, status.way, status.server) == (3, "syncrepl", "ldap://fake")
    assert status.seen == 4 and not status.listing
    world.run(refresher.stop())


def test_what_two_directories_have_is_told_by_name_and_whose_it_is(logged: list[str]) -> None:
    world = World(*SYNC, people=3)
    account = Account(
        AccountId("7"), "bob", "bob@branch.test", ("bob@branch.test", "p002@example.test")
    )
    keys = ((KeyKind.ADDRESS, "p002@example.test"),)
    other = PicturedEntry("branch", "7", EntryKind.PERSON, brief_of(account), b"", keys)
    world.run(world.picture.put([other]))
    refresher = started(world)
    (shared,) = refresher.status().shared
    assert shared.owners == ("'p002@example.test'", "'bob@branch.test' (branch)")
    (told,) = [each for each in logged if "several entries" in each]
    assert "[directory]" in told and "comes first in the settings" in told
    world.run(refresher.stop())


def test_a_picture_that_cannot_be_read_is_tried_again() -> None:
    world = World(*SYNC, people=3)

    def wrote(method: str) -> None:
        raise StoreUnavailable("the disk is full")

    world.picture.wrote = wrote
    refresher = started(world)
    assert "the disk is full" in refresher.status().error
    world.picture.wrote = lambda method: None
    world.clock.advance(1)
    world.rest()
    assert len(world.people()) == 3
    world.run(refresher.stop())


class Held:
    """The first search of all is answered when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._released: Deferred[None] | None = Deferred()
        search = FakeListening.search

        async def late(listening: FakeListening, *args: object, **kw: object) -> Found:
            if self._released is not None and not self._released.called:
                await self._released
            return await search(listening, *args, **kw)  # type: ignore[arg-type]

        monkeypatch.setattr(FakeListening, "search", late)

    def release(self) -> None:
        assert self._released is not None
        self._released.callback(None)


def test_failures_that_stay_the_same_are_logged_once(logged: list[str]) -> None:
    world = World(*SYNC, people=3)
    world.server.fails = lambda number, request: LdapFailed("no answer in time")
    refresher = started(world)
    for _ in range(5):
        world.clock.advance(60)
        world.rest()
    assert len([each for each in logged if "no answer in time" in each]) == 1
    world.run(refresher.stop())
