"""States that time changes, in the picture of a directory (SECURITY L16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.directory.picture.briefs import account_in, brief_of
from gateway.directory.presets.ad import AD
from gateway.directory.presets.openldap import OPENLDAP
from tests.directory.contract import person
from tests.directory.picturing import NOW, Case, fill
from tests.support.pump import Pump


def test_L16_an_account_that_ends_is_ended_by_time_alone_and_servers_are_asked_of_locks(
    tmp_path: Path, pump: Pump
) -> None:
    case = Case(tmp_path, pump)
    soon = datetime.fromtimestamp(NOW + 50, UTC).strftime("%Y%m%d%H%M%SZ")
    locked = datetime.fromtimestamp(NOW - 5, UTC).strftime("%Y%m%d%H%M%SZ")
    ldif = person("erin", 20, "x", "mail: erin@example.test", f"pwdEndTime: {soon}") + person(
        "finn", 21, "x", "mail: finn@example.test", f"pwdAccountLockedTime: {locked}"
    )
    schema = replace(OPENLDAP, wall_clock=lambda: case.times.wall)
    fill(case.path, case.pump, ldif, schema=schema)
    case.directory = case.over(schema=schema)
    for name, state in (("erin", (True, False)), ("finn", (True, True))):
        account = case.ask(name)
        assert isinstance(account, Account)
        assert (account.enabled, account.locked) == state
    assert case.servers.asked == []
    case.times.pass_s(61)
    erin = case.ask("erin")
    assert isinstance(erin, Account) and not erin.enabled
    assert case.servers.asked == []
    # A lock may be over without a trace in the entry, which only the servers can tell.
    case.servers.down = True
    assert case.known("finn") == "finn"
    assert len(case.servers.asked) == 1
    case.servers.down = False
    assert case.ask("finn") is None


def test_forwarding_and_times_are_kept() -> None:
    account = Account(
        AccountId("x"),
        "anna",
        "anna@example.test",
        ("anna@example.test",),
        locked=True,
        condition="locked",
        elsewhere=Elsewhere(forwards=(Address("a b", "x.test"),), keeps_copy=False),
        state_until=1_700_000_060.5,
    )
    assert account_in(brief_of(account)) == account


@pytest.mark.parametrize(
    "login",
    ["anna", "ANNA@corp.test", "EXAMPLE\\anna", "a.schmidt@example.test", "mail@example.test"],
)
def test_L17_every_name_of_a_person_is_a_login_in_an_outage(
    tmp_path: Path, pump: Pump, login: str
) -> None:
    ldif = """\
dn: CN=anna,DC=example,DC=test
objectClass: user
sAMAccountType: 805306368
objectGUID:: AAECAwQFBgcICQoLDA0ODw==
sAMAccountName: anna
userPrincipalName: anna@corp.test
mail: mail@example.test
proxyAddresses: SMTP:a.schmidt@example.test
"""
    schema = replace(AD, windows_domains=("example",))
    case = Case(tmp_path, pump)
    fill(case.path, pump, ldif, schema=schema)
    case.directory = case.over(schema=schema)
    case.servers.down = True
    found = pump.wait(case.directory.find(login))
    assert isinstance(found, Account)
    assert (found.login, found.account_id) == ("anna", "000102030405060708090a0b0c0d0e0f")
