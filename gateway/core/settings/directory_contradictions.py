"""Mistakes between the settings of one directory, on what was written; see ``contradictions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.core.hosts import is_loopback
from gateway.core.settings.explain import show

Raw = Mapping[str, Any]
Problem = tuple[str, str, str]


def directory_contradictions(directory: Raw, key: str) -> Iterator[Problem]:
    """Args:
    key: of the section, as in ``directory``.
    """
    kind = directory.get("kind")
    if kind == "ldif" and not directory.get("path"):
        expected = f'the path of an LDIF file, as {key}.kind is "ldif"'
        yield f"{key}.path", "nothing", expected
    if kind == "ldap":
        if not directory.get("uri") and not directory.get("domain"):
            expected = f'a server such as ["ldaps://dc1.example.com"], as {key}.kind is "ldap"'
            yield f"{key}.uri", "nothing", expected
        if not directory.get("base_dn"):
            expected = 'the entry above all people such as "dc=example,dc=com"'
            yield f"{key}.base_dn", "nothing", expected
        if directory.get("path"):
            yield f"{key}.path", show(directory["path"]), f'nothing, as {key}.kind is "ldap"'
        yield from _in_clear_text(directory, key)
    if directory.get("site") and not directory.get("domain"):
        yield f"{key}.site", show(directory["site"]), f"nothing without {key}.domain"
    yield from _of_the_account(directory, key)
    yield from _of_the_preset(directory, key)


def _of_the_preset(directory: Raw, key: str) -> Iterator[Problem]:
    """Settings about logins and states that cannot all be meant."""
    ways = [
        name for name in ("login_attributes", "login_filter", "login_dn") if directory.get(name)
    ]
    for name in ways[1:]:
        yield f"{key}.{name}", show(directory[name]), f"nothing, as {key}.{ways[0]} is set"
    if directory.get("login_by_address") == "yes" and ways[:1] not in ([], ["login_attributes"]):
        yield f"{key}.login_by_address", '"yes"', f"nothing, as {key}.{ways[0]} is set"
    if directory.get("login_dn") and directory.get("kind") == "ldif":
        expected = f'login_attributes or login_filter, as {key}.kind is "ldif"'
        yield f"{key}.login_dn", show(directory["login_dn"]), expected
    preset = directory.get("preset", "openldap")
    if directory.get("netbios_domain") and preset not in ("ad", "samba"):
        expected = f'nothing, as {key}.preset is {show(preset)} and not "ad" or "samba"'
        yield f"{key}.netbios_domain", show(directory["netbios_domain"]), expected
    days = directory.get("inactive_days")
    if days and preset == "lldap" and not directory.get("last_login_attribute"):
        yield f"{key}.inactive_days", show(days), "0, as lldap does not tell who has logged in when"


def _of_the_account(directory: Raw, key: str) -> Iterator[Problem]:
    """How the service account proves who it is."""
    password = directory.get("bind_password") or directory.get("bind_password_file")
    certificate, private_key = directory.get("client_certificate"), directory.get("client_key")
    for name, given, other in (
        ("client_certificate", certificate, private_key),
        ("client_key", private_key, certificate),
    ):
        if other and not given:
            expected = "a PEM file: the certificate and its key come together"
            yield f"{key}.{name}", "nothing", expected
    if directory.get("bind_method", "simple") == "external":
        if not certificate and not private_key:
            expected = f'a PEM file, as {key}.bind_method is "external"'
            yield f"{key}.client_certificate", "nothing", expected
        if directory.get("bind_password"):
            expected = f'nothing, as {key}.bind_method is "external"'
            yield f"{key}.bind_password", "a password", expected
    elif directory.get("bind_dn") and not password:
        # It would be an unauthenticated bind (RFC 4513 section 5.1.2), which looks like a success.
        expected = f"a file with the password of {key}.bind_dn"
        yield f"{key}.bind_password_file", "nothing", expected


def _in_clear_text(directory: Raw, key: str) -> Iterator[Problem]:
    """SECURITY L8: passwords travel encrypted, or nowhere but to this machine."""
    if directory.get("start_tls", True) is not False or directory.get("allow_clear_text") is True:
        return
    uris = directory.get("uri", ())
    expected = (
        f"ldaps://, or {key}.start_tls, or {key}.allow_clear_text (passwords can be read on the"
        " way)"
    )
    for uri in [uris] if isinstance(uris, str) else uris:
        if isinstance(uri, str) and not _is_safe(uri):
            yield f"{key}.uri", f"{show(uri)} without TLS", expected
    if directory.get("domain"):
        found = f"{show(directory['domain'])} without TLS"
        yield f"{key}.domain", found, f"{key}.start_tls, or {key}.allow_clear_text"


def _is_safe(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme != "ldap" or is_loopback(parts.hostname or "")
    except ValueError:
        return True  # said already
