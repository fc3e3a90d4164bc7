"""The annotated reference in etc/ says what the settings classes say: every key, text, default."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.core.settings.environment import section_at
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings
from gateway.core.settings.policies import KINDS
from gateway.core.settings.section import Section

REFERENCE = Path(__file__).parents[2] / "etc" / "gateway.toml"
TEXT = REFERENCE.read_text()


def fields(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in section.model_fields:
        inner = section_at((*path, name))
        if inner is not None and inner is not section:
            yield from fields(inner, (*path, name))
        else:
            yield (*path, name)


PATHS = list(fields(Settings))
PATHS += [path for kind, check in KINDS.items() for path in fields(check, ("policies", kind))]


def uncommented() -> dict[str, Any]:
    """The reference with every default switched on."""
    return tomllib.loads(re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", TEXT))


def test_it_loads_as_it_is() -> None:
    load(TEXT, source="etc", environ={}, read_secret=lambda _: "secret")


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_every_setting_is_there_with_its_description(path: tuple[str, ...]) -> None:
    section = section_at(path[:-1])
    assert section is not None
    field = section.model_fields[path[-1]]
    assert field.description
    assert re.search(rf"(?m)^# {re.escape(field.description)}\n(# )?{path[-1]} = ", TEXT), (
        f'expected "# {field.description}" above {path[-1]}'
    )


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_every_shown_default_is_the_default(path: tuple[str, ...]) -> None:
    section = section_at(path[:-1])
    assert section is not None
    field = section.model_fields[path[-1]]
    shown = re.search(rf"(?m)^# {re.escape(field.description or '')}\n# {path[-1]} = (.*)$", TEXT)
    if shown is None:
        return
    value = tomllib.loads(f"value = {shown[1]}")["value"]
    default = field.get_default()
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    assert value == (list(default) if isinstance(default, tuple) else default)


def test_there_is_nothing_else_in_it() -> None:
    everything = uncommented()
    for section, name in (("directory", "bind_password"), ("outbound", "smart_host_password")):
        del everything[section][name]  # its file is set as well, and only one may be
    del everything["directory"]["path"]
    Settings.model_validate(everything)
    assert everything.keys() == Settings.model_fields.keys()
