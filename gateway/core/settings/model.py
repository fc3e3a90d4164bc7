"""The sections of the configuration file: every setting with its default, its reason, its meaning.

The one text for every setting: ``description`` feeds ``gateway config show`` and the reference in
``etc/gateway.toml`` is checked against these classes. Never reads files or the environment
(``load`` does, through functions given to it). Names are a contract (DESIGN section 7).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gateway.core.settings import checks
from gateway.core.settings.domains import (
    AliasName,
    AliasTargets,
    DomainSettings,
    RecipientSettings,
)
from gateway.core.settings.listen import ListenSettings, Networks, standard_listeners
from gateway.core.settings.login import LoginSettings, OAuthSettings
from gateway.core.settings.networks import Cidrs, NetworkName
from gateway.core.settings.outbound import OutboundSettings
from gateway.core.settings.paths import DEFAULT_STATE_DIR
from gateway.core.settings.policies import PolicyName, PolicySettings, with_standard
from gateway.core.settings.section import Domain, Section, one_or_many
from gateway.core.settings.submission import SubmissionSettings
from gateway.core.settings.tls import TlsSettings
from gateway.core.settings.trace import TraceSettings

LdapUri = Annotated[str, AfterValidator(checks.ldap_uri)]
DnText = Annotated[str, AfterValidator(checks.distinguished_name)]


class DirectorySettings(Section):
    kind: Literal["ldap", "ldif"] = Field(description="where the people are")
    path: str = Field("", description="with kind ldif: the LDIF file; re-read when it changes")
    preset: Literal["openldap", "custom"] = Field(
        "openldap", description="attribute map and filters that fit the directory server"
    )
    uri: Annotated[tuple[LdapUri, ...], BeforeValidator(one_or_many), Field(strict=False)] = Field(
        (), description="with kind ldap: servers, tried in this order"
    )
    base_dn: DnText = Field("", description="with kind ldap: people are searched below this entry")
    bind_dn: DnText = Field("", description="service account that may search; empty: anonymous")
    bind_password: SecretStr = Field(SecretStr(""), description="its password")
    bind_password_file: str = Field("", description="a file that holds it")
    ca_file: str = Field("", description="certificates that the servers' are checked against")
    start_tls: bool = Field(
        True, description="ldap:// URIs switch to TLS before anything else is said"
    )
    allow_clear_text: bool = Field(
        False, description="with start_tls = false: send passwords in clear beyond loopback"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60, strict=False)] = Field(
        8.0, description="deadline of one whole check; shorter than any client's patience"
    )
    login_attributes: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="attributes a login name is compared with; empty: the preset's"
    )
    address_attributes: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="attributes that hold mail addresses; empty: the preset's"
    )
    quota_attributes: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="attributes that say how much a person may keep; empty: the preset's"
    )
    next_hop_attributes: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (),
        description="attributes that name the server of a person's mail if that is not here;"
        " empty: the preset's",
    )
    routing_address_attributes: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (),
        description="attributes with the address that a person's mail goes to; empty: the preset's",
    )
    id_attribute: str = Field("", description="immutable id of an entry; empty: the preset's")
    secret_attribute: str = Field(
        "",
        description="attribute with SCRAM-SHA-256 verifiers (RFC 5803, authPassword); empty: none",
    )
    certificate_attribute: str = Field(
        "",
        description="attribute a client certificate's name is compared with; empty: login, address",
    )
    person_filter: str = Field("", description="RFC 4515 filter of entries that are people")
    group_filter: str = Field(
        "", description="RFC 4515 filter of entries that are groups; empty: the preset's"
    )
    group_member_attributes: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="attributes that hold members, by DN or address; empty: the preset's"
    )


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
    networks: dict[NetworkName, Cidrs] = Field(
        {}, description="names for networks, used where settings ask for networks"
    )
    relay_networks: Networks = Field(
        (), description="networks whose clients may send mail to anywhere without logging in"
    )
    directory: DirectorySettings = Field(description="the people")
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
