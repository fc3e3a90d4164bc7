"""Logins at real directories that count, lock and refuse: why they are refused, and that nobody is
ever locked out through the gateway (SECURITY A8, L15, L20, L22)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from gateway.core.account import Account
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.core.login_reasons import LoginReason as Why
from gateway.core.ports.may_ask import Lockout
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.lockout import Lockouts
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.ad import AD
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from gateway.wire.ldap.controls import ASK_FOR_POLICY
from tests.auth.desk_world import Desks, outcome
from tests.support import samba_people, slapd, slapd_people
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.slapd import Slapd

PASSWORD = samba_people.PASSWORD.encode()
assert slapd_people.PASSWORD.encode() == PASSWORD


@dataclass
class Place:
    """A directory at a server.

    Args:
        bind: what the server says to a bind as the person with this name; empty: welcome.
    """

    pump: ReactorPump
    servers: Any
    directory: LdapDirectory
    base_dn: str
    bind: Callable[[str], str]

    def why(self, login: str, password: bytes = PASSWORD) -> tuple[Why, bool] | Account:
        try:
            return self.pump.wait(self.directory.authenticate(login, password))
        except WrongCredentials as error:
            return error.reason, error.proven

    def say(self, desks: Desks, login: str, password: bytes, ip: str, **more: Any) -> str:
        going = desks.begin(login, password, ip, **more)
        self.pump.until(lambda: going.called and not going.paused)
        return outcome(going)

    def lockouts(self) -> Lockouts:
        clocks: Any = {"wall_clock": time.time, "monotonic": time.monotonic}
        return Lockouts(self.servers, self.base_dn, **clocks)

    def storm(self, *names: str) -> Desks:
        """Wrong passwords by all names, over all doors, from where she is known and elsewhere."""
        desks = Desks(directory=self.directory)
        for n in range(24):
            door = ("imap", "pop3", "submission")[n % 3]
            ip = "127.0.0.1" if n % 2 else f"198.51.{n}.1"
            name = names[n % len(names)]
            said = self.say(desks, name, b"wrong %d" % (n // 2), ip, process=n % 2, door=door)
            assert not said.startswith("in "), said
        return desks


class Pictured:
    """A directory whose picture has one person in it."""

    def __init__(self, directory: LdapDirectory, person: Account) -> None:
        self.authenticate = directory.authenticate
        self._person = person

    async def find(self, login_or_address: str) -> Account | None:
        return self._person if login_or_address == self._person.login else None

    async def find_by_id(self, account_id: str) -> Account | None:
        return self._person if account_id == self._person.account_id else None


def place_at(
    pump: ReactorPump, uri: str, ca_file: Any, base: str, reader: tuple[str, str], schema: Schema,
    bind: Callable[[str], str],
) -> Place:  # fmt: skip
    settings = LdapSettings(
        uris=(uri,), base_dn=base, bind_dn=reader[0], bind_password=reader[1], ca_file=ca_file,
        connect_timeout_s=20.0, operation_timeout_s=20.0,
    )  # fmt: skip
    servers = make_servers(
        settings, pump.reactor, time.time, random=Random(1), bind_controls=(ASK_FOR_POLICY,)
    )
    directory = LdapDirectory(
        servers, base_dn=base, schema=schema, timers=pump.reactor, wall_clock=time.time,
        deadline_s=20.0, health=servers.health,
    )  # fmt: skip
    return Place(pump, servers, directory, base, bind)


@pytest.fixture
def samba(samba_ad: SambaAd, pump: ReactorPump) -> Iterator[Place]:
    reader = samba_people.READER_DN, samba_people.PASSWORD
    place = place_at(
        pump, samba_ad.tls_uri, samba_ad.ca_file, samba_people.BASE, reader, AD,
        lambda name: samba_ad.bind_as(samba_people.dn_of(name), samba_people.PASSWORD),
    )  # fmt: skip
    yield place
    pump.wait(place.directory.close())


@pytest.fixture
def openldap(slapd_with_policy: Slapd, pump: ReactorPump) -> Iterator[Place]:
    place = _at_slapd(slapd_with_policy, pump)
    yield place
    pump.wait(place.directory.close())


def _at_slapd(server: Slapd, pump: ReactorPump) -> Place:
    return place_at(
        pump, server.tls_uri, server.ca_file, slapd.SUFFIX,
        (slapd.READER_DN, slapd.READER_PASSWORD), OPENLDAP, lambda name: "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "why", "proven"),
    [
        ("bert", Why.DISABLED, True),  # data 533
        ("cleo", Why.ACCOUNT_EXPIRED, True),  # 701
        ("dora", Why.MUST_CHANGE, True),  # 773
        ("emil", Why.LOCKED, False),  # 775
        ("fred", Why.PASSWORD_EXPIRED, True),  # 532
        ("hugo", Why.NOT_NOW, True),  # 530
    ],
)
def test_L15_active_directory_says_why(samba: Place, name: str, why: Why, proven: bool) -> None:
    assert samba.why(name) == (why, proven)
    if name != "emil":
        # L15: those reasons come with the right password alone; 52e comes with any other.
        assert samba.why(name, b"wrong") == (Why.WRONG_PASSWORD, False)


def test_L15_active_directory_about_nobody_and_twins(samba: Place) -> None:
    assert samba.why("nobody") == (Why.UNKNOWN, False)
    assert samba.why("twin@example.test") == (Why.AMBIGUOUS, False)
    assert isinstance(samba.why("mona"), Account)


def test_L22_the_lock_out_of_active_directory_is_read(samba: Place) -> None:
    lockouts = samba.lockouts()
    assert samba.pump.wait(lockouts.lockout()) == Lockout(samba_people.LOCKOUT_THRESHOLD, 1800)
    short = f"CN=short,CN=Password Settings Container,CN=System,{samba_people.BASE}"
    assert samba.pump.wait(lockouts.lockout(short)) in (
        Lockout(samba_people.LOCKOUT_THRESHOLD, 1800),
        None,  # a domain may keep its fine-grained policies to administrators
    )


def test_L22_a_storm_over_all_doors_never_locks_anybody_in_active_directory(samba: Place) -> None:
    desks = samba.storm(
        "anna", "anna.schmidt@example.test", f"anna@{samba_people.DNS_DOMAIN}", "ANNA"
    )
    assert samba.bind("anna") == "", "her right password still opens the directory"
    desks.clock.advance(1801)
    assert samba.say(desks, "anna", PASSWORD, "127.0.0.1") == "in anna"


def test_L15_openldap_says_why(openldap: Place) -> None:
    assert openldap.why("dora") == (Why.MUST_CHANGE, True)
    assert openldap.why("fred") == (Why.PASSWORD_EXPIRED, True)
    assert openldap.why("fred", b"wrong") == (Why.WRONG_PASSWORD, False)
    assert openldap.why("emil") == (Why.LOCKED, False)
    assert openldap.why("anna", b"wrong") == (Why.WRONG_PASSWORD, False)
    assert isinstance(openldap.why("anna"), Account)
    assert isinstance(openldap.why("hans"), Account)


def test_L20_grace_logins_are_allowed_and_logged(openldap: Place, logged: list[str]) -> None:
    assert isinstance(openldap.why("gina"), Account)
    assert any("logins with it are left" in each for each in logged)


def test_L22_the_lock_out_of_openldap_is_read(openldap: Place) -> None:
    found = openldap.pump.wait(openldap.lockouts().lockout(slapd.POLICY_DN))
    assert found is not None and found.threshold == slapd.LOCKOUT_THRESHOLD
    default = openldap.pump.wait(openldap.lockouts().lockout())
    assert default is not None and 0 < default.threshold <= slapd.LOCKOUT_THRESHOLD


def test_L22_a_storm_over_all_doors_never_locks_anybody_in_openldap(openldap: Place) -> None:
    openldap.storm("anna", "anna@example.test", "ANNA")
    assert isinstance(openldap.why("anna"), Account), "her right password still opens the directory"


def test_a_stopped_server_is_an_outage_and_its_first_no_ends_what_is_kept(
    pump: ReactorPump, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = slapd_people.slapd_with_policy(tmp_path_factory.mktemp("outage") / "slapd")
    place = _at_slapd(server, pump)
    try:
        anna = place.why("anna")
        assert isinstance(anna, Account)
        desks = Desks(directory=Pictured(place.directory, anna))
        assert place.say(desks, "anna", PASSWORD, "127.0.0.1") == "in anna"
        desks.clock.advance(120)
        server.stop()
        assert place.say(desks, "anna", PASSWORD, "127.0.0.1", process=1) == "in anna"
        assert place.say(desks, "anna", b"wrong", "127.0.0.1") == "NotAsKept"
        assert place.say(desks, "mallory", b"wrong", "127.0.0.1") == "NotAsKept"
        server.start()
        pump.until(lambda: _answers(place))
        new = f"dn: {slapd_people.dn_of('anna')}\nchangetype: modify\nreplace: userPassword\n"
        server.change(f"{new}userPassword: another-0ne-Passes\n")
        assert place.say(desks, "anna", PASSWORD, "127.0.0.1") == "WRONG_PASSWORD"
        assert not desks.kept.rows
        server.stop()
        desks.clock.advance(120)
        assert place.say(desks, "anna", PASSWORD, "127.0.0.1") in (
            "NotAsKept", "DirectoryUnavailable",
        )  # fmt: skip
    finally:
        pump.wait(place.directory.close())
        server.stop()


def _answers(place: Place) -> bool:
    try:
        return place.pump.wait(place.directory.find("anna")) is not None
    except DirectoryUnavailable:
        return False
