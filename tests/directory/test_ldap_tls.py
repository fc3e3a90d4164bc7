"""Certificates, settings that would send passwords unprotected, and a server that restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, SettingsError
from gateway.directory.ldap.settings import LdapSettings
from tests.directory.ldap_bench import ShiftedReactor, directory_at
from tests.directory.tls_listener import TlsListener
from tests.support.authority import new_authority
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

GOOD = LdapSettings(uris=("ldaps://ldap.example.test",), base_dn=SUFFIX)


def settings_for(slapd: Slapd) -> LdapSettings:
    return LdapSettings(
        uris=(slapd.tls_uri,),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=slapd.ca_file,
    )


def probe(pump: ReactorPump, settings: LdapSettings) -> str:
    directory = directory_at(settings, pump)
    try:
        return pump.wait(directory.probe())
    finally:
        pump.wait(directory.close())


def unavailable(pump: ReactorPump, settings: LdapSettings) -> str:
    with pytest.raises(DirectoryUnavailable) as error:
        probe(pump, settings)
    return str(error.value)


def test_probe_tells_server_account_base_and_protection(slapd: Slapd, pump: ReactorPump) -> None:
    line = probe(pump, settings_for(slapd))
    assert line == f"{slapd.tls_uri}: bound as {READER_DN}, {SUFFIX} found, TLSv1.3"
    assert "clear text" in probe(pump, replace(settings_for(slapd), uris=(slapd.uri,)))


def test_probe_tells_a_wrong_service_password_and_base(slapd: Slapd, pump: ReactorPump) -> None:
    settings = settings_for(slapd)
    refused = unavailable(pump, replace(settings, bind_password="not-this-one"))
    assert "service account was refused: wrong password" in refused
    assert "not-this-one" not in refused
    assert "result code 32" in unavailable(pump, replace(settings, base_dn="dc=other"))


def test_L7_a_certificate_of_another_authority_is_refused(
    slapd: Slapd, pump: ReactorPump, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(new_authority().pem)
    assert "not trusted" in unavailable(pump, replace(settings_for(slapd), ca_file=other))
    # Without a CA file the system's authorities decide, which do not know this one.
    assert "not trusted" in unavailable(pump, replace(settings_for(slapd), ca_file=None))
    starttls = replace(settings_for(slapd), uris=(slapd.uri,), start_tls=True, ca_file=other)
    assert "not trusted" in unavailable(pump, starttls)


@pytest.fixture
def impostor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[TlsListener, Path]]:
    authority = new_authority()
    names, expired = request.param
    certificate, key = authority.issue(*names, expired=expired)
    (tmp_path / "ca").write_bytes(authority.pem)
    with TlsListener(certificate, key, tmp_path) as listener:
        yield listener, tmp_path / "ca"


@pytest.mark.parametrize(
    "impostor",
    [
        (["other.example.test"], False),
        (["CN=127.0.0.1"], False),
        (["CN=localhost", "localhost.example.test"], False),
        (["127.0.0.1", "localhost"], True),
    ],
    indirect=True,
    ids=["other name", "common name only", "common name beside others", "expired"],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_L7_a_certificate_for_another_name_or_time_is_refused(
    impostor: tuple[TlsListener, Path], pump: ReactorPump, host: str
) -> None:
    listener, ca_file = impostor
    settings = LdapSettings(
        uris=(f"ldaps://{host}:{listener.port}",),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=ca_file,
    )
    assert "certificate" in unavailable(pump, settings)
    assert listener.received == b""


def test_L9_lookups_go_on_after_the_server_restarts(tmp_path: Path, pump: ReactorPump) -> None:
    server = Slapd(tmp_path / "slapd", "")
    server.start()
    clock = ShiftedReactor(pump.reactor)
    directory = directory_at(settings_for(server), pump, reactor=clock)

    def nobody() -> bool:
        return pump.wait(directory.find_by_address(Address("nobody", "example.test"))) is None

    try:
        assert nobody()
        for _ in range(2):
            server.restart()
            assert nobody()
        server.stop()
        with pytest.raises(DirectoryUnavailable):
            nobody()
        server.start()
        clock.advance(2)  # where nobody else answers, pauses between probes are no longer
        pump.until(lambda: directory.health()[0].answers)
        assert nobody()
    finally:
        pump.wait(directory.close())
        server.stop()


def problems(settings: LdapSettings, pump: ReactorPump) -> list[tuple[str, str]]:
    with pytest.raises(SettingsError) as error:
        directory_at(settings, pump)
    return [(problem.key, problem.found) for problem in error.value.problems]


def test_L8_clear_text_to_other_machines_is_refused(pump: ReactorPump) -> None:
    far = replace(GOOD, uris=("ldap://ldap.example.test", "ldap://127.0.0.1.example.test"))
    assert [key for key, _ in problems(far, pump)] == ["directory.uri", "directory.uri"]
    for allowed in (
        replace(far, allow_clear_text=True),
        replace(far, start_tls=True),
        replace(GOOD, uris=("ldap://127.0.0.1", "ldap://[::1]:3890", "ldap://localhost")),
    ):
        directory = directory_at(allowed, pump)
        pump.wait(directory.close())


def test_L7_a_missing_or_empty_ca_file_is_found_at_start(pump: ReactorPump, tmp_path: Path) -> None:
    missing = problems(replace(GOOD, ca_file=tmp_path / "missing.pem"), pump)
    assert missing == [
        ("directory.ca_file", f"{tmp_path / 'missing.pem'}: No such file or directory")
    ]
    (tmp_path / "empty.pem").write_text("")
    assert (
        problems(replace(GOOD, ca_file=tmp_path / "empty.pem"), pump)[0][0] == "directory.ca_file"
    )


def test_L1_a_service_account_needs_its_password(pump: ReactorPump) -> None:
    assert problems(replace(GOOD, bind_dn="cn=x"), pump) == [("directory.bind_password", "empty")]
    assert problems(replace(GOOD, bind_password="x"), pump) == [("directory.bind_dn", "empty")]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "ldap",
        "http://a",
        "ldapi:///x",
        "ldaps://",
        "ldaps://u@h",
        "ldaps://h/dc=x",
        "ldaps://h:0",
        "ldaps://h ",
        "ldaps://zoë",
    ]
    + ["ldaps://h:65536", "ldaps://h?x", "ldaps://[::1"],
)
def test_uris_that_cannot_be_used_are_named(pump: ReactorPump, uri: str) -> None:
    assert problems(replace(GOOD, uris=(uri,)), pump) == [("directory.uri", repr(uri))]


def test_all_mistakes_are_reported_at_once(pump: ReactorPump) -> None:
    bad = LdapSettings(uris=(), base_dn=" ", bind_dn="cn=x", operation_timeout_s=0, connections=0)
    keys = [key.removeprefix("directory.") for key, _ in problems(bad, pump)]
    assert keys == ["uri", "base_dn", "bind_password", "operation_timeout_s", "connections"]


def test_F3_the_service_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(replace(GOOD, bind_dn="cn=x", bind_password="s3cret"))
