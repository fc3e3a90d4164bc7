"""Every form in which a directory says who is in a group."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from gateway.core.errors import ExpansionFailed
from gateway.directory.at_once import at_once
from gateway.directory.groups.resolving import group_from
from gateway.directory.groups.words import ACTIVE_DIRECTORY, GroupWords
from gateway.directory.presets.openldap import OPENLDAP
from gateway.wire.ldap.filters import Equal, parse
from tests.directory.groups.world import (
    AD_LIKE,
    entries_of,
    entry,
    group,
    groups_of,
    person,
    resolved,
    schema_with,
    sid,
)

ANN, BOB, CAT = person("ann"), person("bob"), person("cat")


def test_members_by_login_name() -> None:
    staff = group("staff", "posixGroup", memberUid=("ann", "Bob", "gone", ""))
    found = resolved(OPENLDAP, "staff", staff, ANN, BOB, CAT)
    assert found.members == ("ann@x.test", "bob@x.test")
    assert {each.login for each in found.people.values()} == {"ann", "bob"}
    assert found.dead == ("'gone': nobody has this login",)
    assert groups_of(OPENLDAP, "bob", staff, ANN, BOB, CAT) == {"staff"}
    assert groups_of(OPENLDAP, "cat", staff, ANN, BOB, CAT) == set()


def test_a_login_that_looks_like_an_address_is_no_address() -> None:
    odd = person("odd", uid="odd@corp", mail="odd@x.test")
    found = resolved(
        OPENLDAP, "staff", group("staff", "posixGroup", memberUid=("odd@corp", "x@corp")), odd
    )
    assert found.members == ("odd@x.test",)
    assert len(found.dead) == 1


def test_a_mail_alias_names_people_by_address_or_by_login() -> None:
    members = ("ann", "bob@x.test", "out@else.test")
    alias = group("desk", "nisMailAlias", rfc822MailMember=members)
    found = resolved(OPENLDAP, "desk", alias, ANN, BOB)
    assert set(found.members) == {"ann@x.test", "bob@x.test", "out@else.test"}


def test_members_by_search() -> None:
    urls = (
        "ldap:///dc=test??sub?(&(objectClass=inetOrgPerson)(departmentNumber=7))",
        "ldap:///uid=cat,dc=test",
        "ldap:///dc=test??one?%28uid=bob%29",
    )
    seven = person("seven", departmentNumber="7")
    below = entry("uid=low,ou=a,dc=test", objectClass="inetOrgPerson", uid="bob", entryUUID="low1")
    dynamic = group("dyn", "groupOfURLs", memberURL=urls)
    found = resolved(OPENLDAP, "dyn", dynamic, ANN, BOB, CAT, seven, below)
    assert set(found.members) == {"seven@x.test", "cat@x.test", "bob@x.test"}
    assert found.dead == ()
    assert len(found.dynamic) == 3
    assert "(departmentNumber=7)" in found.dynamic[0]


@pytest.mark.parametrize(
    "url",
    [
        "ldap://thief.test/dc=test??sub?(uid=*)",
        "ldaps://[::1]/dc=test??sub?(uid=*)",
        "http:///dc=test",
        "ldap:///dc=test??sub?(uid=*)?!bindname=cn=root",
        "ldap:///dc=test??galaxy?(uid=*)",
        "ldap:///dc=test??sub?(uid=*",
        "ldap:///dc=test??sub?(uid:1.2.3:=x)",
        "ldap:///%ff",
        "ldap:///" + "x" * 9000,
        "ldap://[",
        b"\xff\xfe",
    ],
)
def test_F3_L25_a_search_that_must_not_be_followed_is_told(url: str | bytes) -> None:
    dynamic = group("dyn", "groupOfURLs", memberURL=url)
    found = resolved(OPENLDAP, "dyn", dynamic, ANN)
    assert found.members == ()
    assert len(found.dead) == 1
    assert found.dead[0].isprintable()


def test_members_by_exchanges_filter() -> None:
    filters = {"msExchDynamicDLFilter": "(title=boss)", "msExchDynamicDLBaseDN": "dc=test"}
    dynamic = group("bosses", "msExchDynamicDistributionList", **filters)
    found = resolved(AD_LIKE, "bosses", dynamic, ANN, person("eve", title="Boss"))
    assert found.members == ("eve@x.test",)


def test_L18_people_whose_primary_group_it_is_are_members() -> None:
    users = group("users", "group", objectSid=sid(21, 1, 2, 3, 513), member="uid=ann,dc=test")
    outer = group("outer", "group", member="cn=users,dc=test")
    ida = person("ida", primaryGroupID="513", objectSid=sid(21, 1, 2, 3, 1105))
    other = person("other", primaryGroupID="514", objectSid=sid(21, 1, 2, 3, 1106))
    everybody = (users, outer, ida, other, ANN)
    assert set(resolved(AD_LIKE, "users", *everybody).members) == {"ann@x.test", "ida@x.test"}
    assert set(resolved(AD_LIKE, "outer", *everybody).members) == {"ann@x.test", "ida@x.test"}


@pytest.mark.parametrize("bad", [b"", b"\x01\x05", b"\x01\x09" + bytes(20), b"\x00" * 400])
def test_L25_a_sid_may_be_anything(bad: bytes) -> None:
    users = group("users", "group", objectSid=bad, member="uid=ann,dc=test")
    odd = person("odd", primaryGroupID="9" * 40, objectSid=bad)
    assert resolved(AD_LIKE, "users", users, odd, ANN).members == ("ann@x.test",)
    assert groups_of(AD_LIKE, "odd", users, odd, ANN) == set()


def test_members_that_the_settings_leave_out() -> None:
    away = person("away", employeeType="left")
    locked = person("locked", pwdAccountLockedTime="000001010000Z")
    contact = entry("cn=joe,dc=test", objectClass="x", mail="joe@else.test", employeeType="left")
    staff = group(
        "staff",
        "groupOfNames",
        member=("uid=ann,dc=test", "uid=away,dc=test", "uid=locked,dc=test", "cn=joe,dc=test"),
    )
    everybody = (staff, ANN, away, locked, contact)
    assert len(resolved(OPENLDAP, "staff", *everybody).members) == 4
    words = GroupWords(left_out=Equal("employeeType", "left"), leaves_out_disabled=True)
    found = resolved(schema_with(words), "staff", *everybody)
    assert found.members == ("ann@x.test",)
    assert sorted(each.partition(": ")[2] for each in found.dead) == [
        "left out by the settings",
        "left out by the settings",
        "this person is disabled",
    ]


def test_disabled_people_of_windows_are_left_out_by_their_bit() -> None:
    away = person("away", userAccountControl="514")
    staff = group("staff", "groupOfNames", member=("uid=ann,dc=test", "uid=away,dc=test"))
    disabled = parse("(userAccountControl:1.2.840.113556.1.4.803:=2)")
    found = resolved(schema_with(GroupWords(left_out=disabled)), "staff", staff, ANN, away)
    assert found.members == ("ann@x.test",)


def test_searches_that_find_nobody_take_no_longer_than_others() -> None:
    urls = [f"ldap:///dc=test??sub?(uid=nobody{n})" for n in range(20)]
    staff = group("staff", "groupOfURLs", memberURL=urls)
    seconds = count(0, 2)
    with pytest.raises(ExpansionFailed, match="within 20 s"):
        at_once(
            group_from(
                staff, OPENLDAP, entries_of(OPENLDAP, staff), monotonic=lambda: next(seconds)
            )
        )


def test_owners_posters_and_delegates_are_resolved() -> None:
    inner = group("inner", "group", member=("uid=bob,dc=test", "cn=all,dc=test"))
    contact = entry("cn=joe,dc=test", objectClass="contact", mail="Joe@else.test")
    everyone = group(
        "all",
        "group",
        member="uid=ann,dc=test",
        managedBy="uid=cat,dc=test",
        authOrig=("uid=ann,dc=test", "cn=joe,dc=test", "uid=gone,dc=test"),
        dLMemSubmitPerms="cn=inner,dc=test",
        unauthOrig="uid=cat,dc=test",
        msExchRequireAuthToSendTo="TRUE",
        publicDelegates="uid=bob,dc=test",
    )
    found = resolved(AD_LIKE, "all", everyone, inner, contact, ANN, BOB, CAT)
    assert found.owners.addresses == {"cat@x.test"}
    assert found.delegates.addresses == {"bob@x.test"}
    assert found.posting.authenticated
    assert found.posting.allowed is not None
    assert found.posting.allowed.addresses == {"ann@x.test", "bob@x.test"}
    assert found.posting.allowed.outside == {"joe@else.test"}
    assert found.posting.refused.addresses == {"cat@x.test"}


def test_posters_who_are_all_gone_are_still_a_rule() -> None:
    shut = group("shut", "group", member="uid=ann,dc=test", authOrig="uid=gone,dc=test")
    found = resolved(AD_LIKE, "shut", shut, ANN)
    assert found.posting.allowed is not None
    assert len(found.posting.allowed) == 0
    assert not resolved(AD_LIKE, "open", group("open", "group"), ANN).posting.says_anything


def test_whom_rules_name_is_bounded_as_members_are() -> None:
    people = [person(f"p{number}") for number in range(12)]
    dns = [each.dn for each in people]
    inner = [group(f"g{number}", "group", member=dns) for number in range(3)]
    names = [each.dn for each in inner]
    shut = group("shut", "group", member=dns[:1], dLMemSubmitPerms=names)
    small, large = replace(AD_LIKE, members=38), replace(AD_LIKE, members=39)
    with pytest.raises(ExpansionFailed):
        resolved(small, "shut", shut, *inner, *people)
    found = resolved(large, "shut", shut, *inner, *people)
    assert found.posting.allowed is not None
    assert len(found.posting.allowed) == 12


def test_what_many_searches_find_is_bounded() -> None:
    people = [person(f"p{number}") for number in range(12)]
    dynamic = group(
        "dyn", "groupOfURLs", memberURL="ldap:///dc=test??sub?(objectClass=inetOrgPerson)"
    )
    assert len(resolved(replace(OPENLDAP, members=12), "dyn", dynamic, *people).members) == 12
    with pytest.raises(ExpansionFailed):
        resolved(replace(OPENLDAP, members=11), "dyn", dynamic, *people)
    urls = tuple(f"ldap:///uid=p{number},dc=test" for number in range(30))
    found = resolved(OPENLDAP, "dyn", group("dyn", "groupOfURLs", memberURL=urls), *people)
    assert any("more than 20 searches" in each for each in found.dead)


def test_L18_a_persons_groups_hold_the_primary_one_and_those_around_it() -> None:
    users = group("users", "group", objectSid=sid(21, 1, 2, 3, 513))
    outer = group("outer", "group", member="cn=users,dc=test")
    ida = person("ida", primaryGroupID="513", objectSid=sid(21, 1, 2, 3, 1105))
    assert groups_of(AD_LIKE, "ida", users, outer, ida) == {"users", "outer"}
    assert (
        groups_of(
            schema_with(replace(ACTIVE_DIRECTORY, primary_group=""), group=AD_LIKE.group),
            "ida",
            users,
            outer,
            ida,
        )
        == set()
    )
