"""Checks of single values. Each raises ValueError with what is expected, for the error line."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sized
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.core.next_hop import BY_MX, MAX_CHAIN, NextHopSyntax, login_name, parse_next_hop

Items = TypeVar("Items", bound=Sized)

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z")
_HOST = re.compile(r"[a-z0-9._:-]+")  # as urlsplit gives it: lower case, without brackets
_RDN = re.compile(r"[A-Za-z0-9.-]+\s*=\s*[^,]+\Z")

_SOLICITATION_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9._:-]{0,99}\Z")
_NETWORK_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}\Z")
MAX_WORKERS = 64


def domain(value: str) -> str:
    """A domain name in lower case without trailing dot (RFC 1035 section 2.3.1)."""
    name = value.lower()
    labels = name.split(".")
    # The last label with digits only is an IPv4 address (RFC 1123 section 2.1), which is no domain.
    if len(name) > 253 or not all(map(_LABEL.match, labels)) or labels[-1].isdigit():
        raise ValueError('a domain name such as "mail.example.com" (non-ASCII as xn--…)')
    return name


def host_or_nothing(value: str) -> str:
    """The name of a host or a domain, or nothing."""
    return domain(value) if value else value


def site_name(value: str) -> str:
    """A site of Active Directory, which is one label in its names in DNS; or nothing."""
    if value and not _LABEL.match(value.lower()):
        raise ValueError('the name of a site such as "Berlin"')
    return value


def host_port(value: str) -> str:
    """``address:port`` with an IP address (brackets around IPv6) and a port of 1 to 65535."""
    expected = 'an IP address and port such as "0.0.0.0:25" or "[::]:25"'
    host, colon, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(expected) from None
    if not colon or (address.version == 6) != bracketed:
        raise ValueError(expected)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(expected)
    return value


def split_host_port(value: str) -> tuple[str, int]:
    """The parts of a value that ``host_port`` accepted, without brackets."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


def network(value: str) -> str:
    """A CIDR network or address, or a name that stands for some."""
    if _NETWORK_NAME.match(value):
        return value
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        expected = 'a name of [networks], an address, or a network such as "10.0.0.0/8"'
        raise ValueError(expected) from None


def reply_text(value: str) -> str:
    """What may stand in a reply (RFC 5321 section 4.2) beside a host name."""
    if len(value) > 200 or not re.fullmatch(r"[ -~]*", value):
        raise ValueError("at most 200 printable ASCII characters")
    return value


def solicitation_class(value: str) -> str:
    """One keyword of RFC 3865 section 2.2, in lower case."""
    if not _SOLICITATION_CLASS.match(value):
        raise ValueError('a class such as "net.example:ADV"')
    return value.lower()


