"""The directory contract on a real OpenLDAP server, over every kind of connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.directory.ldap.settings import LdapSettings
from tests.directory.contract import *  # noqa: F403
from tests.directory.contract import Place
from tests.directory.contract_groups import *  # noqa: F403
from tests.directory.ldap_bench import directory_at
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


@pytest.fixture(params=["ldaps", "starttls"])
def place(request: pytest.FixtureRequest, slapd: Slapd, pump: ReactorPump) -> Iterator[Place]:
    settings = LdapSettings(
        uris=(slapd.tls_uri if request.param == "ldaps" else slapd.uri,),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=slapd.ca_file,
        start_tls=request.param == "starttls",
    )
    directory = directory_at(settings, pump)
    yield Place(directory, pump)
    pump.wait(directory.close())
