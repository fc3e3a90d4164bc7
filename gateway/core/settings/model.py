"""The sections of the configuration file: every setting with its default, its reason, its meaning.

The one text for every setting: ``description`` feeds ``gateway config show`` and the reference in
``etc/gateway.toml`` is checked against these classes. Never reads files or the environment
(``load`` does, through functions given to it). Names are a contract (DESIGN section 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.app_passwords import AppPasswordSettings
from gateway.core.settings.directory import DirectoryName, DirectorySettings
from gateway.core.settings.domains import (
    AliasName,
    AliasTargets,
    DomainSettings,
    RecipientSettings,
)
from gateway.core.settings.groups import GroupAddress, GroupSettings
from gateway.core.settings.leavers import LeaverSettings
from gateway.core.settings.listen import ListenSettings, Networks, standard_listeners
from gateway.core.settings.login import LoginSettings, OAuthSettings
from gateway.core.settings.networks import Cidrs, NetworkName
from gateway.core.settings.outbound import OutboundSettings
from gateway.core.settings.paths import DEFAULT_STATE_DIR
from gateway.core.settings.policies import PolicyName, PolicySettings, with_standard
from gateway.core.settings.section import Domain, Section
from gateway.core.settings.submission import SubmissionSettings
from gateway.core.settings.tls import TlsSettings
from gateway.core.settings.trace import TraceSettings


class DeletedMailSettings(Section):
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        14, description="what people delete for ever can be had back for so long; 0: not at all"
    )

    @property
    def keep_s(self) -> int:
        return self.keep_days * 86_400


class LimitSettings(Section):
    message_octets: Annotated[int, Field(ge=65_536)] = Field(
        52_428_800, description="largest message taken (RFC 1870)"
    )
    recipients: Annotated[int, Field(ge=100)] = Field(
        1000, description="per message; RFC 5321 section 4.5.3.1.8 asks for at least 100"
    )
    connections: Annotated[int, Field(ge=1)] = Field(10_000, description="open at once")
    connections_per_address: Annotated[int, Field(ge=1)] = Field(
        200, description="from one IPv4 address or IPv6 /64; an office behind NAT is one address"
    )


class QuotaSettings(Section):
    octets: Annotated[int, Field(ge=0, le=2**60)] = Field(
        0, description="each person may keep so much, unless the directory says it; 0: no bound"
    )
    messages: Annotated[int, Field(ge=0, le=2**60)] = Field(
        0, description="each person may keep so many, unless the directory says it; 0: no bound"
    )
    check: Literal["rcpt", "data"] = Field(
        "rcpt",
        description="rcpt: who has room at RCPT gets the message; data: looked at again after DATA",
    )
    answer: Literal["defer", "reject"] = Field(
        "defer", description="to mail for a full mailbox: 452, try again later, or 552, never"
    )


class SearchSettings(Section):
    index: bool = Field(
        True, description="keep an index of words, so that searches need not read every message"
    )


class Settings(Section):
    hostname: Domain = Field(description="our name in greetings; other servers look it up")
    state_dir: Annotated[str, AfterValidator(checks.given)] = Field(
        DEFAULT_STATE_DIR, description="everything the gateway keeps; back it up"
    )
    workers: Annotated[Literal["auto"] | int, BeforeValidator(checks.workers)] = Field(
        "auto", description='processes that serve, up to 64; "auto": one a processor'
    )
    postmaster: Annotated[str, AfterValidator(checks.mail_address)] = Field(
        "", description="address that gets mail for postmaster where nobody has that address"
    )
    domains: Annotated[dict[Domain, DomainSettings], AfterValidator(checks.not_empty)] = Field(
        description="people of the directory get mailboxes here"
    )
    aliases: dict[AliasName, AliasTargets] = Field(
        {}, description="addresses that stand for others, here or elsewhere"
    )
    recipients: RecipientSettings = Field(
        RecipientSettings(), description="what else is an address of ours"
    )
    groups: dict[GroupAddress, GroupSettings] = Field(
        {},
        description="who may write to groups of the directory and in their name; their mailboxes",
    )
    networks: dict[NetworkName, Cidrs] = Field(
        {}, description="names for networks, used where settings ask for networks"
    )
    relay_networks: Networks = Field(
        (), description="networks whose clients may send mail to anywhere without logging in"
    )
    directory: DirectorySettings = Field(description="the people")
    directories: dict[DirectoryName, DirectorySettings] = Field(
        {}, description="more people: asked behind [directory], in this order"
    )
    listen: Annotated[
        tuple[ListenSettings, ...], Field(strict=False), AfterValidator(checks.not_empty)
    ] = Field(
        standard_listeners("0.0.0.0"),  # noqa: S104 - a server is to be reached
        description="where clients and servers connect",
    )
    policies: Annotated[
        dict[PolicyName, PolicySettings],
        BeforeValidator(with_standard),
        Field(validate_default=True),
    ] = Field({}, description="checks of who sends and what, in order; listeners name theirs")
    tls: TlsSettings = Field(TlsSettings(), description="our certificate")
    login: LoginSettings = Field(LoginSettings(), description="how people prove who they are")
    app_passwords: AppPasswordSettings = Field(
        AppPasswordSettings(), description="passwords made here, for one program each"
    )
    leavers: LeaverSettings = Field(
        LeaverSettings(), description="people who leave, or get another address"
    )
    oauth: OAuthSettings = Field(OAuthSettings(), description="logins by token of an issuer")
    outbound: OutboundSettings = Field(OutboundSettings(), description="mail that leaves")
    limits: LimitSettings = Field(LimitSettings(), description="bounds")
    deleted_mail: DeletedMailSettings = Field(
        DeletedMailSettings(), description="what `gateway mailbox undelete` brings back"
    )
    quota: QuotaSettings = Field(QuotaSettings(), description="how much people may keep")
    submission: SubmissionSettings = Field(
        SubmissionSettings(), description="mail of our own people"
    )
    trace: TraceSettings = Field(TraceSettings(), description="what `gateway trace` tells of")
    search: SearchSettings = Field(SearchSettings(), description="finding messages by their text")


def each_directory(settings: Settings) -> Iterator[tuple[str, DirectorySettings]]:
    """By name, in the order in which they are asked; the first one has none."""
    yield "", settings.directory
    yield from settings.directories.items()
