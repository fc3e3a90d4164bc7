"""Mail that leaves: through which servers, protected how, how fast, and when it is given up.

Values only; ``delivery`` and ``queue`` give them their meaning. Passwords stand beside their users
in ``logins``, never in a URL. What contradicts is found by ``outbound_contradictions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gateway.core.next_hop import NextHopSyntax, TlsLevel, login_name, parse_next_hop
from gateway.core.settings import checks
from gateway.core.settings.section import HostPort, Section, one_or_many
from gateway.core.settings.suppression import SuppressionSettings
from gateway.core.settings.waits import Waits

SmartHost = Annotated[str, AfterValidator(checks.smart_host_url)]
SmartHosts = Annotated[
    tuple[SmartHost, ...],
    BeforeValidator(one_or_many),
    Field(strict=False),
    AfterValidator(checks.chain),
]
"""Servers that are tried in this order."""
Server = Annotated[str, AfterValidator(checks.next_hop_url)]
Servers = Annotated[
    tuple[Server, ...],
    BeforeValidator(one_or_many),
    Field(strict=False),
    AfterValidator(checks.chain),
]
DestinationName = Annotated[str, AfterValidator(checks.destination_name)]
SenderName = Annotated[str, AfterValidator(checks.sender_name)]
LoginName = Annotated[str, AfterValidator(checks.login_at_host)]


class DestinationSettings(Section):
    """What is left out is as for all others."""

    next_hop: Servers = Field(
        (), description='servers that take its mail, in this order; "mx": MX records decide'
    )
    tls: Literal["", TlsLevel] = Field(
        "", description="none, opportunistic, required or verified; empty: as outbound.tls"
    )
    connections: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="at once, at most; 0: as outbound.connections_per_destination"
    )
    messages_per_minute: Annotated[int, Field(ge=0)] = Field(
        0, description="at most; 0: as outbound.messages_per_minute"
    )
    retry_after_s: Waits = Field((), description="waits between attempts; empty: as for all")
    lifetime_s: Annotated[int, Field(ge=0)] = Field(0, description="0: as for all")


class SenderSettings(Section):
    smart_host: SmartHosts = Field((), description="servers that take their mail, in this order")


class LoginAtHostSettings(Section):
    password: SecretStr = Field(SecretStr(""), description="of this user at this server")
    password_file: str = Field("", description="a file that holds it")


class OutboundSettings(Section):
    smart_host: SmartHosts = Field(
        (), description="all outgoing mail goes there, in this order; absent: MX records decide"
    )
    smart_host_password: SecretStr = Field(SecretStr(""), description="for the user in smart_host")
    smart_host_password_file: str = Field("", description="a file that holds it")
    ca_file: str = Field("", description="certificates that other servers' are checked against")
    resolvers: Annotated[tuple[HostPort, ...], Field(strict=False)] = Field(
        (), description="name servers; empty: the system's"
    )
    trusted_resolvers: Annotated[tuple[HostPort, ...], Field(strict=False)] = Field(
        (), description="or: ones that validate DNSSEC, on a way where nobody can change answers"
    )
    tls: TlsLevel = Field(
        "opportunistic",
        description="to servers found by MX: required is encrypted, verified proves the name too",
    )
    mta_sts: bool = Field(
        True, description="whether policies that domains publish by MTA-STS (RFC 8461) are obeyed"
    )
    tls_reports: bool = Field(
        True, description="whether domains that ask for it hear daily how TLS went (RFC 8460)"
    )
    tls_reports_from: Annotated[str, AfterValidator(checks.mail_address)] = Field(
        "", description="who sends these reports; empty: postmaster at the first of our domains"
    )
    connections: Annotated[int, Field(ge=1, le=10_000)] = Field(
        200, description="to all servers at once; one destination has half of them at most"
    )
    connections_per_destination: Annotated[int, Field(ge=1, le=1000)] = Field(
        20, description="reached by steps while a destination takes mail without complaint"
    )
    messages_per_minute: Annotated[int, Field(ge=0)] = Field(
        0, description="to one destination; 0: as fast as it takes them"
    )
    retry_after_s: Annotated[Waits, AfterValidator(checks.not_empty)] = Field(
        (60, 300, 900, 1800, 3600, 7200, 14400),
        description='waits between attempts, or "60 x 2 up to 14400"; the last one repeats',
    )
    lifetime_s: Annotated[int, Field(ge=60)] = Field(
        432_000, description="after this the sender gets the message back (5 days)"
    )
    delay_notice_s: Annotated[int, Field(ge=0)] = Field(
        14_400, description="after this the sender hears once that it takes longer; 0: never"
    )
    double_bounces_to: Annotated[str, AfterValidator(checks.mail_address)] = Field(
        "", description="who hears of failures that no sender can be told of; empty: log and trace"
    )
    suppression: SuppressionSettings = Field(
        SuppressionSettings(), description="addresses that are written to no more for a while"
    )
    destinations: dict[DestinationName, DestinationSettings] = Field(
        {}, description='domains and "*.domains" whose mail is sent another way'
    )
    senders: dict[SenderName, SenderSettings] = Field(
        {}, description='addresses and "@domains" whose mail leaves another way'
    )
    logins: dict[LoginName, LoginAtHostSettings] = Field(
        {}, description='passwords of users at servers, by "user@host"'
    )


def outbound_contradictions(outbound: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Users without a password, passwords without a user, and tables that are there twice. Yields
    as ``contradictions.find``."""
    if outbound.get("resolvers") and outbound.get("trusted_resolvers"):
        # Whoever silences those that prove what they say would be believed in their place.
        expected = "nothing, as outbound.resolvers is set: either these are asked or those"
        yield "outbound.trusted_resolvers", "a value", expected
    logins = outbound.get("logins")
    known = set(_login_names(logins)) if isinstance(logins, Mapping) else set()
    for key in ("smart_host_password", "smart_host_password_file"):
        if outbound.get(key):
            # It is the first one's, or another server would be told a password that is not for it.
            users = filter(None, map(_logins_of, _chain(outbound.get("smart_host"))))
            user = next(users, ())[:1]
            known.update(user)
            if not user:
                expected = "nothing, as no server in outbound.smart_host names its user"
                yield f"outbound.{key}", "a value", expected
    yield from _twice(outbound)
    for key, chain in _chains(outbound):
        for url in chain:
            names = _logins_of(url)
            if names and known.isdisjoint(names):
                if key == "outbound.smart_host" and url == next(iter(chain)):
                    missing = "outbound.smart_host_password_file"
                    expected = "a file with the password of the user in outbound.smart_host"
                else:
                    missing = f'outbound.logins."{names[1]}".password_file'
                    expected = f"a file with the password of the user in {key}"
                yield missing, "nothing", expected
    for name, section in logins.items() if isinstance(logins, Mapping) else ():
        if not isinstance(section, Mapping):
            continue
        ways = [way for way in ("password", "password_file") if section.get(way)]
        if len(ways) != 1:
            found = "both password and password_file" if ways else "neither of them"
            yield f'outbound.logins."{name}"', found, "either password or password_file"


def _twice(outbound: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The same name in other letters: one of the two tables would be lost without a word."""
    for table in ("destinations", "senders"):
        sections = outbound.get(table)
        seen: set[str] = set()
        for name in sections if isinstance(sections, Mapping) else ():
            if str(name).casefold() in seen:
                yield f'outbound.{table}."{name}"', "it in other letters too", "it once"
            seen.add(str(name).casefold())


def _chains(outbound: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    yield "outbound.smart_host", _chain(outbound.get("smart_host"))
    for table, key in (("destinations", "next_hop"), ("senders", "smart_host")):
        sections = outbound.get(table)
        for name, section in sections.items() if isinstance(sections, Mapping) else ():
            if isinstance(section, Mapping):
                yield f'outbound.{table}."{name}".{key}', _chain(section.get(key))


def _chain(value: object) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [each for each in values if isinstance(each, str)]


def _logins_of(url: str) -> tuple[str, ...]:
    try:
        return parse_next_hop(url).login_names
    except NextHopSyntax:
        return ()  # said already


def _login_names(logins: Iterable[object]) -> Iterator[str]:
    for each in logins:
        with suppress(NextHopSyntax):
            yield login_name(str(each))
