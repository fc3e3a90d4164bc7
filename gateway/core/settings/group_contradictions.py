"""Mistakes between the settings of groups. Works on what was written, as ``contradictions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.settings.explain import show

# Not in the name of a mailbox: the separator, and what LIST takes for wildcards.
_NOT_IN_NAMES = frozenset("/%*")


def group_contradictions(
    groups: Mapping[str, Any], domains: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """As ``contradictions.find``, of what stands below ``groups``."""
    for name, section in groups.items():
        if not isinstance(section, Mapping):
            continue
        key = f'groups."{name}"'
        if section.get("mailbox") != "shared":
            for field in ("deliver", "rights"):
                if section.get(field):
                    expected = f'nothing without {key}.mailbox = "shared"'
                    yield f"{key}.{field}", show(section[field]), expected
            continue
        local, _, domain = name.rpartition("@")
        if not _NOT_IN_NAMES.isdisjoint(local):
            expected = "an address without / % *, as its mailbox is called by it"
            yield f"{key}.mailbox", '"shared"', expected
        home = domains.get(domain.lower())
        if isinstance(home, Mapping) and home.get("relay"):
            expected = f'nothing, as all mail for domains."{domain.lower()}" is relayed'
            yield f"{key}.mailbox", '"shared"', expected
