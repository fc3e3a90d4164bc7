"""The directory as the settings have it, for the gateway and for the administrator's command.

Owns which kind is made, and its schema: the preset's row with single fields replaced.
``schema_from`` never reads files and never talks to a server, so that a configuration can be
checked with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.ports.clock import CallFromThread, Timers
from gateway.core.ports.directory import Directory
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.explain import show
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.schema import MEMBERS, PRESETS, Schema
from gateway.wire.ldap.filters import FilterSyntax, parse

_EXPECTED = {
    "login_attributes": 'names of attributes such as ["uid"]',
    "address_attributes": 'names of attributes such as ["mail"]',
    "quota_attributes": 'names of attributes such as ["mailQuota"]',
    "next_hop_attributes": 'names of attributes such as ["mailHost"]',
    "routing_address_attributes": 'names of attributes such as ["mailRoutingAddress"]',
    "id_attribute": 'the name of an attribute such as "entryUUID"',
    "secret_attribute": 'the name of an attribute such as "authPassword"',
    "certificate_attribute": 'the name of an attribute such as "mailCertificateName"',
    "group_member_attributes": 'names of attributes such as ["member"]',
    "person_filter": 'a filter as in RFC 4515 such as "(objectClass=person)"',
    "group_leave_out_filter": 'a filter as in RFC 4515 such as "(employeeType=left)"',
    "group_filter": 'a filter as in RFC 4515 such as "(objectClass=groupOfNames)"',
}
_FIELDS = {
    "person_filter": "person",
    "group_filter": "group",
    "group_member_attributes": "member_attributes",
}
"""What a setting is called in ``Schema``, where that differs."""


def directory_from(
    settings: DirectorySettings,
    *,
    call_from_thread: CallFromThread,
    timers: Timers,
    members: int = MEMBERS,
) -> Directory:
    """The directory itself. Reads an LDIF file, which blocks; connects to no server yet.

    Args:
        members: of one group at most.

    Raises:
        SettingsError: the file cannot be used, or the settings contradict themselves.
    """
    schema = replace(schema_from(settings, {}), members=members)
    if settings.kind == "ldif":
        return LdifDirectory(Path(settings.path), call_from_thread=call_from_thread, schema=schema)
    return LdapDirectory(
        LdapSettings(
            uris=settings.uri,
            base_dn=settings.base_dn,
            bind_dn=settings.bind_dn,
            bind_password=settings.bind_password.get_secret_value(),
            ca_file=Path(settings.ca_file) if settings.ca_file else None,
            # Said of ldap:// URIs only; ldaps:// ones have TLS before anything can be said.
            start_tls=settings.start_tls and any(u.startswith("ldap:") for u in settings.uri),
            allow_clear_text=settings.allow_clear_text,
            schema=schema,
            operation_timeout_s=settings.timeout_s,
        ),
        call_from_thread=call_from_thread,
        timers=timers,
    )


def schema_from(settings: DirectorySettings, origins: Mapping[str, str]) -> Schema:
    """The schema in force.

    Args:
        origins: where each setting came from, for error lines.

    Raises:
        SettingsError: with every setting that is no attribute name or no filter.
    """
    schema = PRESETS[settings.preset]
    problems: list[SettingsProblem] = []
    for name in _EXPECTED:
        value: Any = getattr(settings, name)
        if not value:
            continue
        try:
            change: Any = parse(value) if name.endswith("_filter") else value
            if name == "group_leave_out_filter":
                schema = _with_words(schema, left_out=change)
                continue
            schema = replace(schema, **{_FIELDS.get(name, name): change})
        except FilterSyntax as error:
            found = f"{show(value)} ({error})"
            key = f"directory.{name}"
            source = origins.get(key, "configuration")
            problems.append(SettingsProblem(source, key, found, _EXPECTED[name]))
    if problems:
        raise SettingsError(problems)
    if settings.group_leave_out_disabled:
        schema = _with_words(schema, leaves_out_disabled=True)
    return schema


def _with_words(schema: Schema, **changes: Any) -> Schema:
    return replace(schema, about_groups=replace(schema.about_groups, **changes))
