"""Where directories say when they lock people, and that trouble with it stops nobody (L22)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from gateway.core.ports.may_ask import Lockout
from gateway.directory.ldap.asking import Found, LdapFailed
from gateway.directory.ldap.lockout import (
    AD_ATTRIBUTES,
    KEPT_NOTHING_S,
    KEPT_S,
    Lockouts,
    password_attributes,
)
from gateway.wire.ldap.messages import Control, Result, SearchEntry, SearchRequest
from tests.auth.desk_world import now_of

BASE = "ou=people,dc=example,dc=test"
SUFFIX = "dc=example,dc=test"
ROOT = {"namingcontexts": ["dc=other", SUFFIX]}


class Servers:
    """Entries by base DN; what is not there has none."""

    def __init__(self, **entries: dict[str, list[str]]) -> None:
        self.entries: dict[str, dict[str, list[str]]] = {"": ROOT, **entries}
        self.fails = False
        self.asked: list[str] = []

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        self.asked.append(request.base)
        if self.fails:
            raise LdapFailed("gone")
        told = self.entries.get(request.base)
        attributes = {n: [v.encode() for v in values] for n, values in (told or {}).items()}
        found = (SearchEntry(request.base, attributes),) if told is not None else ()
        return Found(Result(0), found)


class Slow(Servers):
    """Who answers when the test says so."""

    def __init__(self, **entries: dict[str, list[str]]) -> None:
        super().__init__(**entries)
        self._waiting: list[Deferred[None]] = []

    async def search(self, request: SearchRequest, controls: Sequence[Control] = ()) -> Found:
        self._waiting.append(Deferred())
        found = await super().search(request, controls)
        await self._waiting[-1]
        return found

    def answer(self) -> None:
        self._waiting.pop().callback(None)


class World:
    def __init__(self, servers: Servers) -> None:
        self.now = 1000.0
        anything: Any = servers
        self.lockouts = Lockouts(
            anything, BASE, wall_clock=lambda: 1_700_000_000.0, monotonic=lambda: self.now
        )

    def lockout(self, policy: str = "") -> Lockout | None:
        return now_of(self.lockouts.lockout(policy))


@pytest.mark.parametrize(
    ("where", "entry", "expected"),
    [
        ("dc=ad", {"lockoutthreshold": ["10"], "lockoutobservationwindow": ["-18000000000"]},
         Lockout(10, 1800)),
        ("dc=ad", {"lockoutthreshold": ["0"], "lockoutobservationwindow": ["-18000000000"]},
         Lockout(0, 1800)),
        (SUFFIX, {"pwdlockout": ["TRUE"], "pwdmaxfailure": ["5"],
                  "pwdfailurecountinterval": ["600"]}, Lockout(5, 600)),
        (SUFFIX, {"pwdlockout": ["FALSE"], "pwdmaxfailure": ["5"]}, Lockout(0, 0)),
        (SUFFIX, {"krbpwdmaxfailure": ["6"], "krbpwdfailurecountinterval": ["60"]}, Lockout(6, 60)),
        ("cn=config", {"passwordlockout": ["on"], "passwordmaxfailure": ["3"],
                       "passwordresetfailurecount": ["600"]}, Lockout(3, 600)),
        ("cn=config", {"passwordlockout": ["off"], "passwordmaxfailure": ["3"]}, Lockout(0, 0)),
        ("nowhere", {}, None),
        (SUFFIX, {"pwdlockout": ["TRUE"], "pwdmaxfailure": ["rubbish"]}, Lockout(0, 0)),
    ],
)  # fmt: skip
def test_L22_where_a_directory_says_it(
    where: str, entry: dict[str, list[str]], expected: Lockout | None
) -> None:
    servers = Servers(**{where: entry})
    if where == "dc=ad":
        servers.entries[""] = {**ROOT, "defaultnamingcontext": ["dc=ad"]}
    assert World(servers).lockout() == expected


def test_L22_a_policy_of_ones_own_comes_first_and_is_remembered_for_a_while() -> None:
    servers = Servers(**{"cn=short": {
        "msds-lockoutthreshold": ["3"], "msds-lockoutobservationwindow": ["-9223372036854775808"],
    }})  # fmt: skip
    world = World(servers)
    entry = {"msds-resultantpso": [b"cn=short"], "pwdlastset": [b"133"], "badpwdcount": [b"2"]}
    for _ in range(5):
        state = now_of(world.lockouts.state_of(entry))
        assert (state.changed, state.failures) == ("133", 2)
        assert state.lockout is not None and state.lockout.threshold == 3
    assert servers.asked == ["cn=short"]
    world.now += KEPT_S
    now_of(world.lockouts.state_of(entry))
    assert servers.asked == ["cn=short"] * 2


def test_L22_trouble_is_no_policy_and_stops_no_login() -> None:
    servers = Servers()
    servers.fails = True
    world = World(servers)
    assert world.lockout() is None
    assert world.lockout() is None
    assert len(servers.asked) == 1
    servers.fails = False
    servers.entries[SUFFIX] = {"krbpwdmaxfailure": ["6"]}
    world.now += KEPT_NOTHING_S
    assert world.lockout() == Lockout(6, 0)


def test_L22_only_so_many_policies_are_remembered() -> None:
    world = World(Servers())
    for n in range(200):
        world.lockout(f"cn={n}")
    assert len(world.lockouts._read) <= 64


def test_what_a_search_has_to_bring() -> None:
    assert password_attributes("objectGUID") == AD_ATTRIBUTES
    assert "pwdChangedTime" in password_attributes("entryUUID")


def test_L22_who_comes_while_a_policy_is_read_waits_for_it() -> None:
    """Guesses at once after a start would be judged by no bound else, and one be too many."""
    servers = Slow(**{"cn=short": {
        "msds-lockoutthreshold": ["3"], "msds-lockoutobservationwindow": ["-18000000000"],
    }})  # fmt: skip
    world = World(servers)
    heard: list[Lockout | None] = []
    asked = [Deferred.fromCoroutine(world.lockouts.lockout("cn=short")) for _ in range(4)]
    for each in asked:
        each.addCallbacks(heard.append, lambda _: None)
    asked[1].cancel()
    asked[0].cancel()
    assert not heard, "who read it has given up, and the next one reads"
    servers.answer()
    assert heard == [Lockout(3, 1800)] * 2
    assert servers.asked == ["cn=short"] * 2
