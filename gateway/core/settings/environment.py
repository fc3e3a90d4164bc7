"""Settings from environment variables: ``GATEWAY_DIRECTORY__URI`` is ``directory.uri``.

Owns the translation of names and texts; never reads the environment itself. A value is text where
the setting is text; elsewhere it is read as TOML, and lists may be written with commas. Domain
names cannot be parts of variable names: ``GATEWAY_DOMAINS`` takes them with commas, or as a TOML
inline table.
"""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from gateway.core.errors import SettingsProblem
from gateway.core.settings.model import Settings
from gateway.core.settings.policies import KINDS, CheckSettings
from gateway.core.settings.section import Section

PREFIX = "GATEWAY_"

# Container platforms set GATEWAY_PORT_25_TCP and GATEWAY_SERVICE_HOST by themselves when a service
# is called "gateway"; they are not ours, so they are no mistake.
_PLATFORM = re.compile(r"GATEWAY_(?:\d+_)?(?:PORT|SERVICE|NAME|ENV)(?:_|\Z)")


def section_at(location: Sequence[int | str]) -> type[Section] | None:
    """The section class at a key path, or None where none is."""
    section: type[Section] = Settings
    for part in location:
        if isinstance(part, str) and part in KINDS and issubclass(section, CheckSettings):
            section = KINDS[part]  # the kind, which pydantic puts into the path
            continue
        if isinstance(part, int) or part not in section.model_fields:
            continue  # an index, or a key of a table with free keys (a domain's name)
        inner = _inner_section(section.model_fields[part].annotation)
        if inner is None:
            return None
        section = inner
    return section


def _inner_section(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, Section) else None
    return next(filter(None, map(_inner_section, get_args(annotation))), None)


def merge(
    raw: dict[str, Any], environ: Mapping[str, str], origins: dict[str, str]
) -> Iterator[SettingsProblem]:
    """Put the variables' values into ``raw`` and their names into ``origins``.

    Yields:
        a problem for each variable that names no setting.
    """
    for name in sorted(environ):
        if not name.startswith(PREFIX) or _PLATFORM.match(name):
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        section = section_at(path[:-1])
        field = section.model_fields.get(path[-1]) if section is not None else None
        known_way = all(part in _fields(path[:i]) for i, part in enumerate(path))
        if field is None or not known_way:
            expected = f"{PREFIX}SECTION__SETTING with names from the settings reference"
            yield SettingsProblem("environment", name, "no such setting", expected)
            continue
        table = raw
        for part in path[:-1]:
            inner = table.setdefault(part, {})
            if not isinstance(inner, dict):
                break  # the file's own mistake is reported by validation
            table = inner
        table[path[-1]] = _value(environ[name], field.annotation)
        key = ".".join(path)
        for old in [k for k in origins if k == key or k.startswith((f"{key}.", f"{key}["))]:
            del origins[old]
        origins[key] = f"environment {name}"


def _fields(location: Sequence[str]) -> Mapping[str, object]:
    section = section_at(location)
    return section.model_fields if section is not None else {}


def _value(text: str, annotation: Any) -> Any:
    options = get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    if any(option is str or (option.__class__ is type and _is_text(option)) for option in options):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    items = [item.strip() for item in text.split(",") if item.strip()]
    if any(get_origin(option) is dict for option in options):
        return {item: {} for item in items}
    if any(get_origin(option) is tuple for option in options):
        return items
    return text


def _is_text(option: type) -> bool:
    return issubclass(option, str) or option.__name__ == "SecretStr"
