"""Account states and ids on a real 389 Directory Server and a real OpenLDAP (SECURITY L13, L16)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import WrongCredentials
from gateway.core.login_reasons import LoginReason
from gateway.directory.ldap.asking import Found
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.ds389 import DS389
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.recognition import WANTED, recognise
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import Scope, SearchRequest
from tests.directory.ldap_bench import ShiftedReactor, directory_at
from tests.support.ds389 import Ds389
from tests.support.ds389_people import PEOPLE as PEOPLE_389
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd
from tests.support.slapd_people import PASSWORD, dn_of


def settings(server: Slapd | Ds389) -> LdapSettings:
    return LdapSettings(
        uris=(server.tls_uri,),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=server.ca_file,
    )


@contextmanager
def directory(server: Slapd | Ds389, schema: Schema, pump: ReactorPump) -> Iterator[LdapDirectory]:
    made = directory_at(settings(server), pump, schema=schema)
    yield made
    pump.wait(made.close())


def check(
    server: Slapd | Ds389,
    schema: Schema,
    pump: ReactorPump,
    name: str,
    state: tuple[bool, bool, str],
    reason: LoginReason | None,
) -> None:
    with directory(server, schema, pump) as made:
        account = pump.wait(made.find(name))
        assert isinstance(account, Account)
        enabled, locked, words = state
        assert (account.enabled, account.locked) == (enabled, locked)
        assert words in account.condition and bool(words) == bool(account.condition)
        if reason is None:
            logged_in = pump.wait(made.authenticate(name, PASSWORD.encode()))
            assert isinstance(logged_in, Account)
            assert logged_in.account_id == account.account_id
        else:
            with pytest.raises(WrongCredentials) as refused:
                pump.wait(made.authenticate(name, PASSWORD.encode()))
            assert refused.value.reason is reason


FINE = (True, False, "")


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("anna", FINE, None),
        ("a.schmidt@example.test", FINE, None),  # mailAlternateAddress
        ("bert", (False, False, "nsAccountLock"), LoginReason.DISABLED),
        ("emil", (True, True, "accountUnlockTime"), LoginReason.LOCKED),
    ],
)
def test_L16_389_states(
    ds389: Ds389,
    pump: ReactorPump,
    name: str,
    state: tuple[bool, bool, str],
    reason: LoginReason | None,
) -> None:
    check(ds389, DS389, pump, name, state, reason)


@pytest.mark.parametrize("name", ["dora", "fred"])
def test_L16_389_passwords_that_are_over(ds389: Ds389, pump: ReactorPump, name: str) -> None:
    with directory(ds389, DS389, pump) as made:
        account = pump.wait(made.find(name))
    assert isinstance(account, Account)
    assert account.enabled and account.locked
    assert "passwordExpirationTime" in account.condition


def test_L13_389_ids_survive_a_rename(ds389: Ds389, pump: ReactorPump) -> None:
    with directory(ds389, DS389, pump) as made:
        before = pump.wait(made.find("gina"))
        assert isinstance(before, Account)
        assert before.elsewhere == Elsewhere(
            forwards=(Address("gina", "elsewhere.test"),), keeps_copy=False
        )
        rename = "dn: uid={},{}\nchangetype: modrdn\nnewrdn: uid={}\ndeleteoldrdn: 1\n"
        ds389.change(rename.format("gina", PEOPLE_389, "gina2"))
        try:
            after = pump.wait(made.find("gina2"))
        finally:
            ds389.change(rename.format("gina2", PEOPLE_389, "gina"))
        assert isinstance(after, Account)
        assert (after.account_id, after.login) == (before.account_id, "gina2")
        again = pump.wait(made.find_by_id(before.account_id))
        assert again == before


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("anna", FINE, None),
        ("a.schmidt@example.test", FINE, None),  # smtp: of proxyAddresses
        ("bert", (False, False, "locked by an administrator"), LoginReason.WRONG_PASSWORD),
        ("emil", (True, True, "locked after failed logins"), LoginReason.WRONG_PASSWORD),
        # Of a lock that is over the entry goes on telling, until the next login.
        ("hans", FINE, None),
    ],
)
def test_L16_openldap_states(
    slapd_with_policy: Slapd,
    pump: ReactorPump,
    name: str,
    state: tuple[bool, bool, str],
    reason: LoginReason | None,
) -> None:
    check(slapd_with_policy, OPENLDAP, pump, name, state, reason)


def test_L16_openldap_passwords_that_must_be_changed(
    slapd_with_policy: Slapd, pump: ReactorPump
) -> None:
    with directory(slapd_with_policy, OPENLDAP, pump) as made:
        account = pump.wait(made.find("dora"))
        assert isinstance(account, Account)
        assert account.enabled and account.locked and "pwdReset" in account.condition


def test_L13_openldap_ids_survive_a_rename(slapd_with_policy: Slapd, pump: ReactorPump) -> None:
    with directory(slapd_with_policy, OPENLDAP, pump) as made:
        before = pump.wait(made.find("anna"))
        assert isinstance(before, Account)
        slapd_with_policy.change(
            f"dn: {dn_of('anna')}\nchangetype: modrdn\nnewrdn: uid=anna2\ndeleteoldrdn: 1\n"
        )
        try:
            after = pump.wait(made.find("anna2"))
        finally:
            slapd_with_policy.change(
                f"dn: {dn_of('anna2')}\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n"
            )
        assert isinstance(after, Account)
        assert (after.account_id, after.login) == (before.account_id, "anna2")


def test_the_root_dse_names_the_preset(
    ds389: Ds389, slapd_with_policy: Slapd, pump: ReactorPump
) -> None:
    for server, preset in ((ds389, "389ds"), (slapd_with_policy, "openldap")):
        servers = make_servers(
            settings(server), ShiftedReactor(pump.reactor), time.time, random=Random(1)
        )
        request = SearchRequest("", Scope.BASE, Present("objectClass"), WANTED)
        found = pump.wait(servers.search(request))
        pump.wait(servers.close())
        assert isinstance(found, Found)
        assert [each.preset for each in recognise(found.entries[0])] == [preset]
