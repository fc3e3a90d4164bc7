"""Where the people are, and how to ask about them. Never reads anything."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gateway.core.settings import checks
from gateway.core.settings.section import Domain, Section, one_or_many

LdapUri = Annotated[str, AfterValidator(checks.ldap_uri)]
DnText = Annotated[str, AfterValidator(checks.distinguished_name)]
HostName = Annotated[str, AfterValidator(checks.host_or_nothing)]
SiteName = Annotated[str, AfterValidator(checks.site_name)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
"""Of attributes; ``"-"`` alone: none, where the preset has some."""


def directory_name(value: str) -> str:
    """What a further directory is called: in logs, in ids and behind --directory."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", value) or value == "directory":
        raise ValueError('up to 32 small letters, digits and hyphens, such as "branch-office"')
    return value


DirectoryName = Annotated[str, AfterValidator(directory_name)]


class DirectorySettings(Section):
    kind: Literal["ldap", "ldif"] = Field(description="where the people are")
    path: str = Field("", description="with kind ldif: the LDIF file; re-read when it changes")
    domains: Annotated[tuple[Domain, ...], BeforeValidator(one_or_many), Field(strict=False)] = (
        Field(
            (),
            description="people and groups of these domains are looked for in the directories that"
            " name them, and in no other; empty: whatever no directory names",
        )
    )
    preset: Literal["ad", "openldap", "freeipa", "389ds", "samba", "lldap", "custom"] = Field(
        "openldap", description="attribute map and filters that fit the directory server"
    )
    netbios_domain: str = Field(
        "", description="of Active Directory: DOMAIN of logins as DOMAIN\\user; empty: it is asked"
    )
    uri: Annotated[tuple[LdapUri, ...], BeforeValidator(one_or_many), Field(strict=False)] = Field(
        (), description="with kind ldap: servers, tried in this order; before those of domain"
    )
    domain: HostName = Field(
        "", description="find servers by its SRV records, as of Active Directory; empty: uri alone"
    )
    site: SiteName = Field(
        "", description="with domain: the site of Active Directory whose servers go first"
    )
    base_dn: DnText = Field("", description="with kind ldap: people are searched below this entry")
    bind_dn: DnText = Field("", description="service account that may search; empty: anonymous")
    bind_password: SecretStr = Field(SecretStr(""), description="its password")
    bind_password_file: str = Field("", description="a file that holds it")
    bind_method: Literal["simple", "external"] = Field(
        "simple",
        description="how the service account proves who it is; external: by client_certificate",
    )
    ca_file: str = Field("", description="certificates that the servers' are checked against")
    tls_server_name: HostName = Field(
        "", description="the name their certificates must carry; empty: the host of each URI"
    )
    client_certificate: str = Field("", description="our certificate for servers that ask for one")
    client_key: str = Field("", description="its key, in a file of its own")
    start_tls: bool = Field(
        True, description="ldap:// URIs switch to TLS before anything else is said"
    )
    allow_clear_text: bool = Field(
        False, description="with start_tls = false: send passwords in clear beyond loopback"
    )
    timeout_s: Annotated[float, Field(gt=0, le=60, strict=False)] = Field(
        8.0, description="deadline of one whole check; shorter than any client's patience"
    )
    picture: bool = Field(
        True,
        description="with kind ldap: keep what was last seen of people and groups, so that mail for"
        " them is taken at once, and while no server answers",
    )
    refresh_s: Annotated[float, Field(ge=1, le=3600, strict=False)] = Field(
        30.0, description="with kind ldap: how often what has changed is asked for"
    )
    refresh_by: Literal["auto", "syncrepl", "usn", "csn", "timestamps", "listing"] = Field(
        "auto", description="how changes are learnt; auto: the best way that the server offers"
    )
    listing_hours: Annotated[float, Field(ge=1, le=720, strict=False)] = Field(
        24.0, description="everybody is listed anew so often, whatever changes have told"
    )
    mass_change_percent: int = Field(
        20,
        ge=1,
        le=100,
        description="if more people than that would be gone or disabled at once, nobody is removed"
        " until an administrator agrees",
    )
    login_attributes: Names = Field(
        (), description="attributes a login name is compared with; empty: the preset's"
    )
    login_by_address: Literal["", "yes", "no"] = Field(
        "", description="every mail address is a login as well; empty: unless login_… says more"
    )
    login_filter: str = Field(
        "", description="filter that finds people by {login}, or its {user} and {domain}"
    )
    login_dn: str = Field("", description="DN of people's entries, with {login} as a value in it")
    address_attributes: Names = Field(
        (), description="attributes that hold mail addresses; empty: the preset's"
    )
    prefixed_address_attributes: Names = Field(
        (), description='the same with "smtp:" before each address; empty: the preset\'s'
    )
    display_attributes: Names = Field(
        (), description="attributes that hold people's names; empty: the preset's"
    )
    quota_attributes: Names = Field(
        (), description="attributes that say how much a person may keep; empty: the preset's"
    )
    next_hop_attributes: Names = Field(
        (),
        description="attributes that name the server of a person's mail if that is not here;"
        " empty: the preset's",
    )
    routing_address_attributes: Names = Field(
        (),
        description="attributes with the address that a person's mail goes to; empty: the preset's",
    )
    forwarding_attributes: Names = Field(
        (), description="attributes with addresses that copies go to; empty: the preset's"
    )
    forwarding_link_attributes: Names = Field(
        (), description="the same by DN of an entry with an address; empty: the preset's"
    )
    disabled_filter: str = Field(
        "", description="RFC 4515 filter of people who are disabled; empty: as the preset knows it"
    )
    locked_filter: str = Field(
        "", description="RFC 4515 filter of people who may not log in for now; empty: the preset's"
    )
    shadow_expiry: bool = Field(
        False, description="shadowExpire ends accounts, shadowMax passwords (RFC 2307)"
    )
    inactive_days: Annotated[int, Field(ge=0, le=10_000)] = Field(
        0, description="who has not logged in for so many days may not; 0: time does not matter"
    )
    last_login_attribute: str = Field(
        "", description="when somebody has logged in last; empty: the preset's"
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
    member_of_attributes: Names = Field(
        (), description="attributes of people that name their groups by DN; empty: the preset's"
    )
    group_member_attributes: Names = Field(
        (), description="attributes that hold members, by DN or address; empty: the preset's"
    )
    group_leave_out_filter: str = Field(
        "", description="RFC 4515 filter of members who get no mail by way of groups"
    )
    group_leave_out_disabled: bool = Field(
        False, description="nor do members who are disabled; they still get their own"
    )
