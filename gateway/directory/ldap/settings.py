"""What the LDAP directory must be told, and the checks that need no server.

Owns defaults with their reasons and the rule that passwords travel encrypted (SECURITY L8): each
URI is ``ldaps://``, or ``ldap://`` with StartTLS, or ``ldap://`` in clear text to this machine
itself, or clear text because somebody has allowed it by name. Never opens a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.hosts import is_loopback
from gateway.directory.ldap.opening import Place, Security

SOURCE = "configuration"

# A name in ASCII (A-labels for others), an IPv4 or an IPv6 address.
_HOST = re.compile(r"[0-9A-Za-z._:-]+\Z")


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """Where the directory is and how to ask it.

    Args:
        uris: servers, the best first.
        base_dn: where people are searched, whole subtree.
        domain: more servers are found by its SRV records, after those of ``uris``.
        site: of Active Directory, whose servers go first among those.
        bind_dn: the service account that searches; empty: searches are anonymous.
        bind_password: the service account's.
        bind_method: ``external``: the service account is who the client certificate names.
        ca_file: PEM file of the authorities that may sign the servers' certificates; None: the
            system's.
        client_certificate, client_key: PEM files, for servers that ask.
        tls_server_name: that every server's certificate must carry; empty: its own name.
        start_tls: switch ``ldap://`` connections to TLS before anything else.
        allow_clear_text: let passwords travel unencrypted to other machines.
        connect_timeout_s: for one connection, for its bind as well; a live server in the house
            accepts in milliseconds, and the next one must still get its turn.
        operation_timeout_s: for a whole lookup or login, failover included; less than what mail
            clients wait.
        idle_limit_s: a connection that was idle for longer is not used again; Active Directory
            and firewalls drop them from 300 s on, without a word.
        connections: kept to each server; many searches go over one at a time.
        running: searches under way at one server.
        waiting: how many more may wait.
        refused_pause_s: how long the service account is left alone after a server refused its
            password, so that it does not get locked (SECURITY L22); longer each time.
        reply_limit_octets: of one answer, and of one message of an answer: an entry may be a group
            of a hundred thousand.
        listing_limit_octets: of one message where whole directories are listed, one at a time.
    """

    uris: tuple[str, ...]
    base_dn: str
    domain: str = ""
    site: str = ""
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    bind_method: Literal["simple", "external"] = "simple"
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    tls_server_name: str = ""
    start_tls: bool = False
    allow_clear_text: bool = False
    connect_timeout_s: float = 3.0
    operation_timeout_s: float = 8.0
    idle_limit_s: float = 240.0
    connections: int = 4
    running: int = 128
    waiting: int = 256
    refused_pause_s: float = 30.0
    reply_limit_octets: int = 8 * 1024 * 1024
    listing_limit_octets: int = 64 * 1024 * 1024

    @property
    def security(self) -> Security:
        """Of ``ldap://`` servers."""
        return Security.START_TLS if self.start_tls else Security.CLEAR

    def places(self) -> tuple[Place, ...]:
        """The servers of ``uris``. Raises: ValueError."""
        return tuple(self._place(parse_uri(text)) for text in self.uris)

    def _place(self, uri: LdapUri) -> Place:
        security = Security.TLS if uri.implicit_tls else self.security
        return Place(uri.text, uri.host, uri.port, security, self.tls_server_name or uri.host)

    def needs_tls(self) -> bool:
        return bool(self.domain) or any(
            place.security is not Security.CLEAR for place in self.places()
        )

    def check(self) -> None:
        """Raises: SettingsError, with all mistakes that can be seen without files and servers."""
        problems = list(_problems(self))
        if problems:
            raise SettingsError(problems)


@dataclass(frozen=True, slots=True)
class LdapUri:
    """One server of the list. ``text`` is the URI as configured."""

    text: str
    host: str
    port: int
    implicit_tls: bool


def parse_uri(text: str) -> LdapUri:
    """A server's URI: ``ldap://host[:port]`` or ``ldaps://host[:port]``, nothing behind it.

    Raises:
        ValueError: says what is wrong.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("ldap", "ldaps"):
        raise ValueError("ldap:// or ldaps://")
    host = parts.hostname or ""
    if not _HOST.match(host) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("a host, a port at most, and nothing behind them")
    if parts.username is not None:
        raise ValueError("no user name; bind_dn has its own setting")
    implicit_tls = parts.scheme == "ldaps"
    try:
        port = parts.port
    except ValueError:
        raise ValueError("a port from 1 to 65535") from None
    if port == 0:
        raise ValueError("a port from 1 to 65535")
    return LdapUri(text, host, port or (636 if implicit_tls else 389), implicit_tls)


def _problem(key: str, found: str, expected: str) -> SettingsProblem:
    return SettingsProblem(SOURCE, f"directory.{key}", found, expected)


def _problems(settings: LdapSettings) -> Iterator[SettingsProblem]:
    if not settings.uris and not settings.domain:
        yield _problem("uri", "none", "at least one ldaps:// or ldap:// URI, or a domain")
    for text in settings.uris:
        yield from _uri_problems(text, settings)
    if settings.domain and not settings.start_tls and not settings.allow_clear_text:
        expected = "start_tls, or allow_clear_text (passwords can be read on the way)"
        yield _problem("domain", f"{settings.domain} without TLS", expected)
    if not settings.base_dn.strip():
        yield _problem("base_dn", "empty", "a DN such as dc=example,dc=com")
    if settings.bind_method == "external":
        if settings.client_certificate is None:
            yield _problem("client_certificate", "none", "a certificate for bind_method external")
    elif settings.bind_dn and not settings.bind_password:
        # It would be an unauthenticated bind (RFC 4513 section 5.1.2), which looks like a success.
        yield _problem("bind_password", "empty", "the password of bind_dn")
    if settings.bind_password and not settings.bind_dn:
        yield _problem("bind_dn", "empty", "the account of bind_password")
    for name in ("connect_timeout_s", "operation_timeout_s", "idle_limit_s", "connections"):
        value = getattr(settings, name)
        if value <= 0:
            yield _problem(name, str(value), "more than 0")


def _uri_problems(text: str, settings: LdapSettings) -> Iterator[SettingsProblem]:
    try:
        uri = parse_uri(text)
    except ValueError as error:
        yield _problem("uri", repr(text), str(error))
        return
    encrypted = uri.implicit_tls or settings.start_tls
    if not encrypted and settings.bind_method == "external":
        yield _problem("uri", f"{text} without TLS", "TLS, as bind_method external shows it")
    elif not encrypted and not is_loopback(uri.host) and not settings.allow_clear_text:
        expected = "ldaps://, or start_tls, or allow_clear_text (passwords can be read on the way)"
        yield _problem("uri", f"{text} without TLS", expected)
