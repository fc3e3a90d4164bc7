"""A domain controller: changes by their numbers, of that controller alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.ports.picture import EntryKind, KeyKind
from gateway.directory.dn import dn_key
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.picture.round import GONE_CHECK_S
from gateway.directory.presets.ad import AD
from tests.directory.picture.real_world import RealWorld, by_login
from tests.support.reactor_pump import ReactorPump
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import (
    ADMINISTRATOR,
    ADMINISTRATOR_PASSWORD,
    BASE,
    CROWD,
    PASSWORD,
    PEOPLE,
    READER_DN,
    dn_of,
    user,
)

READER = (READER_DN, PASSWORD)
MANAGER = (ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
"""May read what is deleted."""


def world_at(
    samba: SambaAd, pump: ReactorPump, path: Path, base: str, who: tuple[str, str] = READER
) -> RealWorld:
    settings = LdapSettings(
        uris=(samba.uri,),
        base_dn=base,
        bind_dn=who[0],
        bind_password=who[1],
        ca_file=samba.ca_file,
    )
    return RealWorld(pump, settings, AD, path, "auto")


@pytest.mark.parametrize(("who", "later_s"), [(READER, GONE_CHECK_S), (MANAGER, 30)])
def test_every_change_is_seen_without_a_listing(
    samba_ad: SambaAd, pump: ReactorPump, tmp_path: Path, who: tuple[str, str], later_s: float
) -> None:
    world = world_at(samba_ad, pump, tmp_path / "ad.sqlite", PEOPLE, who)
    names = ("refresh1", "refresh2", "refresh3", "refresh4")
    samba_ad.change("".join(user(name, f"mail: {name}@example.test") for name in names))
    try:
        world.refresh()
        assert world.memory.progress.way == "usn"
        world.refresh(GONE_CHECK_S)
        assert not world.refresh(30)
        samba_ad.change(
            f"dn: {dn_of('refresh1')}\nchangetype: modify\nreplace: mail\n"
            "mail: other1@example.test\n\n"
            f"dn: {dn_of('refresh2')}\nchangetype: modify\nreplace: userAccountControl\n"
            "userAccountControl: 514\n\n"
            f"dn: {dn_of('refresh3')}\nchangetype: delete\n\n"
            f"dn: {dn_of('refresh4')}\nchangetype: modrdn\nnewrdn: CN=refresh4\ndeleteoldrdn: 1\n"
            f"newsuperior: {BASE}\n\n" + user("refresh5", "mail: refresh5@example.test")
        )
        told = by_login(world.refresh(later_s))
        assert set(told) == {"refresh1", "refresh2", "refresh3", "refresh4", "refresh5"}
        assert told["refresh1"].former_addresses == ("refresh1@example.test",)
        assert told["refresh2"].was_disabled
        assert told["refresh3"].left and told["refresh4"].left
        assert told["refresh5"].came
        assert world.followers.listings == [""]
        world.restart()
        assert not world.refresh(30)
        assert world.followers.listings == [""]
    finally:
        world.close()
        for dn in (*map(dn_of, ("refresh1", "refresh2", "refresh5")), f"CN=refresh4,{BASE}"):
            samba_ad.change(f"dn: {dn}\nchangetype: delete\n")


def test_contacts_are_there_for_groups_alone(
    samba_ad: SambaAd, pump: ReactorPump, tmp_path: Path
) -> None:
    world = world_at(samba_ad, pump, tmp_path / "contacts.sqlite", PEOPLE)
    dn = dn_of("Far Away")
    contact = f"dn: {dn}\nchangetype: add\nobjectClass: contact\nmail: far@elsewhere.test\n\n"
    try:
        world.refresh()
        people = world.state.people
        samba_ad.change(contact)
        assert not world.refresh(30)
        (kept,) = world.picture.wholes(KeyKind.DN, [dn_key(dn)])
        assert kept.kind is EntryKind.CONTACT and b"far@elsewhere.test" in kept.whole
        assert not world.picture.find(KeyKind.ADDRESS, ["far@elsewhere.test"])
        assert world.state.people == people
        samba_ad.change(f"dn: {dn}\nchangetype: delete\n")
        assert not world.refresh(GONE_CHECK_S)
        assert not world.picture.find(KeyKind.DN, [dn_key(dn)])
    finally:
        world.close()


def test_L18_all_members_of_a_large_group_come_into_the_picture(
    samba_ad: SambaAd, pump: ReactorPump, tmp_path: Path
) -> None:
    world = world_at(samba_ad, pump, tmp_path / "crowd.sqlite", BASE)
    try:
        world.refresh()
        found = world.picture.find(KeyKind.ADDRESS, ["crowd@example.test"])
        assert [each.kind for each in found] == [EntryKind.GROUP]
        entry = world.picture.entry("", found[0].entry_id)
        assert entry is not None
        assert entry.whole.count(b"CN=") > CROWD
        assert b"range=" not in entry.whole
    finally:
        world.close()
