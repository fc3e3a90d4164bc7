"""``gateway check`` on real servers: what it says of them, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from tests.support.authority import new_authority
from tests.support.ports import free_port
from tests.support.samba_ad import SambaAd
from tests.support.samba_people import BASE, PASSWORD, READER_DN
from tests.support.slapd import READER_DN as SLAPD_READER
from tests.support.slapd import READER_PASSWORD, SUFFIX, Slapd

Rows = list[dict[str, str]]
Captured = pytest.CaptureFixture[str]


def checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, directory: str
) -> tuple[int, Rows]:
    """What it says of a directory, by --json."""
    config = folder / "gateway.toml"
    config.write_text(f"""
hostname = "localhost"
state_dir = "{folder}/state"
[domains."example.test"]
[tls]
self_signed = true
[[listen]]
protocol = "imap"
address = "127.0.0.1:{free_port()}"
[directory]
kind = "ldap"
{directory}""")
    monkeypatch.setattr("sys.argv", ["gateway", "check", "--json", "--config", str(config)])
    status = 0
    try:
        main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    rows: Rows = json.loads(capsys.readouterr().out)
    return status, [row for row in rows if row["area"] == "directory"]


def said(rows: Rows, outcome: str) -> str:
    return "\n".join(
        f"{row['found']} -> {row['advice']}" for row in rows if row["outcome"] == outcome
    )


def of_samba(samba_ad: SambaAd, preset: str, **changes: str) -> str:
    values = {
        "uri": f'"{samba_ad.tls_uri}"',
        "base_dn": f'"{BASE}"',
        "bind_dn": f'"{READER_DN}"',
        "bind_password": f'"{PASSWORD}"',
        "ca_file": f'"{samba_ad.ca_file}"',
        "preset": f'"{preset}"',
        **changes,
    }
    return "\n".join(f"{key} = {value}" for key, value in values.items())


def test_an_active_directory_as_it_should_be(
    samba_ad: SambaAd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    status, rows = checked(tmp_path, monkeypatch, capsys, of_samba(samba_ad, "samba"))
    fine, warnings = said(rows, "ok"), said(rows, "warning")
    assert (status, said(rows, "failed")) == (0, "")
    for words in (
        f"bound as {READER_DN}, TLS",
        "Samba's Active Directory",
        f"{BASE} found",
        "people are found by",
        "of the first 500 people",
        "have a mail address",
        "log in as EXAMPLE\\user",
    ):
        assert words in fine, words
    assert "the certificate ends in" in warnings
    assert "preset" not in warnings
    assert PASSWORD not in json.dumps(rows)


def test_another_preset_is_told_the_one_that_fits(
    samba_ad: SambaAd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    status, rows = checked(tmp_path, monkeypatch, capsys, of_samba(samba_ad, "openldap"))
    assert status == 1
    assert 'set directory.preset = "samba"' in said(rows, "warning")
    assert "nobody is found by (objectClass=inetOrgPerson)" in said(rows, "failed")


def test_every_server_is_looked_at_and_one_that_is_down_is_told(
    samba_ad: SambaAd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    uris = f'["ldaps://127.0.0.1:{free_port()}", "{samba_ad.tls_uri}"]'
    status, rows = checked(tmp_path, monkeypatch, capsys, of_samba(samba_ad, "ad", uri=uris))
    assert status == 1
    assert "is the server up" in said(rows, "failed")
    assert "bound as" in said(rows, "ok")


def test_a_wrong_name_of_the_domain(
    samba_ad: SambaAd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    wrong = of_samba(samba_ad, "ad", netbios_domain='"OLDNAME"')
    status, rows = checked(tmp_path, monkeypatch, capsys, wrong)
    assert status == 1
    assert 'netbios_domain = "EXAMPLE"' in said(rows, "failed")


def of_slapd(slapd: Slapd, **changes: str) -> str:
    values = {
        "uri": f'"{slapd.tls_uri}"',
        "base_dn": f'"{SUFFIX}"',
        "bind_dn": f'"{SLAPD_READER}"',
        "bind_password": f'"{READER_PASSWORD}"',
        "ca_file": f'"{slapd.ca_file}"',
        **changes,
    }
    return "\n".join(f"{key} = {value}" for key, value in values.items())


def test_an_openldap_whose_people_share_an_address(
    slapd: Slapd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    status, rows = checked(tmp_path, monkeypatch, capsys, of_slapd(slapd))
    assert (status, said(rows, "failed")) == (0, "")
    assert "OpenLDAP" in said(rows, "ok")
    assert "twin@example.test" in said(rows, "warning")


@pytest.mark.parametrize(
    ("changes", "words", "advice"),
    [
        ({"bind_password": '"not it"'}, "service account was refused", "directory.bind_password"),
        ({"base_dn": '"dc=other,dc=test"'}, f"it has {SUFFIX}", "set directory.base_dn"),
        ({"ca_file": "STRANGERS"}, "certificate", "directory.ca_file"),
        (
            {"person_filter": '"(objectClass=nonesuch)"'},
            "nobody is found by (objectClass=nonesuch)",
            "directory.person_filter",
        ),
        ({"id_attribute": '"objectGUID"'}, "no usable objectGUID", "service account"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    slapd: Slapd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    changes: dict[str, str],
    words: str,
    advice: str,
) -> None:
    strangers = tmp_path / "strangers.pem"
    strangers.write_bytes(new_authority().pem)
    changes = {key: value.replace("STRANGERS", f'"{strangers}"') for key, value in changes.items()}
    status, rows = checked(tmp_path, monkeypatch, capsys, of_slapd(slapd, **changes))
    assert status == 1
    assert words in said(rows, "failed") and advice in said(rows, "failed")
    assert READER_PASSWORD not in json.dumps(rows)
