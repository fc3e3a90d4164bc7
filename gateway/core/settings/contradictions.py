"""Mistakes between settings. Works on what was written, so that it speaks even when other values
are wrong, and never twice about one that ``model`` refused already."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.core.settings import checks, policies
from gateway.core.settings.app_passwords import app_password_contradictions
from gateway.core.settings.directory_contradictions import directory_contradictions
from gateway.core.settings.domains import domain_contradictions
from gateway.core.settings.explain import show
from gateway.core.settings.group_contradictions import group_contradictions
from gateway.core.settings.leavers import leaver_contradictions
from gateway.core.settings.listen import OF_MAIL_DOORS
from gateway.core.settings.login import login_contradictions, oauth_contradictions
from gateway.core.settings.networks import open_relay, unknown_names
from gateway.core.settings.outbound import outbound_contradictions
from gateway.core.settings.tls import sni_contradictions

Raw = Mapping[str, Any]
Place = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def _is_table(raw: Raw, name: str) -> bool:
    return isinstance(raw.get(name, {}), Mapping)


def _section(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def find(raw: Raw) -> Iterator[tuple[str, str, str]]:
    """Yields key path, what was found, what is expected."""
    yield from directory_contradictions(_section(raw, "directory"), "directory")
    for name, section in _section(raw, "directories").items():
        if isinstance(section, Mapping):
            key = f'directories."{name}"'
            yield from directory_contradictions(section, key)
            yield from _secrets(section, key, "bind_password")
    yield from _listeners(raw)
    yield from _domains(_section(raw, "domains"))
    yield from domain_contradictions(_section(raw, "domains"))
    yield from group_contradictions(_section(raw, "groups"), _section(raw, "domains"))
    yield from unknown_names(raw)
    yield from open_relay(raw)
    yield from policies.contradictions(raw)
    yield from login_contradictions(_section(raw, "login"), raw)
    yield from app_password_contradictions(_section(raw, "app_passwords"))
    yield from leaver_contradictions(_section(raw, "leavers"))
    yield from oauth_contradictions(_section(raw, "oauth"))
    yield from sni_contradictions(_section(raw, "tls"))
    yield from _secrets(_section(raw, "oauth"), "oauth", "client_secret")
    yield from _secrets(_section(raw, "directory"), "directory", "bind_password")
    outbound = _section(raw, "outbound")
    yield from _secrets(outbound, "outbound", "smart_host_password")
    yield from outbound_contradictions(outbound)


def _listeners(raw: Raw) -> Iterator[tuple[str, str, str]]:
    listeners = raw.get("listen")
    tls = _section(raw, "tls")
    uses_tls = listeners is None
    if isinstance(listeners, list):
        seen: dict[Place, int] = {}
        for index, listener in enumerate(listeners):
            if not isinstance(listener, Mapping):
                continue
            mode = listener.get("tls", "starttls")
            uses_tls = uses_tls or mode in ("starttls", "implicit")
            if listener.get("client_ca_file") and mode == "none":
                expected = "nothing where no TLS is spoken"
                yield f"listen[{index}].client_ca_file", show(listener["client_ca_file"]), expected
            if listener.get("protocol") == "http" and mode == "starttls":
                yield f"listen[{index}].tls", f'"{mode}"', '"none" or "implicit" for http'
            if (protocol := listener.get("protocol")) in ("pop3", "imap", "http"):
                for key in OF_MAIL_DOORS:
                    if key in listener:
                        expected = f"nothing, as {protocol} has no such setting"
                        yield f"listen[{index}].{key}", show(listener[key]), expected
            place = _place(listener.get("address"))
            if place is None:
                continue
            for other, first in seen.items():
                if _overlap(place, other):
                    expected = f"an address of its own; listen[{first}] has this one"
                    yield f"listen[{index}].address", show(listener["address"]), expected
                    break
            seen.setdefault(place, index)
    if not isinstance(tls.get("self_signed", False), bool) or not _is_table(raw, "tls"):
        return  # said already; what was meant is open
    if tls.get("self_signed") is True:
        if tls.get("certificate") or tls.get("key"):
            yield "tls.self_signed", "true", "false, as tls.certificate or tls.key is set"
    elif uses_tls:
        for key in ("certificate", "key"):
            if not tls.get(key):
                expected = "a PEM file, as listeners use TLS (for a trial: tls.self_signed = true)"
                yield f"tls.{key}", "nothing", expected


def _place(address: object) -> Place | None:
    try:
        host, port = checks.split_host_port(checks.host_port(str(address)))
    except ValueError:
        return None  # said already
    return ipaddress.ip_address(host), port


def _overlap(one: Place, other: Place) -> bool:
    """Whether one socket would take the other's connections."""
    (host, port), (other_host, other_port) = one, other
    return (port, host.version) == (other_port, other_host.version) and (
        host == other_host or host.is_unspecified or other_host.is_unspecified
    )


def _domains(domains: Raw) -> Iterator[tuple[str, str, str]]:
    owner: dict[str, str] = {}
    for name in domains:
        if owner.setdefault(name.lower(), name) != name:
            yield f'domains."{name}"', show(name), "each domain once; case does not matter"
    for name, domain in domains.items():
        aliases = domain.get("aliases", []) if isinstance(domain, Mapping) else []
        for index, alias in enumerate(aliases if isinstance(aliases, list) else []):
            if not isinstance(alias, str):
                continue
            other = owner.setdefault(alias.lower(), name)
            if other != name or alias.lower() == name.lower():
                key = f'domains."{name}".aliases[{index}]'
                yield key, show(alias), f'a domain not used elsewhere; domains."{other}" has it'


def _secrets(section: Raw, name: str, key: str) -> Iterator[tuple[str, str, str]]:
    if section.get(key) and section.get(f"{key}_file"):
        yield f"{name}.{key}_file", "a value", f"nothing, as {name}.{key} is set"
