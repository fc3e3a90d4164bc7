"""The policies: for each a list of checks in order, every kind with its own settings.

Owns the kinds, what each can be told, and the policies in force where none is written. Never reads
a list's file and never judges anybody: ``policy`` does.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from gateway.core.list_entries import key_of
from gateway.core.settings.listen import Networks
from gateway.core.settings.section import Domain, Section, one_or_many

Action = Literal["pass", "tag", "quarantine", "defer", "reject"]
StageName = Literal["connect", "hello", "sender", "recipient"]
WhenAsked = Literal["", "connect", "hello", "sender", "recipient"]
Seconds = Annotated[float, Field(gt=0, le=30, strict=False)]
Score = Annotated[float, Field(ge=0, le=1000, strict=False)]
Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_many), Field(strict=False)]

MAX_ZONES = 32
MAX_PATTERN = 200
MAX_SHOWN = 60
STAGES: tuple[StageName, ...] = get_args(StageName)

KNOWN_FROM: Mapping[str, StageName] = {
    "ip": "connect",
    "host_name": "connect",
    "helo": "hello",
    "sender": "sender",
    "sender_domain": "sender",
    "login": "sender",
    "recipient": "recipient",
}
"""The first stage at which a check can know what it looks at."""


def not_before(earliest: StageName, stage: WhenAsked) -> WhenAsked:
    """A stage that a check can be asked at. Raises: ValueError."""
    possible = STAGES[STAGES.index(earliest) :]
    if stage and stage not in possible:
        names = ", ".join(f'"{name}"' for name in possible)
        raise ValueError(f"one of {names}, as nothing is known before")
    return stage


def show_entry(entry: str) -> str:
    return ascii(entry[:MAX_SHOWN])


def few_zones(zones: tuple[DnsZone, ...]) -> tuple[DnsZone, ...]:
    """Each costs a question for each client. Raises: ValueError."""
    if not 1 <= len(zones) <= MAX_ZONES:
        raise ValueError(f'1 to {MAX_ZONES} lists such as {{ zone = "dnsbl.example.com" }}')
    return zones


def field_name(value: str) -> str:
    """RFC 5322 section 2.2. Raises: ValueError."""
    if not re.fullmatch(r"[!-9;-~]{1,64}", value):
        raise ValueError('the name of a header field such as "Subject"')
    return value


def pattern_text(value: str) -> str:
    """What a value is compared with. Raises: ValueError."""
    if not 1 <= len(value) <= MAX_PATTERN:
        raise ValueError(f'1 to {MAX_PATTERN} characters such as "*lottery*"')
    return value


class CheckSettings(Section):
    """What all kinds share."""

    name: str = Field("", description="for log, trace and header field; empty: its kind")
    exempt: Networks = Field((), description="networks that are not judged by it")
    on_trouble: Literal["pass", "defer"] = Field(
        "pass", description="what becomes of mail that it cannot judge: DNS or the store fails"
    )


class ListCheck(CheckSettings):
    check: Literal["list"] = Field(description="one of these kinds")
    of: Literal["ip", "host_name", "helo", "sender", "recipient", "login"] = Field(
        description="what is compared with its entries"
    )
    entries: Texts = Field(
        (), description="networks, domains (.example.com: all below it), addresses, user@"
    )
    file: str = Field(
        "",
        validate_default=True,
        description="a file with an entry in each line; re-read when it changes",
    )
    action: Literal["accept", "tag", "quarantine", "defer", "reject"] = Field(
        "reject", description="what becomes of those in it"
    )
    stage: WhenAsked = Field("", description="when it is asked; empty: as soon as it can be")
    text: str = Field("", description="what the refused are told; empty: a general text")

    @field_validator("entries")
    @classmethod
    def _of_that_kind(cls, entries: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for entry in entries:
            try:
                key_of(info.data.get("of", "login"), entry)
            except ValueError as error:
                raise ValueError(f"instead of {show_entry(entry)}: {error}") from None
        return entries

    @field_validator("file")
    @classmethod
    def _one_source(cls, file: str, info: ValidationInfo) -> str:
        if "entries" in info.data and bool(file) == bool(info.data["entries"]):
            raise ValueError("either entries or a file")
        return file

    @field_validator("stage")
    @classmethod
    def _known_by_then(cls, stage: WhenAsked, info: ValidationInfo) -> WhenAsked:
        return not_before(KNOWN_FROM[info.data.get("of", "ip")], stage)


class RateCheck(CheckSettings):
    check: Literal["rate"] = Field(description="one of these kinds")
    of: Literal["connections", "messages", "recipients"] = Field(description="what is counted")
    per: Literal["address", "network", "person"] = Field(
        "address", description="address: IPv4 or IPv6 /64; network: /24 or /64; person: login"
    )
    limit: Annotated[int, Field(ge=1, le=10_000_000)] = Field(description="so many")
    per_s: Annotated[int, Field(ge=1, le=86_400)] = Field(60, description="in so many seconds")
    burst: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        0, description="so many at once after a rest; 0: limit"
    )
    action: Literal["tag", "quarantine", "defer", "reject"] = Field(
        "defer", description="what becomes of more"
    )

    @field_validator("per")
    @classmethod
    def _known_by_then(cls, per: str, info: ValidationInfo) -> str:
        if per == "person" and info.data.get("of") == "connections":
            raise ValueError('"address" or "network", as nobody is logged in yet')
        return per


class ConnectionsCheck(CheckSettings):
    check: Literal["connections"] = Field(description="one of these kinds")
    total: Annotated[int, Field(ge=0)] = Field(0, description="open at once; 0: no bound")
    per_address: Annotated[int, Field(ge=0)] = Field(
        0, description="from one IPv4 address or IPv6 /64; 0: no bound"
    )


class HelloCheck(CheckSettings):
    check: Literal["hello"] = Field(description="one of these kinds")
    own_name: Action = Field("reject", description="for who says that it is us")
    bare_ip: Action = Field("reject", description="for an address without brackets")
    not_fqdn: Action = Field("tag", description="for a name without domain")
    literal_mismatch: Action = Field(
        "reject", description="for an address in brackets that is not the client's"
    )
    stage: Literal["hello", "sender", "recipient"] = Field(
        "hello", description="when it is asked; after hello, those logged in are left out"
    )


class ReverseDnsCheck(CheckSettings):
    check: Literal["reverse_dns"] = Field(description="one of these kinds")
    no_name: Action = Field("tag", description="for an address without a name")
    mismatch: Action = Field("pass", description="for a name that does not lead back to it")
    stage: StageName = Field("connect", description="when it is asked")
    timeout_s: Seconds = Field(5.0, description="for all answers together")


class DnsZone(Section):
    zone: Domain = Field(description="domain of the list (RFC 5782)")
    of: Literal["ip", "host_name", "helo", "sender_domain"] = Field(
        "ip", description="what is looked up in it"
    )
    weight: Annotated[float, Field(ge=-1000, le=1000, strict=False)] = Field(
        1.0, description="added if it is listed; below 0 for a list of the good"
    )
    answers: Texts = Field(
        ("127.0.0.0/8",), description="answers that count: addresses and networks"
    )

    @field_validator("answers")
    @classmethod
    def _networks(cls, answers: tuple[str, ...]) -> tuple[str, ...]:
        return answer_networks(answers)


def answer_networks(answers: tuple[str, ...]) -> tuple[str, ...]:
    """RFC 5782 section 2.1: lists answer with addresses in 127.0.0.0/8. Raises: ValueError."""
    whole = ipaddress.IPv4Network("127.0.0.0/8")
    try:
        networks = [ipaddress.IPv4Network(answer) for answer in answers]
    except ValueError:
        networks = []
    if not networks or not all(network.subnet_of(whole) for network in networks):
        raise ValueError('answers in 127.0.0.0/8 such as "127.0.0.2" or "127.0.0.0/24"')
    return tuple(map(str, networks))


class DnsListCheck(CheckSettings):
    check: Literal["dns_list"] = Field(description="one of these kinds")
    lists: Annotated[tuple[DnsZone, ...], Field(strict=False), AfterValidator(few_zones)] = Field(
        description="all are asked at the same time"
    )
    reject_at: Score = Field(1.0, description="sum of the weights from which on; 0: never")
    defer_at: Score = Field(0.0, description="sum of the weights from which on; 0: never")
    quarantine_at: Score = Field(0.0, description="sum of the weights from which on; 0: never")
    tag_at: Score = Field(0.0, description="sum of the weights from which on; 0: never")
    list_timeout_s: Seconds = Field(3.0, description="for the answer of one list")
    timeout_s: Seconds = Field(5.0, description="for all of it, the text of a refusal included")
    stage: WhenAsked = Field("", description="when it is asked; empty: as soon as it can be")

    @property
    def earliest(self) -> StageName:
        return _earliest(self.lists)

    @field_validator("stage")
    @classmethod
    def _known_by_then(cls, stage: WhenAsked, info: ValidationInfo) -> WhenAsked:
        return not_before(_earliest(info.data.get("lists", ())), stage)


def _earliest(lists: tuple[DnsZone, ...]) -> StageName:
    indexes = [STAGES.index(KNOWN_FROM[each.of]) for each in lists]
    return STAGES[max(indexes, default=0)]


class GreylistCheck(CheckSettings):
    check: Literal["greylist"] = Field(description="one of these kinds")
    wait_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        300, description="who comes again after so long is let in"
    )
    come_within_s: Annotated[int, Field(ge=600, le=2_592_000)] = Field(
        172_800, description="and before this (2 days)"
    )
    keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        36, description="known for so long after the last message"
    )
    by_recipient: bool = Field(
        False, description="each recipient for itself, not only network and sender domain"
    )
    trust_after: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        5, description="a network that so many came again from is let in at once; 0: never"
    )


class SenderDomainCheck(CheckSettings):
    check: Literal["sender_domain"] = Field(description="one of these kinds")
    missing: Action = Field("reject", description="for a domain without MX and address records")
    null_mx: Action = Field("reject", description="for a domain that takes no mail (RFC 7505)")
    timeout_s: Seconds = Field(5.0, description="for all answers together")


class HeaderCheck(CheckSettings):
    check: Literal["header"] = Field(description="one of these kinds")
    field: Annotated[str, AfterValidator(field_name)] = Field(
        description="name of the header field"
    )
    pattern: Annotated[str, AfterValidator(pattern_text)] = Field(
        description="its whole value, whatever the case; * any text, ? any character"
    )
    action: Literal["tag", "quarantine", "defer", "reject"] = Field(
        "reject", description="what becomes of a message that has it"
    )
    text: str = Field("", description="what the refused are told; empty: a general text")


Checks = (
    ListCheck
    | RateCheck
    | ConnectionsCheck
    | HelloCheck
    | ReverseDnsCheck
    | DnsListCheck
    | GreylistCheck
    | SenderDomainCheck
    | HeaderCheck
)
AnyCheck = Annotated[Checks, Field(discriminator="check")]
KINDS: Mapping[str, type[CheckSettings]] = {
    get_args(each.model_fields["check"].annotation)[0]: each for each in get_args(Checks)
}


def policy_name(value: str) -> str:
    """What listeners call it by."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", value):
        raise ValueError("a name of letters, digits, - and _ that begins with a letter")
    return value


