"""The preset of Active Directory on a real domain controller (SECURITY L13, L15, L16, L17)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import WrongCredentials
from gateway.core.login_reasons import LoginReason
from gateway.core.settings.directory import DirectorySettings
from gateway.directory.ldap.asking import Found
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.from_settings import schema_from
from gateway.directory.recognition import WANTED, recognise
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Present
from gateway.wire.ldap.messages import Scope, SearchRequest
from tests.directory.ldap_bench import ShiftedReactor, directory_at
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import BASE, GROUPS, PASSWORD, READER_DN, dn_of


def settings(samba_ad: SambaAd) -> LdapSettings:
    return LdapSettings(
        uris=(samba_ad.tls_uri,),
        base_dn=BASE,
        bind_dn=READER_DN,
        bind_password=PASSWORD,
        ca_file=samba_ad.ca_file,
    )


def schema(**changes: Any) -> Schema:
    section = DirectorySettings(
        kind="ldap", uri=("ldaps://dc1.ad.example.test",), base_dn=BASE, preset="ad", **changes
    )
    return schema_from(section, {})


@pytest.fixture
def directory(samba_ad: SambaAd, pump: ReactorPump) -> Iterator[LdapDirectory]:
    made = directory_at(settings(samba_ad), pump, schema=schema())
    yield made
    pump.wait(made.close())


def found(directory: LdapDirectory, pump: ReactorPump, name: str) -> Account:
    account = pump.wait(directory.find(name))
    assert isinstance(account, Account)
    return account


def refusal(directory: LdapDirectory, pump: ReactorPump, name: str) -> LoginReason:
    with pytest.raises(WrongCredentials) as refused:
        pump.wait(directory.authenticate(name, PASSWORD.encode()))
    return refused.value.reason


@pytest.mark.parametrize(
    "login",
    [
        "anna",
        "ANNA",
        "anna@ad.example.test",  # userPrincipalName
        "anna.schmidt@example.test",  # mail
        "Anna.Schmidt@Example.Test",
        "anna@example.test",  # smtp: of proxyAddresses
        "a.schmidt@example.org",
        "EXAMPLE\\anna",
        "example\\Anna",
        "ad.example.test\\anna",
    ],
)
def test_L17_every_name_of_a_person_is_a_login(
    directory: LdapDirectory, pump: ReactorPump, login: str
) -> None:
    account = pump.wait(directory.authenticate(login, PASSWORD.encode()))
    assert isinstance(account, Account)
    assert account.login == "anna"
    assert account.enabled and not account.locked and account.condition == ""


@pytest.mark.parametrize(
    "login",
    [
        "OTHER\\anna",
        "EXAMPLE\\",
        "\\anna",
        "EXAMPLE\\anna@ad.example.test",
        "EXAMPLE\\EXAMPLE\\anna",
        "anna@private.test",  # otherMailbox
        "smtp:anna@example.test",
        "partner@example.test",  # a contact
        "twin@example.test",
        "anna*",
        "EXAMPLE\\an*",
        "EXAMPLE\\anna)(sAMAccountName=*",
        "DC1$",
    ],
)
def test_L2_L5_L17_and_nothing_else_is(
    directory: LdapDirectory, pump: ReactorPump, login: str
) -> None:
    refusal(directory, pump, login)


def test_L17_a_principal_name_of_another_suffix(
    directory: LdapDirectory, pump: ReactorPump
) -> None:
    for login in ("gina", "g.weber@corp.example.test", "gina@example.test", "EXAMPLE\\gina"):
        account = pump.wait(directory.authenticate(login, PASSWORD.encode()))
        assert isinstance(account, Account)
        assert account.login == "gina"
    # Who has a userPrincipalName has that one alone, also where the server would take both.
    assert refusal(directory, pump, "gina@ad.example.test") is LoginReason.UNKNOWN


def test_L17_people_without_a_principal_name_have_the_domains(
    directory: LdapDirectory, pump: ReactorPump
) -> None:
    assert found(directory, pump, "administrator@ad.example.test").login == "administrator"


def test_L17_the_netbios_name_can_be_set(samba_ad: SambaAd, pump: ReactorPump) -> None:
    named = schema(netbios_domain="Example")
    assert set(named.windows_domains) == {"example", "ad.example.test"}
    made = directory_at(settings(samba_ad), pump, schema=named)
    assert found(made, pump, "EXAMPLE\\anna").login == "anna"
    pump.wait(made.close())


def test_L17_addresses_come_from_mail_and_prefixed_ones(
    directory: LdapDirectory, pump: ReactorPump
) -> None:
    anna = found(directory, pump, "anna")
    assert anna.primary_address == "anna.schmidt@example.test"
    assert set(anna.addresses) == {
        "anna.schmidt@example.test",
        "anna@example.test",
        "a.schmidt@example.org",
    }
    assert anna.display_name == "Schmidt, Anna (Vertrieb)"
    for address in anna.addresses:
        local, _, domain = address.partition("@")
        assert pump.wait(directory.find_by_address(Address(local, domain))) == anna
    assert pump.wait(directory.find_by_address(Address("anna", "private.test"))) is None


@pytest.mark.parametrize(
    ("name", "enabled", "locked", "words", "reason"),
    [
        ("bert", False, False, "disabled by an administrator", LoginReason.DISABLED),
        ("cleo", False, False, "the account has expired", LoginReason.ACCOUNT_EXPIRED),
        ("dora", True, True, "must be changed", LoginReason.MUST_CHANGE),
        ("emil", True, True, "locked after failed logins", LoginReason.LOCKED),
        ("fred", True, True, "the password has expired", LoginReason.PASSWORD_EXPIRED),
        # Nothing in an entry says it but a table of hours: only a bind tells.
        ("hugo", True, False, "", LoginReason.NOT_NOW),
    ],
)
def test_L15_L16_a_lookup_sees_what_a_bind_is_told(
    directory: LdapDirectory,
    pump: ReactorPump,
    name: str,
    enabled: bool,
    locked: bool,
    words: str,
    reason: LoginReason,
) -> None:
    account = found(directory, pump, name)
    assert (account.enabled, account.locked) == (enabled, locked)
    assert words in account.condition and bool(words) == bool(account.condition)
    assert refusal(directory, pump, name) is reason


def test_L16_never_is_never(directory: LdapDirectory, pump: ReactorPump) -> None:
    """0 and 2^63-1 in accountExpires."""
    for name in ("mona", "anna"):
        account = found(directory, pump, name)
        assert account.enabled and account.state_until == 0


def test_L16_a_lock_is_seen_when_it_comes_and_goes(
    samba_ad: SambaAd, directory: LdapDirectory, pump: ReactorPump
) -> None:
    assert not found(directory, pump, "joerg").locked
    samba_ad.lock_out("joerg")
    try:
        locked = found(directory, pump, "joerg")
        assert locked.locked and locked.state_until > 0
    finally:
        samba_ad.unlock("joerg")
    assert not found(directory, pump, "joerg").locked
    assert found(directory, pump, "joerg").display_name == "Jörg Müller"


def test_L16_time_ends_accounts_without_a_change_of_the_entry(
    samba_ad: SambaAd, pump: ReactorPump
) -> None:
    ends = 13_300_000_000  # s since 1601, in the year 2022
    entry = f"dn: {dn_of('ida')}\nchangetype: modify\nreplace: accountExpires\naccountExpires: "
    samba_ad.change(f"{entry}{ends * 10**7}\n")
    at = ends - 11_644_473_600
    try:
        for now, enabled in ((at - 1.0, True), (at + 1.0, False)):
            clock = replace(schema(), wall_clock=lambda now=now: now)
            made = directory_at(settings(samba_ad), pump, schema=clock)
            account = found(made, pump, "ida")
            pump.wait(made.close())
            assert account.enabled is enabled
            assert account.state_until == (at if enabled else 0)
    finally:
        samba_ad.change(f"{entry}0\n")


def test_L13_the_id_is_the_guids_octets_and_survives_a_rename(
    samba_ad: SambaAd, directory: LdapDirectory, pump: ReactorPump
) -> None:
    before = found(directory, pump, "lena")
    assert uuid.UUID(hex=before.account_id).hex == before.account_id
    assert before.addresses == ()
    samba_ad.change(
        f"dn: {dn_of('lena')}\nchangetype: modify\nreplace: sAMAccountName\n"
        f"sAMAccountName: lena2\n-\nadd: mail\nmail: lena@example.test\n\n"
        f"dn: {dn_of('lena')}\nchangetype: modrdn\nnewrdn: CN=Lena New\ndeleteoldrdn: 1\n"
        f"newsuperior: {GROUPS}\n"
    )
    try:
        after = found(directory, pump, "lena2")
        assert after.account_id == before.account_id
        assert after.login == "lena2"
        assert pump.wait(directory.find_by_id(before.account_id)) == after
        for wrong in ("", "zz", "00" * 16, "*", after.account_id[:-2]):
            assert pump.wait(directory.find_by_id(wrong)) is None  # type: ignore[arg-type]
    finally:
        samba_ad.change(
            f"dn: CN=Lena New,{GROUPS}\nchangetype: modrdn\nnewrdn: CN=lena\ndeleteoldrdn: 1\n"
            f"newsuperior: {dn_of('x').partition(',')[2]}\n\n"
            f"dn: {dn_of('lena')}\nchangetype: modify\nreplace: sAMAccountName\n"
            "sAMAccountName: lena\n-\ndelete: mail\n"
        )


def test_contacts_without_a_target_are_nobody(directory: LdapDirectory, pump: ReactorPump) -> None:
    assert pump.wait(directory.find_by_address(Address("partner", "example.test"))) is None


def test_mail_is_forwarded_to_the_entry_that_is_named(samba_ad: SambaAd, pump: ReactorPump) -> None:
    """By ``manager``, as Samba's schema lacks Exchange's altRecipient."""
    entry = f"dn: {dn_of('mona')}\nchangetype: modify\n"
    samba_ad.change(f"{entry}add: manager\nmanager: {dn_of('anna')}\n")
    forwarding = schema(forwarding_link_attributes=("manager",))
    made = directory_at(settings(samba_ad), pump, schema=forwarding)
    try:
        mona = pump.wait(made.find_by_address(Address("mona", "example.test")))
        assert isinstance(mona, Account)
        assert mona.elsewhere == Elsewhere(
            forwards=(Address("anna.schmidt", "example.test"),), keeps_copy=False
        )
        assert mona.state_until == 0
    finally:
        pump.wait(made.close())
        samba_ad.change(f"{entry}delete: manager\n")


def test_the_root_dse_names_the_preset(samba_ad: SambaAd, pump: ReactorPump) -> None:
    servers = make_servers(
        settings(samba_ad), ShiftedReactor(pump.reactor), time.time, random=Random(1)
    )
    request = SearchRequest("", Scope.BASE, Present("objectClass"), WANTED)
    found = pump.wait(servers.search(request))
    pump.wait(servers.close())
    assert isinstance(found, Found)
    assert [each.preset for each in recognise(found.entries[0])] == ["samba", "ad"]
