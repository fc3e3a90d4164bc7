"""The desk with a real LDAP server, and with one that never answers: the loop's timers end that."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.desk import Desk, PersonUnknown, at_desk
from gateway.core.errors import DirectoryUnavailable
from gateway.core.settings.model import Settings
from tests.directory.contract import PEOPLE
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("slapd"), PEOPLE)
    server.start()
    yield server
    server.stop()


def settings_for(folder: Path, **directory: object) -> Settings:
    return Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "state_dir": str(folder / "state"),
            "domains": {"example.test": {}},
            "directory": {"kind": "ldap", "base_dn": SUFFIX, **directory},
        }
    )


def test_people_are_found_in_the_real_directory(slapd: Slapd, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path,
        uri=slapd.tls_uri,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=str(slapd.ca_file),
    )

    def work(desk: Desk) -> None:
        alice = desk.account("alice")
        assert alice.addresses[0] == "alice@example.test"
        assert desk.account("A.Liddell@example.test") == alice
        with pytest.raises(PersonUnknown):
            desk.account("nobody")
        with pytest.raises(DirectoryUnavailable, match="ambiguous"):
            desk.account("twin@example.test")

    at_desk(settings, work)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = settings_for(
            tmp_path,
            uri=f"ldap://127.0.0.1:{silent.getsockname()[1]}",
            start_tls=False,
            timeout_s=0.2,
        )
        with pytest.raises(DirectoryUnavailable):
            at_desk(settings, lambda desk: desk.account("alice"))
