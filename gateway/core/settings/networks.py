"""Networks by name, and the mistakes that can be made with the names. Never reads anything."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import one_or_many

_EXPECTED_NAME = "a name of letters, digits, - and _ that begins with a letter"


def network_name(value: str) -> str:
    """What settings that ask for networks can tell from an address."""
    if checks.network(value) != value or _is_network(value):
        raise ValueError(_EXPECTED_NAME)
    return value


def cidr(value: str) -> str:
    """An address or a CIDR network; names stand for these only, not for other names."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        expected = 'an address or a network such as "10.0.0.0/8", without bits behind its length'
        raise ValueError(expected) from None


NetworkName = Annotated[str, AfterValidator(network_name)]
Cidrs = Annotated[
    tuple[Annotated[str, AfterValidator(cidr)], ...],
    BeforeValidator(one_or_many),
    Field(strict=False),
]


def unknown_names(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """References to networks that [networks] does not name; as in ``contradictions.find``."""
    names = raw.get("networks")
    known = set(names) if isinstance(names, Mapping) else set()
    listeners = raw.get("listen")
    places = [("relay_networks", raw.get("relay_networks"))]
    for name in ("login", "app_passwords"):
        section = raw.get(name)
        if isinstance(section, Mapping):
            places.append((f"{name}.exempt", section.get("exempt")))
    for index, listener in enumerate(listeners if isinstance(listeners, list) else ()):
        if isinstance(listener, Mapping):
            places += [
                (f"listen[{index}].{key}", listener.get(key))
                for key in ("proxy_from", "xclient_from")
            ]
    policies = raw.get("policies")
    by_name: Mapping[str, Any] = policies if isinstance(policies, Mapping) else {}
    for name, checked in by_name.items():
        for index, check in enumerate(checked if isinstance(checked, list) else ()):
            if isinstance(check, Mapping):
                places.append((f"policies.{name}[{index}].exempt", check.get("exempt")))
    for key, value in places:
        for reference in _texts(value):
            if reference not in known and _is_name(reference):
                expected = "a name of [networks]"
                if known:
                    expected += f" ({', '.join(sorted(known))})"
                yield key, f'"{reference}"', f"{expected}, or an address or network itself"


def open_relay(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Everybody, as a network that may send to anywhere; as in ``contradictions.find``."""
    names = raw.get("networks")
    by_name: Mapping[str, Any] = names if isinstance(names, Mapping) else {}
    for reference in _texts(raw.get("relay_networks")):
        for text in _texts(by_name.get(reference, reference)):
            if _is_network(text) and ipaddress.ip_network(text).prefixlen == 0:
                expected = (
                    "networks of your own, such as 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"
                    " and fc00::/7, as anybody could send anything to anywhere"
                )
                yield "relay_networks", f'"{text}"', expected


def _texts(value: object) -> list[str]:
    """Of one or a list of them; of anything else ``model`` speaks."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    """Shaped as a name; ``model`` speaks about the rest."""
    try:
        return checks.network(text) == text and not _is_network(text)
    except ValueError:
        return False
