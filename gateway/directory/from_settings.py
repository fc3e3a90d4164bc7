"""The directory as the settings have it, for the gateway and for the administrator's command.

Owns which kind is made; what its schema is, is ``presets.from_settings``' affair.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from gateway.core.ports.directory import Directory
from gateway.core.ports.picture import ReadsPicture
from gateway.core.ports.services import FindsServices
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.model import Settings, each_directory
from gateway.directory.ldap.account import Marks
from gateway.directory.ldap.building import make_servers
from gateway.directory.ldap.directory import LdapDirectory
from gateway.directory.ldap.servers import LdapServers
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.picture.directory import PicturedDirectory
from gateway.directory.picture.lookup import Pictured
from gateway.directory.presets.from_settings import schema_from
from gateway.directory.schema import MEMBERS, Schema
from gateway.directory.several import Served, as_one
from gateway.wire.ldap.controls import ASK_FOR_POLICY, DOMAIN_SCOPE

NEVER_FRESH_S = -1.0
_ACTIVE_DIRECTORY = ("ad", "samba")
"""A search of a whole domain would bring references to three others with each answer."""


def directory_from(
    settings: DirectorySettings,
    *,
    reactor: Any,
    finds: FindsServices | None = None,
    members: int = MEMBERS,
    marks: Marks | None = None,
) -> Directory:
    """The directory itself. Reads an LDIF file, which blocks; connects to no server yet.

    Args:
        reactor: of the process.
        finds: servers by DNS, where the settings want that.
        members: of one group at most.
        marks: of all processes; None: there is only this one.

    Raises:
        SettingsError: a file cannot be used, or the settings contradict themselves.
    """
    schema = replace(schema_from(settings, {}), members=members)
    if settings.kind == "ldif":
        return LdifDirectory(
            Path(settings.path), call_from_thread=reactor.callFromThread, schema=schema
        )
    servers = servers_from(settings, reactor=reactor, finds=finds, marks=marks)
    return over_servers(servers, settings, schema, reactor=reactor)


def all_directories(
    settings: Settings,
    *,
    reactor: Any,
    finds: FindsServices | None,
    picture: ReadsPicture | None = None,
) -> Directory:
    """All of them as one: what they say now. Otherwise as ``directory_from``.

    Args:
        picture: nobody refreshes it: for listing people, and for when no server answers.
    """
    members = settings.recipients.members
    served = []
    for name, section in each_directory(settings):
        made = directory_from(section, reactor=reactor, finds=finds, members=members)
        if picture is not None and section.kind == "ldap" and section.picture:
            seen = Pictured(picture, name, schema_from(section, {}), fresh_s=NEVER_FRESH_S)
            made = PicturedDirectory(made, seen, timers=reactor)
        served.append(Served(name, made, frozenset(section.domains)))
    return as_one(served)


def servers_from(
    settings: DirectorySettings,
    *,
    reactor: Any,
    finds: FindsServices | None,
    marks: Marks | None = None,
) -> LdapServers:
    """The servers alone, for whoever asks them in ways of their own. Raises: SettingsError."""
    return make_servers(
        ldap_settings(settings),
        reactor,
        time.time,
        finds=finds,
        random=Random(),
        bind_controls=(ASK_FOR_POLICY,),
        search_controls=(DOMAIN_SCOPE,) if settings.preset in _ACTIVE_DIRECTORY else (),
        marks=marks,
    )


def ldap_settings(settings: DirectorySettings) -> LdapSettings:
    """What a client of these servers must be told; not checked."""
    return LdapSettings(
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
