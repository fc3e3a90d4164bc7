"""389 Directory Server: changes by its own time stamps, and who is gone by a list of ids."""

from __future__ import annotations

from pathlib import Path

from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.picture.round import GONE_CHECK_S
from gateway.directory.presets.table import PRESETS
from tests.directory.picture.real_world import RealWorld, by_login
from tests.support.ds389 import READER_DN, READER_PASSWORD, Ds389
from tests.support.ds389_people import PEOPLE, dn_of, person
from tests.support.reactor_pump import ReactorPump


def test_every_change_is_seen_without_a_listing(
    ds389: Ds389, pump: ReactorPump, tmp_path: Path
) -> None:
    settings = LdapSettings(
        uris=(ds389.uri,),
        base_dn=PEOPLE,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=ds389.ca_file,
    )
    world = RealWorld(pump, settings, PRESETS["389ds"], tmp_path / "389.sqlite", "auto")
    names = ("refresh1", "refresh2", "refresh3")
    ds389.change("".join(map(person, names)))
    try:
        world.refresh()
        assert world.memory.progress.way == "timestamps"
        assert not world.refresh(GONE_CHECK_S)
        ds389.change(
            f"dn: {dn_of('refresh1')}\nchangetype: modify\nreplace: mail\n"
            "mail: other@example.test\n\n"
            f"dn: {dn_of('refresh2')}\nchangetype: modify\nadd: nsAccountLock\n"
            "nsAccountLock: true\n\n"
            f"dn: {dn_of('refresh3')}\nchangetype: delete\n\n" + person("refresh4")
        )
        told = by_login(world.refresh(GONE_CHECK_S))
        assert set(told) == {"refresh1", "refresh2", "refresh3", "refresh4"}
        assert told["refresh1"].former_addresses == ("refresh1@example.test",)
        assert told["refresh2"].was_disabled
        assert told["refresh3"].left and told["refresh4"].came
        assert world.followers.listings == [""]
    finally:
        world.close()
        for name in ("refresh1", "refresh2", "refresh4"):
            ds389.change(f"dn: {dn_of(name)}\nchangetype: delete\n\n")
