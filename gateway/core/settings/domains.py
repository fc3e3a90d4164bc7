"""Our domains, the addresses that stand for others, and what of it contradicts. Never reads
anything."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import Domain, Section, one_or_many

_DELIMITERS = "+-_=#"


def tag_delimiter(value: str) -> str:
    """A character that may stand inside a local part (RFC 5322 section 3.2.3), or nothing."""
    if value and (len(value) > 1 or value not in _DELIMITERS):
        raise ValueError(f"one of {' '.join(_DELIMITERS)} or nothing")
    return value


def alias_name(value: str) -> str:
    """An address, or a local part that means the same in each of our domains."""
    if value == "@" or (not value.rpartition("@")[0].rstrip("@") and "@" in value):
        raise ValueError(
            'an address such as "sales@example.com"; for all others of a domain: its catch_all'
        )
    if "@" in value:
        return checks.mail_address(value)
    if not value or not value.isprintable() or set(value) & set(' ",;:<>()[]\\'):
        raise ValueError('an address such as "sales@example.com", or "sales" for all domains')
    return value


def ip(value: str) -> str:
    """One address of ours."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError('an IP address such as "192.0.2.1"') from None


Relay = Annotated[str, AfterValidator(checks.relay_url)]
Relays = Annotated[
    tuple[Relay, ...],
    BeforeValidator(one_or_many),
    Field(strict=False),
    AfterValidator(checks.chain),
]
AliasName = Annotated[str, AfterValidator(alias_name)]
AliasTargets = Annotated[
    tuple[AliasName, ...],
    BeforeValidator(one_or_many),
    Field(strict=False),
    AfterValidator(checks.not_empty),
]
IpAddress = Annotated[str, AfterValidator(ip)]


class DomainSettings(Section):
    aliases: Annotated[tuple[Domain, ...], Field(strict=False)] = Field(
        (), description="other domains whose addresses mean the same people"
    )
    relay: Relays = Field(
        (),
        description="known recipients are relayed to these servers instead of a mailbox here;"
        ' "mx": MX records decide',
    )
    relay_recipients: Literal["directory", "any"] = Field(
        "directory",
        description="with relay: who is known; any: whoever, as for a backup MX; that server knows",
    )
    delimiter: Annotated[str, AfterValidator(tag_delimiter)] = Field(
        "+", description="user+tag means user where nobody is called user+tag; empty: no tags"
    )
    catch_all: Annotated[str, AfterValidator(checks.mail_address)] = Field(
        "", description="address that gets mail for everybody who is nobody here; empty: refused"
    )


class RecipientSettings(Section):
    aliases_file: str = Field(
        "", description='more [aliases], as lines "name: address, address"; re-read when it changes'
    )
    accept_literals: Annotated[tuple[IpAddress, ...], Field(strict=False)] = Field(
        (), description="our IP addresses; user@[one of them] means user in the first domain"
    )
    members: Annotated[int, Field(ge=1, le=100_000)] = Field(
        5000, description="of one group or alias, all in all; mail for larger ones is deferred"
    )
    group_post: Literal["anyone", "authenticated", "members"] = Field(
        "anyone", description="who may write to groups of which nothing else says it"
    )


def domain_contradictions(domains: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """As ``contradictions.find``, of what stands below ``domains``."""
    for name, section in domains.items():
        if not isinstance(section, Mapping):
            continue
        key = f'domains."{name}"'
        if section.get("relay_recipients") != "any":
            continue
        if not section.get("relay"):
            expected = "directory, as the domain has no relay that could know its recipients"
            yield f"{key}.relay_recipients", '"any"', expected
        if isinstance(catch_all := section.get("catch_all"), str) and catch_all:
            expected = 'nothing, as with relay_recipients = "any" nobody is unknown'
            yield f"{key}.catch_all", f'"{catch_all}"', expected
