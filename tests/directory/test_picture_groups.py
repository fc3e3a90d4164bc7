"""Groups from the picture: resolved once, in pieces, and never with members left out."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.directory.picture.cursor import Cursor
from gateway.directory.presets.openldap import OPENLDAP
from gateway.wire.ldap.filters import Equal
from tests.directory.contract import PEOPLE, person
from tests.directory.contract_groups import GROUPS
from tests.directory.picturing import COMPLETE, Case, Servers, address, fill
from tests.support.pump import Pump


def test_a_change_of_the_picture_is_seen_within_a_second_groups_too(case: Case) -> None:
    first = case.ask("unique")
    assert isinstance(first, Group)
    assert case.ask("unique") is first  # resolved once
    case.fill(GROUPS.replace("cn: Unique", "cn: Renamed"))
    case.times.pass_s(1)
    second = case.ask("unique")
    assert isinstance(second, Group)
    assert second.name == "Renamed"


def group_of(*members: str, mail: str = "team@example.test") -> str:
    lines = "".join(f"member: {each}\n" for each in members)
    return f"dn: cn=team,dc=example,dc=test\nobjectClass: groupOfNames\nmail: {mail}\n{lines}\n"


def person_dn(uid: str) -> str:
    return f"uid={uid},ou=people,dc=example,dc=test"


ANN = person("ann", 80, "", "mail: ann@example.test")


def resolving(case: Case) -> list[Any]:
    """Servers that know one group; returns what they are asked."""
    asked: list[Any] = []

    async def resolved(addresses: Any) -> Group:
        asked.append(addresses)
        return Group("team", ("team@example.test",), ("alice@example.test",))

    case.servers.find_recipient = resolved  # type: ignore[method-assign]
    return asked


def test_a_group_with_a_member_the_picture_lacks_is_asked_for(case: Case) -> None:
    asked = resolving(case)
    for _ in range(3):
        group = case.ask("sales")
        assert isinstance(group, Group)
        assert group.members == ("alice@example.test",)
    assert len(asked) == 1


def test_in_an_outage_a_dead_member_holds_up_nobody_elses_mail(tmp_path: Path, pump: Pump) -> None:
    case = Case(tmp_path, pump, base="dc=example,dc=test")
    case.fill(ANN + group_of(person_dn("ann"), person_dn("gone")))
    case.servers.down = True
    for _ in range(2):
        group = case.ask("team")
        assert isinstance(group, Group)
        assert group.members == ("ann@example.test",)
        assert ["gone" in each for each in group.dead] == [True]
    assert case.ask("team") is group  # resolved once
    assert isinstance(group, Group)
    found = case.pump.wait(case.directory.find_group(address("team")))
    assert found is not None and found.dead == group.dead
    case.servers.down = False
    asked = resolving(case)
    again = case.ask("team")  # what an outage left out is not what is known
    assert isinstance(again, Group)
    assert again.members == ("alice@example.test",) and len(asked) == 1


def test_in_an_outage_members_whom_no_listing_could_show_defer_the_group(
    tmp_path: Path, pump: Pump
) -> None:
    case = Case(tmp_path, pump, base="dc=example,dc=test")
    case.fill(ANN + group_of(person_dn("ann"), "uid=far,dc=elsewhere,dc=test"))
    case.servers.down = True
    with pytest.raises(DirectoryUnavailable):
        case.ask("team")


def test_in_an_outage_a_picture_of_other_settings_leaves_nobody_out(
    tmp_path: Path, pump: Pump
) -> None:
    case = Case(tmp_path, pump, base="dc=example,dc=test", fingerprint="new")
    old = replace(COMPLETE, cursor=str(Cursor("csn", "old")))
    case.fill(ANN + group_of(person_dn("ann"), person_dn("excluded")), old)
    case.servers.down = True
    with pytest.raises(DirectoryUnavailable):
        case.ask("team")


def test_L5_a_member_whose_name_two_entries_have_is_asked_for(case: Case) -> None:
    """As while a refresh has seen the new bearer of a name and not yet where the old one went."""
    old = person("ann", 80, "", "mail: old@example.test")
    new = person("Ann", 81, "", "mail: new@example.test")
    case.fill(old + new + group_of(person_dn("ann")))
    asked = resolving(case)
    group = case.ask("team")
    assert isinstance(group, Group)
    assert group.members == ("alice@example.test",) and len(asked) == 1
    case.servers = Servers()
    case.servers.down = True
    case.directory = case.over()
    with pytest.raises(DirectoryUnavailable):
        case.ask("team")


def test_a_picture_that_is_made_anew_is_another_version(case: Case) -> None:
    """Or what was resolved from the lost one would still be taken for true."""
    first = case.ask("unique")
    assert isinstance(first, Group)
    for each in case.path.parent.glob(f"{case.path.name}*"):
        each.unlink()
    case.fill(PEOPLE + GROUPS.replace("cn: Unique", "cn: Renamed"))
    case.times.pass_s(1)
    second = case.ask("unique")
    assert isinstance(second, Group)
    assert second.name == "Renamed"


def test_contacts_are_members_and_neither_people_nor_recipients(tmp_path: Path, pump: Pump) -> None:
    schema = replace(OPENLDAP, contact=Equal("objectClass", "contact"))
    case = Case(tmp_path, pump, schema=schema)
    dn = "cn=Far,ou=people,dc=example,dc=test"
    contact = f"dn: {dn}\nobjectClass: contact\nmail: far@elsewhere.test\nentryUUID: far-1\n\n"
    fill(case.path, pump, ANN + contact + group_of(person_dn("ann"), dn), schema=schema)
    group = case.ask("team")
    assert isinstance(group, Group)
    assert group.members == ("ann@example.test", "far@elsewhere.test")
    assert case.servers.asked == []
    assert case.pump.wait(case.directory.find_by_address(Address("far", "elsewhere.test"))) is None
    assert case.pump.wait(case.directory.find_by_id(AccountId("far-1"))) is None
    assert len(case.pump.wait(case.directory.people("", 10))) == 1


def test_a_large_group_lets_others_run_while_it_is_resolved(case: Case) -> None:
    many = "".join(person(f"m{n}", 1000 + n, "", f"mail: m{n}@example.test") for n in range(300))
    dns = "".join(f"member: uid=m{n},ou=people,dc=example,dc=test\n" for n in range(300))
    large = "dn: cn=large,dc=example,dc=test\nobjectClass: groupOfNames\n"
    case.fill(f"{many}{large}objectClass: extensibleObject\nmail: large@example.test\n{dns}\n")
    coroutine = case.directory.find_recipient([address("large")])
    waiting = case.pump.start(coroutine)
    assert not waiting.called
    group = case.pump.wait_for(waiting)
    assert isinstance(group, Group)
    assert len(group.members) == 300
    assert case.servers.asked == []


def test_L18_a_primary_group_has_its_people_and_they_have_it(tmp_path: Path, pump: Pump) -> None:
    words = replace(OPENLDAP.about_groups, primary_group="primaryGroupID", sid="objectSid")
    schema = replace(OPENLDAP, about_groups=words)

    def sid(rid: int) -> str:
        octets = bytes((1, 2)) + bytes(5) + b"\5" + (21).to_bytes(4, "little")
        return base64.b64encode(octets + rid.to_bytes(4, "little")).decode()

    own = (f"objectSid:: {sid(1104)}", "primaryGroupID: 513")
    users = f"cn: Users\nmail: users@example.test\nobjectSid:: {sid(513)}\n"
    ldif = person("ann", 80, "", "mail: ann@example.test", *own) + person("other", 81, "")
    ldif += f"dn: cn=users,dc=example,dc=test\nobjectClass: groupOfNames\n{users}\n"
    case = Case(tmp_path, pump, schema=schema)
    fill(case.path, pump, ldif, schema=schema)
    group = case.ask("users")
    assert isinstance(group, Group)
    assert group.members == ("ann@example.test",)
    (around,) = pump.wait(case.directory.groups_of(group.people["ann@example.test"]))
    assert around.addresses == ("users@example.test",)
    assert case.servers.asked == []


def test_where_members_are_found_by_search_the_servers_tell_of_groups(case: Case) -> None:
    alice = case.ask("alice")
    assert isinstance(alice, Account)
    by_search = "memberURL: ldap:///dc=example,dc=test??sub?(uid=*)\nmail: all@example.test\n"
    case.fill(f"dn: cn=all,dc=example,dc=test\nobjectClass: groupOfURLs\n{by_search}\n")
    case.times.pass_s(1)
    assert case.pump.wait(case.directory.groups_of(alice)) == ()
    assert case.ask("all") is None
    assert [name for name, _ in case.servers.asked] == ["groups_of", "find_recipient"]
