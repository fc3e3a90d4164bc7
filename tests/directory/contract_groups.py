"""What every directory must do about groups, run on the LDIF file and on a real server.

A test module imports all names beside those of ``contract``. The groups are in GROUPS; their people
are ``contract``'s.
"""

from __future__ import annotations

import pytest

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, ExpansionFailed
from gateway.core.group import Group
from tests.directory.contract import Place
from tests.support.slapd import SUFFIX


def dn(uid: str) -> str:
    return f"uid={uid},ou=people,{SUFFIX}"


def group_dn(name: str) -> str:
    return f"cn={name},ou=people,{SUFFIX}"


def group(name: str, *members: str, kind: str = "groupOfNames", mail: str = "") -> str:
    """``members`` are values of ``member`` (``uniqueMember``)."""
    attribute = "uniqueMember" if kind == "groupOfUniqueNames" else "member"
    lines = [f"dn: {group_dn(name)}", f"objectClass: {kind}"]
    if mail:
        lines += ["objectClass: extensibleObject", f"mail: {mail}"]
    lines.append(f"cn: {name}")
    return "\n".join([*lines, *(f"{attribute}: {each}" for each in members)]) + "\n\n"


GONE = dn("gone")

GROUPS = (
    group("Sales", dn("alice"), dn("bob"), GONE, dn("nopass"), mail="Sales@Example.Test")
    + group(
        "Unique",
        dn("carol"),
        dn("bob").upper(),
        f"{dn('nopass')}#'0101'B",
        kind="groupOfUniqueNames",
        mail="unique@example.test",
    )
    # Groups in groups: everyone has sales (with an address), inner (without) and itself.
    + group("inner", dn("dave"), group_dn("Everyone"))
    + group(
        "Everyone",
        group_dn("Sales"),
        group_dn("inner"),
        group_dn("Everyone"),
        dn("alice"),
        mail="everyone@example.test",
    )
    + group("Dead", GONE, mail="dead@example.test")
    + group("Itself", group_dn("Itself"), mail="itself@example.test")
    + group("Twins", dn("twin1"), dn("twin2"), mail="twins@example.test")
    + group("Silent", dn("alice"))
    + group("Clash1", dn("alice"), mail="clash@example.test")
    + group("Clash2", dn("alice"), mail="clash@example.test")
    + group("Shared", dn("alice"), mail="eve@example.test")
    + "".join(
        group(
            f"deep{level}",
            group_dn(f"deep{level + 1}") if level < 12 else dn("bob"),
            mail=f"deep{level}@example.test",
        )
        for level in range(13)
    )
    + f"""\
dn: {group_dn("List")}
objectClass: mailGroup
cn: List
description: by address
mail: list@example.test
mgrpRFC822MailMember: Bob@Example.Test
mgrpRFC822MailMember: a.liddell@example.test
mgrpRFC822MailMember: outside@else.example
mgrpRFC822MailMember: sales@example.test
mgrpRFC822MailMember: twin@example.test
mgrpRFC822MailMember: just text

dn: {group_dn("Posix")}
objectClass: posixGroup
objectClass: extensibleObject
cn: Posix
gidNumber: 5000
mail: posix@example.test
memberUid: carol
memberUid: gone

dn: {group_dn("Desk")}
objectClass: nisMailAlias
objectClass: extensibleObject
cn: Desk
mail: desk@example.test
rfc822MailMember: carol
rfc822MailMember: bob@example.test

dn: {group_dn("Dynamic")}
objectClass: groupOfURLs
objectClass: extensibleObject
cn: Dynamic
mail: dynamic@example.test
memberURL: ldap:///ou=people,{SUFFIX}??sub?(|(uid=carol)(uid=bob)(cn=Unique))
memberURL: ldap://elsewhere.test/ou=people,{SUFFIX}??sub?(uid=alice)
memberURL: ldap:///dc=other??sub?(uid=alice)

"""
)


def ask(place: Place, *local_parts: str) -> Account | Group | None:
    addresses = [Address(local_part, "example.test") for local_part in local_parts]
    return place.pump.wait(place.directory.find_recipient(addresses))


def found_group(place: Place, local_part: str) -> Group:
    found = ask(place, local_part)
    assert isinstance(found, Group)
    assert place.pump.wait(place.directory.find_group(Address(local_part, "example.test"))) == found
    return found


def test_a_group_has_its_people_and_tells_who_is_gone(place: Place) -> None:
    sales = found_group(place, "SALES")
    assert sales.name == "Sales"
    assert sales.addresses == ("sales@example.test",)
    assert set(sales.members) == {
        "alice@example.test",
        "bob@example.test",
        "nopass@example.test",
    }
    assert {account.login for account in sales.people.values()} == {"alice", "bob", "nopass"}
    assert len(sales.dead) == 1
    assert GONE in sales.dead[0]


