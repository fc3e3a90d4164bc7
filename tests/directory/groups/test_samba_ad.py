"""Groups of a real domain controller of Active Directory (SECURITY L18)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.core.address import Address
from gateway.core.group import Group
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.ad import AD
from gateway.directory.schema import Schema
from tests.directory.ldap_bench import directory_at
from tests.support.programs import need, run
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import (
    ADMINISTRATOR,
    ADMINISTRATOR_PASSWORD,
    BASE,
    CROWD,
    GROUPS,
    PASSWORD,
    READER_DN,
    dn_of,
)

CHAINS = AD
DOMAIN_USERS = 513
_MEMBER = f"replace: member\nmember: {dn_of('ida')}\n"
LEVELS = replace(AD, about_groups=replace(AD.about_groups, chain_rule=""))


@pytest.fixture(scope="module")
def ida_in_branch(samba_ad: SambaAd) -> Iterator[None]:
    """Her primary group, which has to have her as a member first."""
    who = ("-x", "-D", ADMINISTRATOR, "-w", ADMINISTRATOR_PASSWORD)
    command = [need("ldapsearch"), "-H", samba_ad.uri, *who, "-LLL", "-b", f"CN=branch,{GROUPS}"]
    told = run([*command, "objectSid"], environ={"LDAPNOINIT": "1"}).stdout.decode()
    sid = base64.b64decode(told.partition("objectSid:: ")[2].split()[0])
    _set_primary_group(samba_ad, int.from_bytes(sid[-4:], "little"))
    yield
    _set_primary_group(samba_ad, DOMAIN_USERS)
    samba_ad.change(f"dn: CN=branch,{GROUPS}\nchangetype: modify\n{_MEMBER}")


def _set_primary_group(samba_ad: SambaAd, rid: int) -> None:
    ida = f"dn: {dn_of('ida')}\nchangetype: modify\nreplace: primaryGroupID\n"
    samba_ad.change(f"{ida}primaryGroupID: {rid}\n")


@pytest.fixture(params=["by the server", "by level"])
def directory(
    request: pytest.FixtureRequest, samba_ad: SambaAd, pump: ReactorPump
) -> Iterator[LdapDirectory]:
    schema: Schema = CHAINS if request.param == "by the server" else LEVELS
    settings = LdapSettings(
        uris=(samba_ad.tls_uri,),
        base_dn=BASE,
        bind_dn=READER_DN,
        bind_password=PASSWORD,
        ca_file=samba_ad.ca_file,
    )
    made = directory_at(settings, pump, schema=schema)
    yield made
    pump.wait(made.close())


def found(directory: LdapDirectory, pump: ReactorPump, name: str) -> Group:
    group = pump.wait(directory.find_group(Address(name, "example.test")))
    assert group is not None
    return group


def test_L18_groups_in_groups(directory: LdapDirectory, pump: ReactorPump) -> None:
    staff = found(directory, pump, "staff")
    assert {each.login for each in staff.people.values()} == {"anna", "gina", "bert"}
    assert staff.nested == ("subteam",)
    assert staff.dead == ()
    loop = found(directory, pump, "loop1")
    assert {each.login for each in loop.people.values()} == {"anna", "gina"}


def test_L18_the_primary_group_of_people(
    directory: LdapDirectory, pump: ReactorPump, ida_in_branch: None
) -> None:
    branch = found(directory, pump, "branch")
    assert "ida" in {each.login for each in branch.people.values()}
    ida = pump.wait(directory.find("ida"))
    assert ida is not None
    around = pump.wait(directory.groups_of(ida))
    assert "branch@example.test" in {each.addresses[0] for each in around}


def test_L18_more_members_than_one_answer_holds(
    directory: LdapDirectory, pump: ReactorPump
) -> None:
    crowd = found(directory, pump, "crowd")
    assert len(crowd.members) == CROWD
    assert len(crowd.people) == CROWD


def test_a_persons_groups(directory: LdapDirectory, pump: ReactorPump) -> None:
    gina = pump.wait(directory.find("gina"))
    assert gina is not None
    around = pump.wait(directory.groups_of(gina))
    names = {each.addresses[0].partition("@")[0] for each in around}
    assert names == {"subteam", "staff", "loop1", "loop2"}
