"""Settings change single fields of a preset; what cannot be meant is said with its key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.core.address import Address
from gateway.core.errors import SettingsError
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.directory_contradictions import directory_contradictions
from gateway.directory.entries import Entry, account_from
from gateway.directory.presets.from_settings import schema_from
from gateway.directory.presets.table import PRESETS
from gateway.directory.schema import Schema

NOW = 1_750_000_000.0  # 20,254 days and some hours


def schema(preset: str = "openldap", **changes: Any) -> Schema:
    base = "OU=Mail,DC=corp,DC=Example,DC=com"
    section = DirectorySettings.model_validate(
        {"kind": "ldap", "preset": preset, "uri": ["ldaps://a"], "base_dn": base, **changes}
    )
    return replace(schema_from(section, {}), wall_clock=lambda: NOW)


def state(made: Schema, **attributes: str) -> tuple[bool, bool]:
    told = {"entryUUID": "x1", "uid": "anna", "objectClass": "inetOrgPerson", **attributes}
    entry = Entry("uid=anna", {name.lower(): [text.encode()] for name, text in told.items()})
    account = account_from(entry, made)
    return account.enabled, account.locked


def test_nothing_set_is_the_preset() -> None:
    for name, preset in PRESETS.items():
        made = schema(name)
        assert replace(made, wall_clock=preset.wall_clock, windows_domains=()) == preset


@pytest.mark.parametrize(
    ("setting", "field", "value", "result"),
    [
        ("login_attributes", "login_attributes", ["nick"], ("nick",)),
        ("address_attributes", "address_attributes", ["email"], ("email",)),
        ("prefixed_address_attributes", "prefixed_address_attributes", ["-"], ()),
        ("display_attributes", "display_attributes", ["sn"], ("sn",)),
        ("next_hop_attributes", "next_hop_attributes", ["-"], ()),
        ("forwarding_attributes", "forwarding_attributes", ["fwd"], ("fwd",)),
        ("forwarding_link_attributes", "forwarding_link_attributes", ["boss"], ("boss",)),
        ("member_of_attributes", "member_of_attributes", ["inGroup"], ("inGroup",)),
        ("group_member_attributes", "member_attributes", ["has"], ("has",)),
        ("group_filter", "group", "-", None),
    ],
)
def test_every_field_can_be_another(setting: str, field: str, value: Any, result: object) -> None:
    assert getattr(schema(**{setting: value}), field) == result


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("login_filter", "(uid=anna)"),
        ("login_filter", "(uid={who})"),
        ("login_filter", "uid={login}"),
        ("login_dn", "uid=anna,dc=example"),
        ("disabled_filter", "(a=b"),
        # It would never hold, and whoever has left would go on.
        ("disabled_filter", "(memberOf:1.2.840.113556.1.4.1941:=cn=left,dc=x)"),
        ("locked_filter", "(!(ou:dn:=staff))"),
        ("group_leave_out_filter", "(|(a=b)(memberOf:1.2.840.113556.1.4.1941:=cn=left,dc=x))"),
        ("address_attributes", ["mail)(uid=*"]),
        ("login_attributes", ["-"]),
        ("person_filter", "-"),
        ("id_attribute", "*"),
    ],
)
def test_L2_mistakes_are_said_with_their_key(setting: str, value: Any) -> None:
    with pytest.raises(SettingsError) as refused:
        schema(**{setting: value})
    (problem,) = refused.value.problems
    assert problem.key == f"directory.{setting}"


def test_who_names_login_attributes_means_these_alone() -> None:
    assert str(schema().by_login("anna@x.test")).count("mailLocalAddress") == 1
    assert "mailLocal" not in str(schema(login_attributes=["uid"]).by_login("anna@x.test"))
    both = schema(login_attributes=["uid"], login_by_address="yes")
    assert "mailLocalAddress" in str(both.by_login("anna@x.test"))
    assert "mailLocalAddress" not in str(schema(login_by_address="no").by_login("anna@x.test"))


def test_L2_logins_by_a_filter_of_ones_own() -> None:
    made = schema(login_filter="(&(mailEnabled=TRUE)(|(uid={login})(mail={login})))")
    assert str(made.by_login("*)(uid=*")) == (
        "(&(objectClass=inetOrgPerson)(|(&(mailEnabled=TRUE)"
        "(|(uid=\\2a\\29\\28uid=\\2a)(mail=\\2a\\29\\28uid=\\2a)))))"
    )
    assert {"mailenabled", "uid", "mail"} <= made.login_names


def test_L3_logins_by_dn() -> None:
    made = schema(login_dn="uid={login},ou=people,dc=example,dc=com")
    assert str(made.by_login("a,b")) == (
        "(&(objectClass=inetOrgPerson)(|(entryDN=uid=a\\5c2cb,ou=people,dc=example,dc=com)))"
    )
    assert "(!(objectClass=*))" in str(schema(login_dn="uid={domain},o=x").by_login("anna"))
    assert "(distinguishedName=uid=" in str(
        schema("ad", login_dn="uid={login},o=x").by_login("anna")
    )


def test_L16_states_of_ones_own() -> None:
    made = schema(disabled_filter="(employeeType=left)", locked_filter="(mailAccess=off)")
    assert state(made) == (True, False)
    assert state(made, employeeType="left") == (False, False)
    assert state(made, mailAccess="off") == (True, True)
    # In the place of the preset's.
    assert state(made, pwdAccountLockedTime="000001010000Z") == (True, False)
    assert state(schema(disabled_filter="-"), pwdAccountLockedTime="000001010000Z") == (True, False)


def test_L16_shadow_entries() -> None:
    made = schema(shadow_expiry=True)
    today = int(NOW // 86_400)
    for attributes, expected in (
        ({"shadowExpire": str(today)}, (False, False)),
        ({"shadowExpire": str(today + 1)}, (True, False)),
        ({"shadowExpire": "-1"}, (True, False)),
        ({"shadowExpire": ""}, (True, False)),
        ({"shadowLastChange": str(today - 91), "shadowMax": "90"}, (True, True)),
        ({"shadowLastChange": str(today - 90), "shadowMax": "90"}, (True, False)),
        ({"shadowLastChange": str(today - 91), "shadowMax": "-1"}, (True, False)),
        ({"shadowMax": "90"}, (True, False)),
    ):
        assert state(made, **attributes) == expected, attributes
        assert state(schema(), **attributes) == (True, False)


def test_L16_people_who_have_not_been_here_for_long() -> None:
    made = schema(inactive_days=90, last_login_attribute="lastSeen")
    assert "lastSeen" in made.requested
    assert state(made, lastSeen="20250101000000Z") == (True, True)
    assert state(made, lastSeen="20250601000000Z") == (True, False)
    assert state(made) == (True, False)


def test_L13_ids_of_ones_own() -> None:
    assert schema("ad").id_is_octets
    assert not schema("ad", id_attribute="employeeID").id_is_octets
    assert schema("custom", id_attribute="objectGUID").id_is_octets
    assert str(schema("ad").by_id("00ff")).endswith("(objectGUID=\\00\\ff))")
    assert str(schema("ad").by_id("no")).endswith("(!(objectClass=*)))")


def test_L17_names_of_the_domain() -> None:
    made = schema("samba", netbios_domain="CORP")
    assert made.windows_domains == ("corp", "corp.example.com")
    found = str(made.by_login("Corp\\anna"))
    assert "(sAMAccountName=anna)" in found
    assert "(sAMAccountName=anna)" not in str(made.by_login("OTHER\\anna"))
    assert "(sAMAccountName=anna)" not in str(schema("openldap").by_login("CORP\\anna"))
    implied = "(&(sAMAccountName=anna)(!(userPrincipalName=*)))"
    assert implied in str(made.by_login("anna@Corp.Example.Com"))
    assert "(proxyAddresses=smtp:anna@corp.example.com)" in str(
        made.by_address(Address("anna", "corp.example.com"))
    )


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ({"login_filter": "(uid={login})", "login_dn": "uid={login},o=x"}, "login_dn"),
        ({"login_attributes": ["uid"], "login_filter": "(uid={login})"}, "login_filter"),
        ({"login_filter": "(uid={login})", "login_by_address": "yes"}, "login_by_address"),
        ({"netbios_domain": "CORP"}, "netbios_domain"),
        ({"netbios_domain": "CORP", "preset": "freeipa"}, "netbios_domain"),
        ({"preset": "lldap", "inactive_days": 90}, "inactive_days"),
    ],
)
def test_settings_that_cannot_all_be_meant(written: dict[str, Any], key: str) -> None:
    usual = {"kind": "ldap", "uri": ["ldaps://a"], "base_dn": "dc=x"}
    (problem,) = directory_contradictions({**usual, **written}, "directory")
    assert problem[0] == f"directory.{key}"


def test_logins_by_dn_are_of_servers() -> None:
    written = {"kind": "ldif", "path": "/x", "login_dn": "uid={login},o=x"}
    (problem,) = directory_contradictions(written, "directory")
    assert problem[0] == "directory.login_dn"
