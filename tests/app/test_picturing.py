"""Refreshing as a process does it: from its start as the leader to its end, asked by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.directories import Directories, Refreshed
from gateway.app.directory_care import directory_status, directory_warnings
from gateway.app.picturing import AllTold, NotRefreshing, Picturing
from gateway.cli.status import as_text
from gateway.core.account import Account
from gateway.core.directory_health import DirectoryHealth
from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.core.ports.people import PersonChange
from tests.directory.picture.world import Followers, World
from tests.support.reactor_pump import ReactorPump


class Nothing:
    """A directory that nobody asks here."""


def picturing_of(
    world: World, pump: ReactorPump, path: Path, followers: list[Followers]
) -> Picturing:
    refreshed = (Refreshed(world.source, world.asks, 30.0),)
    directory: object = Nothing()
    directories = Directories(directory, path / "directory.sqlite", refreshed=refreshed)  # type: ignore[arg-type]
    return Picturing(directories, pump.reactor, followers)


def status_of(picturing: Picturing) -> list[dict[str, object]]:
    return [dict(each) for each in directory_status([DirectoryHealth()], picturing.status())]


def test_the_leader_fills_the_picture_and_its_status_tells(tmp_path: Path) -> None:
    pump, world = ReactorPump(), World("pages", "csn", "sync", people=40)
    followers = [Followers(), Followers()]
    picturing = picturing_of(world, pump, tmp_path, followers)
    with pytest.raises(NotRefreshing):
        pump.wait(picturing.call("status", {}, "root"))
    picturing.start()
    pump.until(lambda: picturing.status()[0].listed_at and not picturing.status()[0].listing)
    assert [len(each.told) for each in followers] == [40, 40]
    (status,) = status_of(picturing)
    text = as_text(
        {
            "version": "1",
            "uptime_s": 1,
            "pid": 1,
            "listeners": [],
            "sessions": {},
            "queue": None,
            "directories": [status],
        }
    )
    assert "picture: 40 people, 0 groups" in text and "by syncrepl" in text
    assert not directory_warnings([status])
    pump.wait(picturing.stop())
    pump.close()


def test_an_administrator_accepts_what_was_held_back(tmp_path: Path) -> None:
    pump, world = ReactorPump(), World("pages", "csn", "sync", people=40)
    picturing = picturing_of(world, pump, tmp_path, [Followers()])
    picturing.start()
    pump.until(lambda: picturing.status()[0].people == 40 and not world.server.open_now)
    assert pump.wait(picturing.call("accept", {"source": None}, "root")) == {"accepted": {}}
    pump.wait(picturing.stop())
    world.server.delete(*(f"p{number:03}" for number in range(20)))
    picturing.start()
    pump.until(lambda: picturing.status()[0].stopped)
    (warning,) = directory_warnings(status_of(picturing))
    assert "20 of 40 people" in warning and "reconcile --accept" in warning
    accepted = pump.wait(picturing.call("accept", {"source": ""}, "root"))
    assert "20 of 40 people" in accepted["accepted"][""]  # type: ignore[index]
    pump.until(lambda: picturing.status()[0].people == 20)
    pump.wait(picturing.stop())
    pump.close()


@pytest.mark.parametrize("call", ["accept", "remove"])
def test_a_call_that_is_not_understood_says_what_is(tmp_path: Path, call: str) -> None:
    pump = ReactorPump()
    picturing = Picturing(Directories(Nothing(), tmp_path), pump.reactor, [])  # type: ignore[arg-type]
    with pytest.raises(GatewayError, match="expected status, or accept"):
        pump.wait(picturing.call(call, {"source": 1}, "root"))
    pump.close()


def test_who_cannot_note_something_holds_up_those_behind(tmp_path: Path) -> None:
    pump = ReactorPump()
    first, second = Followers(), Followers()
    first.refuses = 1
    told = AllTold([first, second])
    world = World(people=1)
    change = PersonChange("", None, _anybody(world))
    with pytest.raises(StoreUnavailable):
        pump.wait(told.changed([change]))
    assert not second.told
    pump.wait(told.changed([change]))
    assert first.told == second.told == [change]
    pump.close()


def _anybody(world: World) -> Account:
    world.server.offers |= {"pages", "stamps"}
    world.refresh()
    return next(iter(world.people().values()))
