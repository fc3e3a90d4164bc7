"""The effective settings as text or JSON, with where each value came from; secrets stay hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from gateway.core.settings.explain import join
from gateway.core.settings.load import Loaded
from gateway.core.settings.section import Section

HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Shown:
    """One effective setting. ``value`` is plain JSON data."""

    key: str
    value: object
    origin: str


def effective(loaded: Loaded) -> Iterator[Shown]:
    """Every setting in the order of the reference."""
    yield from _section(loaded.settings, "", loaded.origins)


def _section(section: Section, prefix: str, origins: Mapping[str, str]) -> Iterator[Shown]:
    for name in type(section).model_fields:
        yield from _value(getattr(section, name), join(prefix, name), origins)


def _value(value: object, key: str, origins: Mapping[str, str]) -> Iterator[Shown]:
    if isinstance(value, Section):
        yield from _section(value, key, origins)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _value(inner, join(key, name), origins)
    elif isinstance(value, tuple) and value and isinstance(value[0], Section):
        for index, inner in enumerate(value):
            yield from _value(inner, join(key, index), origins)
    elif isinstance(value, SecretStr):
        yield Shown(key, HIDDEN if value.get_secret_value() else "", _origin(key, origins))
    else:
        plain = list(value) if isinstance(value, tuple) else value
        yield Shown(key, plain, _origin(key, origins))


def _origin(key: str, origins: Mapping[str, str]) -> str:
    """The nearest origin on the way up: ``listen[0].address`` came with ``listen``."""
    while key:
        if key in origins:
            return origins[key]
        cut = max(key.rfind("."), key.rfind("["))
        key = key[:cut] if cut > 0 else ""
    return "default"
