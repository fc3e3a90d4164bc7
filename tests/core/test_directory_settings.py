"""Mistakes between the settings of a directory: all at once, each with its full path."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.settings.directory_contradictions import directory_contradictions

GOOD: dict[str, Any] = {
    "kind": "ldap",
    "uri": ["ldaps://dc1.example.com"],
    "base_dn": "dc=example,dc=com",
}


def keys(**changes: Any) -> list[str]:
    found = directory_contradictions({**GOOD, **changes}, "directory")
    return [key.removeprefix("directory.") for key, _, _ in found]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"uri": [], "domain": "example.com", "site": "Berlin"},
        {"bind_dn": "cn=x", "bind_password_file": "/run/secrets/ldap"},
        {"bind_method": "external", "client_certificate": "a.pem", "client_key": "a.key"},
        {"uri": "ldap://127.0.0.1", "start_tls": False},
        {"uri": ["ldap://[::1]:3890", "ldap://localhost"], "start_tls": False},
        {"uri": ["ldap://far.example.com"], "start_tls": False, "allow_clear_text": True},
        {"uri": ["ldap://far.example.com"]},
    ],
)
def test_what_can_work_is_accepted(changes: dict[str, Any]) -> None:
    assert keys(**changes) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"uri": []}, ["uri"]),
        ({"site": "Berlin"}, ["site"]),
        ({"bind_dn": "cn=x"}, ["bind_password_file"]),
        ({"client_key": "a.key"}, ["client_certificate"]),
        ({"client_certificate": "a.pem"}, ["client_key"]),
        ({"bind_method": "external"}, ["client_certificate"]),
        (
            {"bind_method": "external", "bind_password": "x", "client_key": "k"},
            ["client_certificate", "bind_password"],
        ),
        ({"uri": [], "base_dn": "", "site": "x", "bind_dn": "cn=x"},
         ["uri", "base_dn", "site", "bind_password_file"]),
    ],
)  # fmt: skip
def test_contradictions_are_named(changes: dict[str, Any], expected: list[str]) -> None:
    assert keys(**changes) == expected


def test_L8_clear_text_beyond_this_machine_is_refused_when_the_settings_are_read() -> None:
    far = ["ldap://ldap.example.test", "ldap://127.0.0.1.example.test"]
    assert keys(uri=far, start_tls=False) == ["uri", "uri"]
    # Servers that DNS names are never this machine for sure.
    assert keys(uri=[], domain="example.com", start_tls=False) == ["domain"]
