"""Settings become objects: overrides of the directory's preset, domains, ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.build import build
from gateway.core.errors import SettingsError
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings


class NoReactor:
    """Building must not touch the reactor but for what is called later."""

    def seconds(self) -> float:
        return 0.0

    def callFromThread(self, function: object, *arguments: object) -> None:
        raise AssertionError


def settings(tmp_path: Path, extra: str) -> Settings:
    text = f"""
hostname = "mail.example.com"
state_dir = "{tmp_path}"
[domains."example.com"]
[tls]
self_signed = true
{extra}
"""
    return load(text, source="t", environ={}, read_secret=lambda _: "x").settings


LDAP = """
[directory]
kind = "ldap"
uri = "ldaps://ldap.example.com"
base_dn = "dc=example,dc=com"
"""

LIST = """
[[policies.smtp]]
check = "list"
of = "ip"
"""


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (LDAP + 'person_filter = "(objectClass=person"', "directory"),
        (LDAP + 'login_attributes = ["uid)(x=*"]', "login_attributes"),
        (LDAP + 'ca_file = "/nonexistent/ca.pem"', "ca_file"),
        (LDAP + '[outbound]\nca_file = "/nonexistent/ca.pem"', "outbound.ca_file"),
        ('[directory]\nkind = "ldif"\npath = "/nonexistent/people.ldif"', "people.ldif"),
        (LDAP + LIST + 'file = "/nonexistent/bad"', r"policies\.smtp\[0\]\.file"),
    ],
)
def test_what_cannot_be_built_is_a_wrong_configuration(
    tmp_path: Path, extra: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=expected):
        build(settings(tmp_path, extra), NoReactor())
    assert not (tmp_path / "store").exists(), "nothing is made for a configuration that is wrong"


@pytest.mark.parametrize(
    "url",
    [
        "smtp://relay.example?tls=no",
        "smtp://relay.example?tls=required&tls=required",
        "smtp://relay.example#25",
        "smtp://relay example",
        "smtp://rel%61y.example",
        "smtp://",
    ],
)
def test_a_smart_host_that_delivery_would_not_understand_is_refused(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(SettingsError, match=r"outbound\.smart_host"):
        settings(tmp_path, f'[outbound]\nsmart_host = "{url}"')
