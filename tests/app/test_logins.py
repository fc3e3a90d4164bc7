"""What the settings make of logins, and the key that outlives restarts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.app import logins
from gateway.app.logins import KEY_OCTETS, kept_key
from gateway.app.trust import trust_root
from gateway.core.errors import SettingsError, StoreUnavailable
from tests.support.authority import new_authority


def test_the_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "login.key"
    key = kept_key(path)
    assert len(key) == KEY_OCTETS and kept_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["login.key"]
    assert kept_key(tmp_path / "other.key") != key


def test_of_two_processes_one_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "login.key"
    first = kept_key(path)
    logins._make_key(path)  # came second, after it had seen that there was none
    assert kept_key(path) == first and os.listdir(tmp_path) == ["login.key"]


def test_a_key_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "login.key"
    path.write_bytes(b"short")
    with pytest.raises(StoreUnavailable, match="5 octets"):
        kept_key(path)
    with pytest.raises(StoreUnavailable):
        kept_key(tmp_path / "none" / "login.key")


@pytest.mark.parametrize(
    ("issuer", "place"),
    [
        ("https://i.test/realm/", "https://i.test/realm/.well-known/openid-configuration"),
        ("https://i.test", "https://i.test/.well-known/openid-configuration"),
        ("our-issuer", ""),
        ("", ""),
    ],
)
def test_where_clients_find_out_about_the_issuer(issuer: str, place: str) -> None:
    assert logins._discovery(issuer) == place


def test_authorities_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"# comment \xe4\n" + new_authority().pem + new_authority().pem)
    assert trust_root(str(path), "oauth.ca_file")
    for content in (b"", b"nothing", b"-----END CERTIFICATE-----"):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=r"oauth\.ca_file"):
            trust_root(str(path), "oauth.ca_file")
    with pytest.raises(SettingsError, match="No such file"):
        trust_root(str(tmp_path / "none"), "oauth.ca_file")
