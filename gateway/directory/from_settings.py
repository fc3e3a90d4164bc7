"""The directory as the settings have it, for the gateway and for the administrator's command.

Owns which kind is made, and its schema: the preset's row with single fields replaced.
``schema_from`` never reads files and never talks to a server, so that a configuration can be
checked with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.ports.directory import Directory
from gateway.core.ports.services import FindsServices
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.explain import show
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.servers import LdapServers
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.presets.table import PRESETS
from gateway.directory.schema import MEMBERS, Schema
from gateway.wire.ldap.controls import ASK_FOR_POLICY
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
    reactor: Any,
    finds: FindsServices | None = None,
    members: int = MEMBERS,
) -> Directory:
    """The directory itself. Reads an LDIF file, which blocks; connects to no server yet.

    Args:
        reactor: of the process.
        finds: servers by DNS, where the settings want that.
        members: of one group at most.

    Raises:
        SettingsError: a file cannot be used, or the settings contradict themselves.
    """
    schema = replace(schema_from(settings, {}), members=members)
    if settings.kind == "ldif":
        return LdifDirectory(
            Path(settings.path), call_from_thread=reactor.callFromThread, schema=schema
        )
    servers = servers_from(settings, reactor=reactor, finds=finds)
    return over_servers(servers, settings, schema, reactor=reactor)


def servers_from(
    settings: DirectorySettings, *, reactor: Any, finds: FindsServices | None
) -> LdapServers:
    """The servers alone, for whoever asks them in ways of their own. Raises: SettingsError."""
    return make_servers(
        LdapSettings(
            uris=settings.uri,
            base_dn=settings.base_dn,
            domain=settings.domain,
            site=settings.site,
            bind_dn=settings.bind_dn,
            bind_password=settings.bind_password.get_secret_value(),
            bind_method=settings.bind_method,
            ca_file=_path(settings.ca_file),
            client_certificate=_path(settings.client_certificate),
            client_key=_path(settings.client_key),
            tls_server_name=settings.tls_server_name,
            start_tls=settings.start_tls,
            allow_clear_text=settings.allow_clear_text,
            operation_timeout_s=settings.timeout_s,
        ),
        reactor,
        time.time,
        finds=finds,
        random=Random(),
        bind_controls=(ASK_FOR_POLICY,),
    )


def over_servers(
    servers: LdapServers, settings: DirectorySettings, schema: Schema, *, reactor: Any
) -> LdapDirectory:
    """People by asking these servers, which are closed with it."""
    return LdapDirectory(
        servers,
        base_dn=settings.base_dn,
        schema=schema,
        timers=reactor,
        wall_clock=time.time,
        deadline_s=settings.timeout_s,
        health=servers.health,
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


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
