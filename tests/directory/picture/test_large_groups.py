"""A group of thousands is one message of a listing, whatever size that has."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.ports.picture import EntryKind
from gateway.directory.ldap.asking import LdapFailed
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.presets.openldap import OPENLDAP
from tests.directory.picture.real_world import RealWorld
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

COUNT = 20_000


def test_L18_a_group_of_twenty_thousand_is_listed(pump: ReactorPump, tmp_path: Path) -> None:
    members = "\n".join(
        f"member: uid=somebody-{number:05},ou=a-department,ou=people,{SUFFIX}"
        for number in range(COUNT)
    )
    group = (
        f"dn: cn=all,ou=people,{SUFFIX}\nobjectClass: groupOfNames\n"
        f"objectClass: inetLocalMailRecipient\ncn: all\nmailLocalAddress: all@example.test\n"
    )
    slapd = Slapd(tmp_path / "slapd", f"{group}{members}\n", room_octets=100_000_000)
    slapd.start()
    try:
        settings = LdapSettings((slapd.uri,), SUFFIX, "", "", READER_DN, READER_PASSWORD)
        world = RealWorld(pump, settings, OPENLDAP, tmp_path / "picture.sqlite", "auto")
        world.refresh()
        (kept,) = world.picture.page("", EntryKind.GROUP, "", 10)
        whole = world.picture.entry("", kept.entry_id)
        assert whole is not None and whole.whole.count(b"somebody-") >= COUNT
        world.close()
        narrow = LdapSettings(
            (slapd.uri,), SUFFIX, "", "", READER_DN, READER_PASSWORD, listing_limit_octets=1_000_000
        )
        world = RealWorld(pump, narrow, OPENLDAP, tmp_path / "other.sqlite", "auto")
        with pytest.raises(LdapFailed, match="at most 1000000 are taken"):
            world.refresh()
        world.close()
    finally:
        slapd.stop()