PolicyName = Annotated[str, AfterValidator(policy_name)]
PolicySettings = Annotated[tuple[AnyCheck, ...], Field(strict=False)]

GUARDED = ("smtp", "submission", "lmtp")
"""Protocols whose listeners have policies."""

_LOOPBACK = ("127.0.0.0/8", "::1/128")
# Generous: who is stopped by these is a broken program or an attack, and nobody has to wait for
# anything, nor to ask DNS.
_STANDARD: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "smtp": (
        {"check": "rate", "of": "connections", "limit": 1200, "exempt": _LOOPBACK},
        {"check": "rate", "of": "messages", "limit": 3000, "exempt": _LOOPBACK},
    ),
    "submission": ({"check": "rate", "of": "connections", "limit": 1200, "exempt": _LOOPBACK},),
    "lmtp": (),
}


def contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Listeners whose policy is missing or that cannot have one; as in ``contradictions.find``."""
    written = raw.get("policies")
    known = {*_STANDARD, *(written if isinstance(written, Mapping) else ())}
    listeners = raw.get("listen")
    for index, listener in enumerate(listeners if isinstance(listeners, list) else ()):
        name = listener.get("policy") if isinstance(listener, Mapping) else None
        if not isinstance(name, str) or not name:
            continue
        key, protocol = f"listen[{index}].policy", listener.get("protocol")
        if protocol in ("pop3", "imap", "http"):
            yield key, f'"{name}"', f"nothing, as {protocol} has no policies"
        elif name not in known:
            names = ", ".join(sorted(known))
            yield key, f'"{name}"', f"the name of a policy: {names}, or a new [[policies.{name}]]"


def with_standard(policies: object) -> object:
    """What is written, and the standard policies whose names are not."""
    return {**_STANDARD, **policies} if isinstance(policies, Mapping) else policies