def _server_url(value: str, schemes: tuple[str, ...], *, expected: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(expected) from None
    wrong = (
        parts.scheme not in schemes
        or not _HOST.fullmatch(parts.hostname or "")
        or parts.path not in ("", "/")
        or parts.query
        or "#" in value
        or port == 0
        or parts.username is not None
    )
    if wrong:
        raise ValueError(expected)
    return value


def _mail_server(value: str, expected: str, *, lmtp: bool, user: bool) -> str:
    try:
        hop = parse_next_hop(value)
    except NextHopSyntax as wrong:
        why = f" ({wrong})" if "://" in value and str(wrong) not in expected else ""
        raise ValueError(f"{expected}{why}") from None
    if (hop.lmtp and not lmtp) or (hop.user and not user):
        raise ValueError(expected)
    return value


def relay_url(value: str) -> str:
    """A server that known recipients' mail is passed to, or ``mx``."""
    if value == BY_MX:
        return value
    expected = (
        'a server such as "smtp://exchange.example.com:25", "lmtp://…" or "lmtp+unix:///run/lmtp",'
        ' or "mx"'
    )
    return _mail_server(value, f"{expected}, without user", lmtp=True, user=False)


def next_hop_url(value: str) -> str:
    """A server that a domain's mail is sent to, or ``mx``."""
    if value == BY_MX:
        return value
    expected = (
        'a server such as "smtp://relay.example.net:25", "smtps://…", "lmtp://…",'
        ' "lmtp+unix:///run/lmtp", or "mx"'
    )
    return _mail_server(value, expected, lmtp=True, user=True)


def smart_host_url(value: str) -> str:
    """A server that takes mail for anywhere."""
    expected = (
        'a server such as "smtps://user@relay.example.net:465"; '
        "the password goes into smart_host_password_file"
    )
    return _mail_server(value, expected, lmtp=False, user=True)


def chain(value: tuple[str, ...]) -> tuple[str, ...]:
    """Servers, each checked already."""
    if len(value) > MAX_CHAIN or (BY_MX in value and len(value) > 1):
        raise ValueError(f'at most {MAX_CHAIN} servers; "mx" only alone')
    return value


def destination_name(value: str) -> str:
    """A recipient domain, or ``*.`` and one for all below it."""
    host = value[2:] if value.startswith("*.") else value
    try:
        return value[: -len(host)] + domain(host)
    except ValueError:
        raise ValueError('a domain such as "example.net", or "*.example.net"') from None


def sender_name(value: str) -> str:
    """An address, or ``@`` and a domain for everybody there."""
    try:
        return "@" + domain(value[1:]) if value.startswith("@") else mail_address(value)
    except ValueError:
        raise ValueError('"sales@example.com", or "@example.com"') from None


def login_at_host(value: str) -> str:
    """A user at a server, as in its URL."""
    try:
        login_name(value)
    except NextHopSyntax:
        expected = 'a user and a server as in the URL: "user@relay.example.net"'
        raise ValueError(expected) from None
    return value


def https_url(value: str) -> str:
    """Where something is asked over HTTPS, or nothing."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "https" and bool(_HOST.fullmatch(parts.hostname or ""))
        usable = usable and parts.username is None and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if value and not (usable and value.isascii() and value.isprintable() and " " not in value):
        raise ValueError('an address such as "https://login.example.com/introspect"')
    return value


def server_name(value: str) -> str:
    """A name that clients ask for by SNI (RFC 6066 section 3), or ``*.`` and a domain."""
    host = value[2:] if value.startswith("*.") else value
    try:
        domain(host)
    except ValueError:
        expected = 'a host name such as "mail.example.com", or "*.example.com"'
        raise ValueError(expected) from None
    return value.lower()


def file_name(value: str) -> str:
    """The name of a file that must be given."""
    if not value.strip():
        raise ValueError("the path of a file")
    return value


def ldap_uri(value: str) -> str:
    """An LDAP server (RFC 4516 without DN and query)."""
    expected = 'an LDAP server such as "ldaps://dc1.example.com" or "ldap://dc1.example.com:389"'
    return _server_url(value, ("ldap", "ldaps"), expected=expected)


def distinguished_name(value: str) -> str:
    """A DN (RFC 4514); only its shape is checked here, the server knows the rest."""
    if value and not all(_RDN.match(part.strip()) for part in re.split(r"(?<!\\),", value)):
        raise ValueError('a distinguished name such as "dc=example,dc=com"')
    return value


def mail_address(value: str) -> str:
    """A mail address, or nothing; only its shape is checked here."""
    local, _, host = value.rpartition("@")
    if value and not (local and value.isprintable() and " " not in value):
        raise ValueError('a mail address such as "alice@example.com"')
    if value:
        domain(host)
    return value


def sender_pattern(value: str) -> str:
    """An address, or ``*@domain`` for all of a domain; in lower case."""
    try:
        # No other pattern is known, and nobody's address would ever be equal to it.
        if not value or ("*" in value and not value.startswith("*@")):
            raise ValueError
        return mail_address(value).lower()
    except ValueError:
        expected = 'an address such as "sales@example.com", or "*@example.com"'
        raise ValueError(expected) from None


def workers(value: object) -> object:
    """How many processes serve."""
    number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WORKERS
    if not number and value != "auto":
        raise ValueError(f'"auto" or a number from 1 to {MAX_WORKERS}')
    return value


def given(value: str) -> str:
    """A text that must say something."""
    if not value.strip():
        raise ValueError("the path of a folder")
    return value


def not_empty(value: Items) -> Items:
    """A list or table that must say something; its items have been checked already."""
    if not len(value):
        raise ValueError("at least one entry")
    return value
