"""When notes of people are compared with the directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.app.people_care import EVERY_S, FIRST_S, SOON_S, PeopleCare
from gateway.core.errors import StoreUnavailable
from gateway.core.settings.model import Settings
from gateway.people.following import Compared
from tests.people.world import Folk
from tests.store.house import House


def care(house: House, tmp_path: Path, **directory: Any) -> tuple[PeopleCare, Clock, list[float]]:
    """With the times at which people are compared."""
    settings = Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "state_dir": str(tmp_path),
            "domains": {"example.test": {}},
            "directory": directory,
        }
    )
    clock = Clock()
    folk: Any = Folk()
    made = PeopleCare(settings, folk, house.store, clock, lambda: house.now)
    compared: list[float] = []

    async def compare() -> Compared:
        compared.append(clock.seconds())
        return Compared()

    made.follower.compare = compare  # type: ignore[method-assign, assignment]
    return made, clock, compared


LDAP: dict[str, Any] = {
    "kind": "ldap",
    "uri": ["ldap://127.0.0.1"],
    "base_dn": "dc=example,dc=test",
}
LDIF: dict[str, Any] = {"kind": "ldif", "path": "x"}


def test_first_after_a_while_and_soon_after_each_listing(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        made, clock, compared = care(house, tmp_path, **LDAP)
        made._soon()
        clock.advance(2 * FIRST_S)
        assert compared == [], "somebody else leads"
        made.start()
        clock.advance(FIRST_S - SOON_S - 1)
        house.wait(made.follower.listed(""))
        clock.advance(SOON_S)
        assert len(compared) == 1
        clock.advance(10 * EVERY_S)
        assert len(compared) == 1, "whoever changes is told of"
        house.wait(made.stop())


def test_a_directory_without_a_picture_is_looked_at_now_and_then(tmp_path: Path) -> None:
    for number, section in enumerate((LDIF, {**LDAP, "picture": False})):
        with House(tmp_path / str(number)) as house:
            made, clock, compared = care(house, tmp_path, **section)
            made.start()
            clock.advance(FIRST_S)
            clock.advance(EVERY_S)
            clock.advance(EVERY_S)
            assert compared == [FIRST_S, FIRST_S + EVERY_S, FIRST_S + 2 * EVERY_S]
            house.wait(made.stop())
            assert clock.getDelayedCalls() == []


def test_one_at_a_time_trouble_is_told_and_the_end_cuts_it_short(
    tmp_path: Path, logged: list[str]
) -> None:
    with House(tmp_path) as house:
        made, clock, _ = care(house, tmp_path, **LDAP)
        running: list[Deferred[Compared]] = []

        async def compare() -> Compared:
            running.append(Deferred())
            return await running[-1]

        made.follower.compare = compare  # type: ignore[method-assign, assignment]
        made.start()
        clock.advance(FIRST_S)
        house.wait(made.follower.listed(""))
        clock.advance(EVERY_S)
        assert len(running) == 1
        running[0].errback(StoreUnavailable(reason="disk"))
        clock.advance(SOON_S)
        assert len(running) == 2 and any("people are not compared" in line for line in logged)
        running[1].callback(Compared(unfinished="away"))
        assert any("later" in line for line in logged)
        house.wait(made.follower.listed(""))
        clock.advance(SOON_S)
        house.wait(made.stop())
        assert len(running) == 3 and running[2].called