def test_every_kind_of_group_counts(place: Place) -> None:
    assert set(found_group(place, "unique").members) == {
        "bob@example.test",
        "carol@example.test",
        "nopass@example.test",
    }
    listed = found_group(place, "list")
    assert set(listed.members) == {
        "bob@example.test",
        "a.liddell@example.test",
        "outside@else.example",
        "sales@example.test",
    }
    assert listed.people["a.liddell@example.test"].login == "alice"
    assert set(listed.people) == {"bob@example.test", "a.liddell@example.test"}
    assert any("twin@example.test" in text for text in listed.dead)
    assert any("just text" in text for text in listed.dead)


def test_members_by_login_count(place: Place) -> None:
    posix = found_group(place, "posix")
    assert posix.members == ("carol@example.test",)
    assert len(posix.dead) == 1
    assert "gone" in posix.dead[0]
    assert set(found_group(place, "desk").members) == {"carol@example.test", "bob@example.test"}


def test_F3_members_by_search_are_searched_for_here_alone(place: Place) -> None:
    dynamic = found_group(place, "dynamic")
    # Unique is a group, whose members are members too.
    assert set(dynamic.members) == {
        "bob@example.test",
        "carol@example.test",
        "nopass@example.test",
    }
    assert len(dynamic.dynamic) == 2
    assert any("elsewhere.test" in each for each in dynamic.dead)


def test_S34_groups_in_groups_are_resolved_once(place: Place) -> None:
    everyone = found_group(place, "everyone")
    assert sorted(everyone.members) == [
        "alice@example.test",
        "bob@example.test",
        "dave@example.test",
        "nopass@example.test",
    ]
    assert not everyone.people["dave@example.test"].enabled
    assert found_group(place, "itself").members == ()
    assert found_group(place, "dead").members == ()


def test_members_by_dn_are_never_ambiguous(place: Place) -> None:
    twins = found_group(place, "twins")
    assert twins.members == ("twin@example.test",)


def test_a_group_that_is_too_deep_is_trouble(place: Place) -> None:
    assert set(found_group(place, "deep2").members) == {"bob@example.test"}
    for local_part in ("deep0", "deep1"):
        with pytest.raises(ExpansionFailed):
            ask(place, local_part)


def test_L5_an_address_of_two_groups_or_of_a_person_and_a_group_is_nobodys(place: Place) -> None:
    for local_part in ("clash", "eve", "twin"):
        with pytest.raises(DirectoryUnavailable):
            ask(place, local_part)


def test_people_and_nobody_are_found_as_well(place: Place) -> None:
    alice = ask(place, "alice")
    assert isinstance(alice, Account)
    assert alice == place.find("alice")
    assert ask(place, "nobody") is None
    assert ask(place, "printer") is None
    assert place.pump.wait(place.directory.find_group(Address("alice", "example.test"))) is None


def test_the_first_address_that_somebody_has_decides(place: Place) -> None:
    assert ask(place, "nobody", "bob", "alice") == place.find("bob")
    assert ask(place, "alice", "twin") == place.find("alice")
    assert isinstance(ask(place, "x", "sales", "alice"), Group)
    with pytest.raises(DirectoryUnavailable):
        ask(place, "nobody", "twin", "alice")


def test_groups_of_a_person(place: Place) -> None:
    def addresses(local_part: str) -> set[str]:
        account = place.find(local_part)
        assert account is not None
        groups = place.pump.wait(place.directory.groups_of(account))
        assert all(not each.members and each.name for each in groups)
        return {each.addresses[0] for each in groups}

    assert addresses("carol") == {"unique@example.test", "posix@example.test", "desk@example.test"}
    assert addresses("dave") == {"everyone@example.test"}
    # By DN, by any of her addresses, and by way of other groups; each once.
    assert addresses("alice") == {
        "sales@example.test",
        "everyone@example.test",
        "clash@example.test",
        "eve@example.test",
        "list@example.test",
    }


def test_L5_a_group_of_a_person_is_known_by_its_id_and_not_by_its_address(place: Place) -> None:
    alice = place.find("alice")
    assert alice is not None
    for each in place.pump.wait(place.directory.groups_of(alice)):
        local_part = each.addresses[0].partition("@")[0]
        if local_part in ("clash", "eve"):
            with pytest.raises(DirectoryUnavailable):
                ask(place, local_part)
        else:
            found = ask(place, local_part)
            assert isinstance(found, Group) and found.group_id == each.group_id


def test_groups_of_nobody_are_none(place: Place) -> None:
    account = place.find("carol")
    assert account is not None
    stranger = Account("no-such-id", "x", "x@example.test", ("x@example.test",))  # type: ignore[arg-type]
    assert list(place.pump.wait(place.directory.groups_of(stranger))) == []


def test_L2_group_addresses_never_change_the_question(place: Place) -> None:
    for local_part in ("*", "sal*", "sales)(mail=*", "\\73ales"):
        assert ask(place, local_part) is None


def test_no_groups_are_told_after_close(place: Place) -> None:
    alice = place.find("alice")
    assert alice is not None
    place.pump.wait(place.directory.close())
    for question in (
        lambda: ask(place, "sales"),
        lambda: place.pump.wait(place.directory.find_group(Address("sales", "example.test"))),
        lambda: place.pump.wait(place.directory.groups_of(alice)),
    ):
        with pytest.raises(DirectoryUnavailable):
            question()
