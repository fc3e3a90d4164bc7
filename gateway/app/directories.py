"""The directory as a process asks it, and what the one that refreshes its picture needs besides.

Owns construction. A directory behind servers is asked in its picture first, unless the settings
want none; every process reads the same file, and who writes it is the affair of whoever runs the
queue. A directory in a file needs no picture: all of it is in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core.address import Address
from gateway.core.ports.directory import Directory
from gateway.core.ports.services import FindsServices
from gateway.core.settings.directory import DirectorySettings
from gateway.core.settings.model import Settings, each_directory
from gateway.core.settings.paths import directory_picture
from gateway.directory.from_settings import (
    directory_from,
    over_servers,
    servers_from,
)
from gateway.directory.ldap.account import Marks
from gateway.directory.ldap.asking import Asks, Watched
from gateway.directory.picture.briefs import Depiction
from gateway.directory.picture.directory import PicturedDirectory
from gateway.directory.picture.lookup import Pictured
from gateway.directory.picture.source import Source
from gateway.directory.presets.from_settings import schema_from
from gateway.directory.schema import Schema
from gateway.directory.several import Served, as_one
from gateway.store.picture.file import PictureFile
from gateway.store.picture.reading import PictureReader

FRESH_REFRESHES = 10
"""A picture without news for so many refreshes comes after the servers."""
RECENT_S = 10.0
"""A refresh may be so late before answers by id, which end sessions, are asked of the servers."""
FRESH_AT_LEAST_S = 60.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One directory that has a picture.

    Args:
        asks: its servers; closed with the directory.
        watched: the same.
    """

    source: Source
    asks: Asks
    refresh_s: float
    watched: Watched | None = None


@dataclass(frozen=True, slots=True)
class Directories:
    """What is asked, and what is refreshed.

    Args:
        refreshed: by whoever runs the queue, in the file ``picture_path``.
        whence: where an answer about addresses comes from; None: always from one place.
    """

    directory: Directory
    picture_path: Path
    picture: PictureReader | None = None
    refreshed: tuple[Refreshed, ...] = ()
    whence: Callable[[Sequence[Address]], str] | None = None

    async def close(self) -> None:
        await self.directory.close()
        if self.picture is not None:
            self.picture.close()


def directories_from(
    settings: Settings, reactor: Any, finds: FindsServices | None, marks: Marks
) -> Directories:
    """Reads LDIF files, which blocks; connects to no server and opens no picture yet.

    Args: marks: of all processes.

    Raises:
        SettingsError: a file cannot be used, or the settings contradict themselves.
    """
    path = directory_picture(Path(settings.state_dir))
    picture = None
    served: list[Served] = []
    pictured: dict[str, PicturedDirectory] = {}
    refreshed: list[Refreshed] = []
    for name, section in each_directory(settings):
        domains = frozenset(section.domains)
        members = settings.recipients.members
        if section.kind != "ldap" or not section.picture:
            plain = directory_from(
                section, reactor=reactor, finds=finds, members=members, marks=marks
            )
            served.append(Served(name, plain, domains))
            continue
        picture = picture or PictureFile.open_reading(path)
        schema = replace(schema_from(section, {}), members=members)
        servers = servers_from(section, reactor=reactor, finds=finds, marks=marks)
        source = source_from(name, section, schema)
        fresh_s = max(FRESH_AT_LEAST_S, FRESH_REFRESHES * section.refresh_s)
        pictured[name] = PicturedDirectory(
            over_servers(servers, section, schema, reactor=reactor),
            Pictured(
                picture,
                name,
                schema,
                source.fingerprint,
                source.base,
                fresh_s,
                recent_s=section.refresh_s + RECENT_S,
            ),
            timers=reactor,
            wall_clock=time.time,
        )
        served.append(Served(name, pictured[name], domains))
        refreshed.append(Refreshed(source, servers, section.refresh_s, servers))
    return Directories(
        as_one(served),
        path,
        picture,
        tuple(refreshed),
        partial(_whence, served, pictured) if pictured else None,
    )


def _whence(
    served: Sequence[Served],
    pictured: Mapping[str, PicturedDirectory],
    addresses: Sequence[Address],
) -> str:
    """Of each directory that may be asked about these, in its order."""
    named = {domain for each in served for domain in each.domains}
    asked = {each.domain if each.domain in named else "" for each in addresses}
    told = []
    for each in served:
        if not asked & (each.domains or {""}):
            continue
        name = f"{each.name}: " if each.name else ""
        if each.name in pictured:
            told.append(f"{name}{pictured[each.name].whence(addresses)}")
        else:
            told.append(f"{name}a directory without a picture")
    return "; ".join(told)


def source_from(name: str, section: DirectorySettings, schema: Schema) -> Source:
    """One directory as its picture is filled and asked: both must see the same settings."""
    return Source(
        name,
        section.base_dn,
        schema,
        Depiction(name, schema),
        mass_change_percent=section.mass_change_percent,
        listing_s=section.listing_hours * 3600.0,
        way=section.refresh_by,
    )
