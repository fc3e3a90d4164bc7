"""The directory contract on a picture of the people, beside a file and beside a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group
from gateway.core.ports.directory import Directory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldif.directory import LdifDirectory
from tests.directory.contract import *  # noqa: F403
from tests.directory.contract import PEOPLE, Place
from tests.directory.contract_groups import *  # noqa: F403
from tests.directory.contract_groups import GROUPS
from tests.directory.contract_sharing import *  # noqa: F403
from tests.directory.ldap_bench import directory_at
from tests.directory.picturing import Servers, Times, directory_over, fill
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


class Sparing(Servers):
    """Servers that check passwords, and otherwise know groups alone: whoever is found is from the
    picture, which cannot know that a member does not exist."""

    async def _ask(self, name: str, question: object) -> Any:
        found = await super()._ask(name, question)
        if name == "groups_of" and found:  # asked first where members are found by search
            raise DirectoryUnavailable
        return found if isinstance(found, Group) and (found.dead or found.dynamic) else None


@pytest.fixture(params=["picture", "slapd"])
def place(request: pytest.FixtureRequest, tmp_path: Path, pump: ReactorPump) -> Iterator[Place]:
    path = tmp_path / "directory.sqlite"
    fill(path, pump, PEOPLE + GROUPS)
    behind: Directory
    if request.param == "slapd":
        slapd: Slapd = request.getfixturevalue("slapd")
        settings = LdapSettings(
            uris=(slapd.tls_uri,),
            base_dn=SUFFIX,
            bind_dn=READER_DN,
            bind_password=READER_PASSWORD,
            ca_file=slapd.ca_file,
        )
        behind = directory_at(settings, pump)
    else:
        ldif = tmp_path / "people.ldif"
        ldif.write_text(PEOPLE + GROUPS, encoding="utf-8")
        behind = LdifDirectory(ldif, call_from_thread=pump.call_from_thread)
    servers = Sparing(behind) if request.param == "picture" else Servers(behind)
    directory = directory_over(path, pump, servers, Times())
    yield Place(directory, pump)
    pump.wait(directory.close())
