"""Groups of an OpenLDAP server that works members out itself (slapo-dynlist)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.core.address import Address
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from tests.directory.contract import PEOPLE
from tests.directory.contract_groups import GROUPS
from tests.directory.ldap_bench import directory_at
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


@pytest.fixture(scope="module")
def slapd_with_dynlist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    folder = tmp_path_factory.mktemp("dynlist") / "slapd"
    server = Slapd(folder, PEOPLE + GROUPS, overlays=("dynlist",))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def directory(slapd_with_dynlist: Slapd, pump: ReactorPump) -> Iterator[LdapDirectory]:
    settings = LdapSettings(
        uris=(slapd_with_dynlist.tls_uri,),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=slapd_with_dynlist.ca_file,
    )
    made = directory_at(settings, pump)
    yield made
    pump.wait(made.close())


def test_members_that_the_server_found_by_the_same_search_count_once(
    directory: LdapDirectory, pump: ReactorPump
) -> None:
    found = pump.wait(directory.find_group(Address("dynamic", "example.test")))
    assert found is not None
    assert sorted(found.members) == [
        "bob@example.test",
        "carol@example.test",
        "nopass@example.test",
    ]
    named = pump.wait(directory.find_group(Address("unique", "example.test")))
    assert named is not None
    assert len(named.members) == 3


def test_a_persons_groups_are_found_beside_the_overlay(
    directory: LdapDirectory, pump: ReactorPump
) -> None:
    carol = pump.wait(directory.find("carol"))
    assert carol is not None
    around = pump.wait(directory.groups_of(carol))
    names = {each.addresses[0].partition("@")[0] for each in around}
    assert names >= {"unique", "posix", "desk"}
