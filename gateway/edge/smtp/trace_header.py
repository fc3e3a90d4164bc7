"""The fields put before a message that was received by SMTP: Return-Path, Delivered-To, Received,
and the one in which checks tell what they found.

Owns their form (RFC 5321 section 4.4). Everything the client chose is made harmless first: the HELO
name cannot end a line, open a comment or forge a clause (SECURITY S9).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from gateway.core.address import Address, path
from gateway.core.hosts import parse_ip

_NOT_IN_HOST_NAMES = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_NOT_IN_LOGINS = re.compile(r"[^A-Za-z0-9._@+-]")
MAX_HOST_LENGTH = 255
MAX_TAG_LENGTH = 200
MAX_TAGS = 20
_NOT_IN_TAGS = re.compile(r"[^ -~]+|;")


def return_path(sender: str) -> bytes:
    """For local copies only (section 4.4: added at final delivery). ``sender``: in brackets."""
    return f"Return-Path: {sender}\r\n".encode()


def delivered_to(recipient: Address) -> bytes:
    """For whom the message came (RFC 9228). Never where several were named: a copy must not show
    the others."""
    return f"Delivered-To: {recipient}\r\n".encode()


def policy_field(tags: Sequence[str]) -> bytes:
    """What checks found, one to a line; nothing where they found nothing. It goes above Received,
    so that one which a stranger has sent stands below and can be told apart."""
    if not tags:
        return b""
    clean = [_NOT_IN_TAGS.sub("?", tag[:MAX_TAG_LENGTH]).strip() for tag in tags[:MAX_TAGS]]
    value = ";\r\n\t".join(tag for tag in clean if tag)
    return f"X-Gateway-Policy: {value}\r\n".encode("ascii") if value else b""


def protocol_name(
    *, esmtp: bool, tls: bool, authenticated: bool, lmtp: bool = False, utf8: bool = False
) -> str:
    """The ``with`` clause (RFC 3848; RFC 6531 section 4.3); plain SMTP has no variants."""
    if not esmtp:
        return "SMTP"
    name = "LMTP" if lmtp else "SMTP" if utf8 else "ESMTP"
    return ("UTF8" if utf8 else "") + name + ("S" if tls else "") + ("A" if authenticated else "")


def received(
    *,
    host: str,
    peer_ip: str,
    hostname: str,
    protocol: str,
    ingest_id: str,
    recipient: Address | None,
    at: float,
    login: str = "",
    priority: int = 0,
) -> bytes:
    """The Received field.

    Args:
        host: as claimed by the client in EHLO.
        peer_ip: as the connection has it.
        hostname: ours.
        protocol: from ``protocol_name``.
        recipient: None unless there was just one: a copy must not show the others (section 7.2).
            Left out if it is not ASCII: mail to it may be forwarded to a server without SMTPUTF8,
            which would take the message but for this field.
        at: Unix time.
        login: who was logged in, if it is to be shown.
        priority: as it is from here on; the clause is RFC 6710's (registered in its section 10).
    """
    known = f"\r\n\t(logged in: {_NOT_IN_LOGINS.sub('?', login)})" if login else ""
    shown = path(recipient) if recipient is not None else ""
    clauses = f"\r\n\tfor {shown}" if shown and shown.isascii() else ""
    if priority:
        clauses += f" PRIORITY {priority}"
    return (
        f"Received: from {_client(host, peer_ip)}{known}\r\n"
        f"\tby {hostname} with {protocol} id {ingest_id}{clauses};\r\n"
        f"\t{date_time(int(at))}\r\n"
    ).encode()


@lru_cache(maxsize=1024)  # the same few peers send message after message
def _client(host: str, peer_ip: str) -> str:
    """From-domain: what the client calls itself, made harmless, and where it really is."""
    claimed = _NOT_IN_HOST_NAMES.sub("?", host[:MAX_HOST_LENGTH]) or "unknown"
    return f"{claimed} ({address_literal(peer_ip)})"


def address_literal(peer_ip: str) -> str:
    """The peer as section 4.1.3 writes it."""
    address = parse_ip(peer_ip)
    if address is None:
        return "local"
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"


@lru_cache(maxsize=1)  # many messages a second
def date_time(at: int) -> str:
    """RFC 5322 section 3.3, in UTC."""
    return format_datetime(datetime.fromtimestamp(at, UTC))
