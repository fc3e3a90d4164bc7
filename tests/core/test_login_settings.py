"""Mistakes in what is set about logins and certificates are named, each with its full path."""

from __future__ import annotations

import pytest

from gateway.core.errors import SettingsError
from gateway.core.settings.load import load

BASE = """
hostname = "mail.example.test"
[domains."example.test"]
[directory]
kind = "ldif"
path = "people.ldif"
[[listen]]
protocol = "imap"
address = "127.0.0.1:143"
%s
[tls]
certificate = "c.pem"
key = "k.pem"
%s
"""


def problems(text: str = "", listen: str = "") -> list[tuple[str, str]]:
    try:
        load(BASE % (listen, text), source="t", environ={}, read_secret=lambda _: "s")
    except SettingsError as error:
        return [(each.key, each.expected) for each in error.problems]
    return []


LDAP = """kind = "ldap"
uri = "ldaps://dc.example.test"
base_dn = "dc=example,dc=test"
secret_attribute = "%s"
"""

SNI = '[[tls.sni]]\nnames = "%s"\ncertificate = "a"\nkey = "b"\n'


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('[oauth]\nissuer = "i"\naudience = "a"\njwks_file = "f"', []),
        ('[oauth]\nissuer = "i"\nintrospection_url = "https://i.test/x"\nclient_id = "c"', []),
        ('[oauth]\njwks_file = "f"', ["oauth.issuer"]),
        ('[networks]\nwebmail = "10.1.1.1"\n[login]\nexempt = ["webmail", "192.0.2.0/24"]', []),
        ('[login]\nexempt = "webmail"', ["login.exempt"]),
        ("[login]\nfailures_per_minute = 0", ["login.failures_per_minute"]),
        ("[login]\nasked_per_login = 0", ["login.asked_per_login"]),
        ('[oauth]\naudience = "a"', ["oauth.issuer"]),
        ('[oauth]\nissuer = "i"', ["oauth.jwks_file"]),
        ('[oauth]\nissuer = "i"\njwks_file = "f"', ["oauth.audience"]),
        (
            '[oauth]\nissuer = "i"\naudience = "a"\njwks_file = "f"\n'
            'introspection_url = "https://i.test/x"',
            ["oauth.jwks_file"],
        ),
        (
            '[oauth]\nissuer = "i"\naudience = "a"\njwks_file = "f"\nclient_id = "c"',
            ["oauth.client_id"],
        ),
        ('[oauth]\nissuer = "i"\nintrospection_url = "http://i.test"', ["oauth.introspection_url"]),
        (
            '[oauth]\nissuer = "i"\nintrospection_url = "https://u:p@i.test"',
            ["oauth.introspection_url"],
        ),
        ('[oauth]\nalgorithms = ["HS256"]', ["oauth.algorithms[0]"]),
        ('[oauth]\nalgorithms = ["none"]', ["oauth.algorithms[0]"]),
        ('[login]\nmechanisms = ["PLAIN", "CRAM-MD5"]', []),
        ('[login]\nmechanisms = ["NTLM"]', ["login.mechanisms[0]"]),
        ('[login]\nmechanisms = ["PLAIN", "OAUTHBEARER"]', ["login.mechanisms[1]"]),
        (
            '[login]\nmechanisms = ["XOAUTH2", "EXTERNAL"]',
            ["login.mechanisms[0]", "login.mechanisms[1]"],
        ),
        ('[login]\nmechanisms = ["SCRAM-SHA-256"]', []),
        ('[login]\nmechanisms = "PLAIN"', ["login.mechanisms"]),
        ("[login]\nscram_iterations = 1000", ["login.scram_iterations"]),
        ("[login]\nscram_salt_octets = 7", ["login.scram_salt_octets"]),
        (SNI % "mail.other.test" + SNI % "*.other.test", []),
        (SNI % "mail.other.test" + SNI % "MAIL.other.test", ["tls.sni[1].names"]),
        (SNI % "not a name", ["tls.sni[0].names[0]"]),
        (SNI % "a.*.test", ["tls.sni[0].names[0]"]),
    ],
)
def test_what_does_not_fit(text: str, keys: list[str]) -> None:
    found = problems(text)
    assert [key for key, _ in found] == keys
    assert all(expected for _, expected in found)


def test_a_client_certificate_needs_tls() -> None:
    asks = 'client_ca_file = "ca.pem"'
    assert problems(listen=asks) == []
    assert [key for key, _ in problems(listen=f'{asks}\ntls = "none"')] == [
        "listen[0].client_ca_file"
    ]


def test_the_secret_of_oauth_comes_from_a_file_and_is_not_shown() -> None:
    text = '[oauth]\nissuer = "i"\nintrospection_url = "https://i.test"\nclient_secret_file = "/s"'
    loaded = load(BASE % ("", text), source="t", environ={}, read_secret=lambda _: "hush\n")
    assert loaded.settings.oauth.client_secret.get_secret_value() == "hush"
    assert "hush" not in repr(loaded.settings)
    both = f'{text}\nclient_secret = "x"'
    assert [key for key, _ in problems(both)] == ["oauth.client_secret_file"]


@pytest.mark.parametrize(
    ("attribute", "mechanisms", "keys"),
    [
        ("", "[]", []),
        ("", '["PLAIN"]', []),
        ("", '["SCRAM-SHA-256", "CRAM-MD5"]', ["login.mechanisms[1]"]),
        (
            "",
            '["SCRAM-SHA-256", "CRAM-MD5"]\n[app_passwords]\nenabled = false',
            ["login.mechanisms[0]", "login.mechanisms[1]"],
        ),
        ("authPassword", "[]", ["login.mechanisms"]),
        ("authPassword", '["PLAIN"]', ["login.mechanisms"]),
        ("authPassword", '["PLAIN", "SCRAM-SHA-256"]', []),
    ],
)
def test_scram_over_ldap_is_wanted_by_name(
    attribute: str, mechanisms: str, keys: list[str]
) -> None:
    """A server does not tell whether everybody has a verifier: see ``auth.mechanisms``. App
    passwords always have one."""
    text = BASE.replace('kind = "ldif"\npath = "people.ldif"', LDAP % attribute)
    assert text != BASE
    try:
        load(
            text % ("", f"[login]\nmechanisms = {mechanisms}"),
            source="t",
            environ={},
            read_secret=lambda _: "s",
        )
    except SettingsError as error:
        assert [each.key for each in error.problems] == keys
    else:
        assert not keys


def test_external_where_a_listener_asks_for_certificates() -> None:
    assert problems('[login]\nmechanisms = ["EXTERNAL"]', 'client_ca_file = "ca.pem"') == []
