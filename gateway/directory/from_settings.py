"""The directory's schema as the settings have it: the preset's row with single fields replaced.

Never reads files and never talks to a server, so that a configuration can be checked with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.settings.explain import show
from gateway.core.settings.model import DirectorySettings
from gateway.directory.filters import FilterSyntax, parse
from gateway.directory.schema import PRESETS, Schema

_EXPECTED = {
    "login_attributes": 'names of attributes such as ["uid"]',
    "address_attributes": 'names of attributes such as ["mail"]',
    "id_attribute": 'the name of an attribute such as "entryUUID"',
    "person_filter": 'a filter as in RFC 4515 such as "(objectClass=person)"',
}


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
            change = {"person": parse(value)} if name == "person_filter" else {name: value}
            schema = replace(schema, **change)
        except FilterSyntax as error:
            found = f"{show(value)} ({error})"
            key = f"directory.{name}"
            source = origins.get(key, "configuration")
            problems.append(SettingsProblem(source, key, found, _EXPECTED[name]))
    if problems:
        raise SettingsError(problems)
    return schema
