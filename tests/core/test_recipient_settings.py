"""Settings of domains, aliases and networks: what is taken, and what each mistake says."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import SettingsError
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings

BASE = """
hostname = "mail.example.com"
{top}
[directory]
kind = "ldif"
path = "people.ldif"
[tls]
self_signed = true
[domains."example.com"]
{domain}
{tables}
"""


def loaded(**parts: str) -> Settings:
    text = BASE.format(**{"top": "", "domain": "", "tables": "", **parts})
    return load(text, source="test", environ={}, read_secret=lambda _: "").settings


def mistakes(**parts: Any) -> str:
    with pytest.raises(SettingsError) as refusal:
        loaded(**parts)
    return str(refusal.value)


def test_everything_at_once() -> None:
    settings = loaded(
        top='relay_networks = ["office", "203.0.113.5", "2001:db8::/32"]',
        domain='delimiter = "-"\ncatch_all = "bob@example.com"',
        tables="""
[domains."backup.example.com"]
relay = "smtp://primary.example.com"
relay_recipients = "any"
[networks]
office = ["10.0.0.0/8", "192.0.2.1"]
vpn = "192.0.2.0/24"
[aliases]
"sales@example.com" = ["alice@example.com", "outside@else.example"]
abuse = "postmaster"
[recipients]
accept_literals = ["192.0.2.1", "2001:DB8::1"]
""",
    )
    assert settings.relay_networks == ("office", "203.0.113.5/32", "2001:db8::/32")
    assert settings.networks == {
        "office": ("10.0.0.0/8", "192.0.2.1/32"),
        "vpn": ("192.0.2.0/24",),
    }
    assert settings.aliases["abuse"] == ("postmaster",)
    assert settings.domains["backup.example.com"].relay_recipients == "any"
    assert settings.recipients.accept_literals == ("192.0.2.1", "2001:db8::1")


def test_one_address_needs_no_list() -> None:
    one = '[submission.send_as]\nAlice = "Info@example.com"\nbob = ["*@example.com"]'
    assert loaded(tables=one).submission.send_as == {
        "alice": ("info@example.com",),
        "bob": ("*@example.com",),
    }


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"top": 'relay_networks = ["10.0.0.0/8", "::/0"]'},
            'relay_networks: found "::/0"; expected networks of your own',
        ),
        (
            {"top": 'relay_networks = "all"', "tables": '[networks]\nall = ["0.0.0.0/0"]'},
            'relay_networks: found "0.0.0.0/0"; expected networks of your own',
        ),
        ({"top": 'relay_networks = ["home"]'}, 'relay_networks: found "home"; expected a name of'),
        (
            {
                "tables": '[[listen]]\nprotocol = "smtp"\naddress = "0.0.0.0:25"\n'
                'proxy_from = ["lb"]\n[networks]\noffice = "10.0.0.0/8"'
            },
            'listen[0].proxy_from: found "lb"; expected a name of [networks] (office)',
        ),
        ({"tables": '[networks]\n"10.0.0.1" = "10.0.0.0/8"'}, "a name of letters"),
        ({"tables": '[networks]\noffice = "10.0.0.1/8"'}, "without bits behind its length"),
        ({"tables": '[networks]\noffice = "home"'}, "networks.office"),
        ({"domain": 'relay_recipients = "any"'}, "as the domain has no relay"),
        (
            {
                "domain": 'relay = "smtp://a"\nrelay_recipients = "any"\n'
                'catch_all = "bob@example.com"'
            },
            "nobody is unknown",
        ),
        ({"domain": 'delimiter = "+-"'}, "one of + - _ = # or nothing"),
        ({"domain": 'delimiter = "@"'}, "one of + - _ = # or nothing"),
        ({"domain": 'catch_all = "bob"'}, "a mail address"),
        ({"tables": '[aliases]\n"@example.com" = "bob"'}, "its catch_all"),
        ({"tables": '[aliases]\n"a b" = "bob"'}, "aliases"),
        ({"tables": "[aliases]\ninfo = []"}, "at least one entry"),
        ({"tables": '[aliases]\ninfo = "|date now"'}, "aliases.info"),
        ({"tables": '[recipients]\naccept_literals = ["mail"]'}, "an IP address"),
        ({"tables": "[recipients]\nmembers = 0"}, "at least 1"),
    ],
)
def test_mistakes_say_what_is_expected(parts: dict[str, str], expected: str) -> None:
    assert expected in mistakes(**parts)
