"""What the LDAP directory must be told, and the checks that need no server.

Owns defaults with their reasons and the rule that passwords travel encrypted (SECURITY L8): each
URI is ``ldaps://``, or ``ldap://`` with StartTLS, or ``ldap://`` in clear text to this machine
itself, or clear text because somebody has allowed it by name. Never opens a connection.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.hosts import is_loopback
from gateway.directory.schema import OPENLDAP, Schema

SOURCE = "directory"

# A name in ASCII (A-labels for others), an IPv4 or an IPv6 address.
_HOST = re.compile(r"[0-9A-Za-z._:-]+\Z")


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """Where the directory is and how to ask it.

    Args:
        uris: servers, tried in this order.
        base_dn: where people are searched, whole subtree.
        bind_dn: the service account that searches; empty: searches are anonymous.
        bind_password: the service account's.
        ca_file: PEM file of the authorities that may sign the servers' certificates; None: the
            system's.
        start_tls: switch ``ldap://`` connections to TLS before anything else.
        allow_clear_text: let passwords travel unencrypted to other machines.
        schema: attributes and filters.
        connect_timeout_s: for one address of one server; a live server in the house accepts in
            milliseconds, and the next one must still get its turn.
        operation_timeout_s: for a whole lookup or login, failover included; less than what mail
            clients wait.
        idle_limit_s: a connection that was idle for longer is not used again; Active Directory
            and firewalls drop them from 300 s on, without a word.
        threads: lookups and logins at once; each has one connection to a server.
        waiting: how many more may wait.
        refused_pause_s: how long the service account is left alone after the server refused its
            password, so that it does not get locked (SECURITY L22).
    """

    uris: tuple[str, ...]
    base_dn: str
    bind_dn: str = ""
    bind_password: str = field(default="", repr=False)
    ca_file: Path | None = None
    start_tls: bool = False
    allow_clear_text: bool = False
    schema: Schema = OPENLDAP
    connect_timeout_s: float = 3.0
    operation_timeout_s: float = 8.0
    idle_limit_s: float = 240.0
    threads: int = 8
    waiting: int = 256
    refused_pause_s: float = 30.0
    reply_limit_octets: int = 1024 * 1024


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


def tls_context(settings: LdapSettings) -> ssl.SSLContext | None:
    """Certificates are required and must carry the host's name as subjectAltName (SECURITY L7).

    None when no server is asked over TLS.

    Raises:
        OSError: the CA file cannot be read or holds no certificate (ssl.SSLError is an OSError).
    """
    if not settings.start_tls and not any(parse_uri(uri).implicit_tls for uri in settings.uris):
        return None
    cafile = str(settings.ca_file) if settings.ca_file is not None else None
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=cafile)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    return context


def checked_tls_context(settings: LdapSettings) -> ssl.SSLContext | None:
    """The context for settings in which every mistake that can be seen without a server is absent.

    Raises:
        SettingsError: with all mistakes found.
    """
    problems = list(_problems(settings))
    context = None
    if not any(problem.key == "uri" for problem in problems):
        try:
            context = tls_context(settings)
        except OSError as error:
            found = f"{settings.ca_file}: {error.strerror or error}"
            expected = "a PEM file with CA certificates"
            problems.append(SettingsProblem(SOURCE, "ca_file", found, expected))
    if problems:
        raise SettingsError(problems)
    return context


def _problems(settings: LdapSettings) -> Iterator[SettingsProblem]:
    if not settings.uris:
        yield SettingsProblem(SOURCE, "uri", "none", "at least one ldaps:// or ldap:// URI")
    for text in settings.uris:
        yield from _uri_problems(text, settings)
    if not settings.base_dn.strip():
        yield SettingsProblem(SOURCE, "base_dn", "empty", "a DN such as dc=example,dc=com")
    if settings.bind_dn and not settings.bind_password:
        # It would be an unauthenticated bind (RFC 4513 section 5.1.2), which looks like a success.
        yield SettingsProblem(SOURCE, "bind_password", "empty", "the password of bind_dn")
    if settings.bind_password and not settings.bind_dn:
        yield SettingsProblem(SOURCE, "bind_dn", "empty", "the account of bind_password")
    for name in ("connect_timeout_s", "operation_timeout_s", "idle_limit_s", "threads"):
        value = getattr(settings, name)
        if value <= 0:
            yield SettingsProblem(SOURCE, name, str(value), "more than 0")


def _uri_problems(text: str, settings: LdapSettings) -> Iterator[SettingsProblem]:
    try:
        uri = parse_uri(text)
    except ValueError as error:
        yield SettingsProblem(SOURCE, "uri", repr(text), str(error))
        return
    if uri.implicit_tls and settings.start_tls:
        expected = "ldaps:// without start_tls, or ldap:// with it"
        yield SettingsProblem(SOURCE, "uri", f"{text} with start_tls", expected)
    encrypted = uri.implicit_tls or settings.start_tls
    if not encrypted and not is_loopback(uri.host) and not settings.allow_clear_text:
        expected = "ldaps://, or start_tls, or allow_clear_text (passwords can be read on the way)"
        yield SettingsProblem(SOURCE, "uri", f"{text} without TLS", expected)
