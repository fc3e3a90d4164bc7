"""The argument of XCLIENT, with which a trusted proxy says who its client is (Postfix).

Owns the syntax: ``attribute=value`` with values in xtext. Who may say it is decided elsewhere.
Every value is checked here for what it claims to be, as it will stand in logs and trace fields.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from gateway.wire.smtp_commands import SyntaxRefused, Xclient
from gateway.wire.smtp_replies import BAD_XCLIENT
from gateway.wire.xtext import decode_xtext

_UNKNOWN = (b"[UNAVAILABLE]", b"[TEMPUNAVAIL]")
_HOST = re.compile(r"[!-~]{1,255}\Z")
_NOT_IN_HOST = re.compile(r"[^!-~]")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_LOGIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,255}\Z")


def _host(text: str) -> str:
    text = _NOT_IN_HOST.sub("?", text)  # as in EHLO: clients claim all sorts of names
    if not _HOST.match(text):
        raise ValueError(text)
    return text


def _ip(text: str) -> str:
    if text[:5].upper() == "IPV6:":
        address = ipaddress.IPv6Address(text[5:])
        if address.scope_id is not None:
            raise ValueError(text)
        return str(address)
    return str(ipaddress.IPv4Address(text))


def _port(text: str) -> int:
    port = int(text) if _PORT.match(text) else 0
    if not 0 < port < 65_536:
        raise ValueError(text)
    return port


def _protocol(text: str) -> str:
    if text.upper() not in ("SMTP", "ESMTP"):
        raise ValueError(text)
    return text.upper()


def _login(text: str) -> str:
    if not _LOGIN.match(text):
        raise ValueError(text)
    return text


_ATTRIBUTES: Mapping[str, tuple[str, Callable[[str], str | int]]] = {
    "NAME": ("name", _host),
    "ADDR": ("address", _ip),
    "PORT": ("port", _port),
    "PROTO": ("protocol", _protocol),
    "HELO": ("hello", _host),
    "LOGIN": ("login", _login),
    "DESTADDR": ("local_address", _ip),
    "DESTPORT": ("local_port", _port),
}

XCLIENT_ATTRIBUTES = " ".join(_ATTRIBUTES)
"""As EHLO shows them."""

_NUMBERS = ("port", "local_port")


def parse_xclient(text: bytes) -> Xclient:
    """The attributes, at least one, each once. Raises: SyntaxRefused."""
    fields: dict[str, str | int] = {}
    try:
        for word in filter(None, text.split(b" ")):
            name, equals, value = word.partition(b"=")
            field, read = _ATTRIBUTES[name.decode("ascii").upper()]
            if not equals or field in fields:
                raise ValueError(word)
            if value.upper() in _UNKNOWN:
                fields[field] = 0 if field in _NUMBERS else ""
            else:
                fields[field] = read(decode_xtext(value).decode())
    except (ValueError, KeyError):
        raise SyntaxRefused(BAD_XCLIENT) from None
    if not fields:
        raise SyntaxRefused(BAD_XCLIENT)
    return Xclient(**fields)  # type: ignore[arg-type]  # as _ATTRIBUTES reads each
