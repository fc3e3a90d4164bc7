"""Under what failed logins are counted: names as typed, brought to one form, and networks.

Owns which spellings are one login. Never asks a directory: a key that needed one would tell by what
is counted together which names belong to one person (SECURITY A6).
"""

from __future__ import annotations

import ipaddress
import unicodedata
from functools import lru_cache

from gateway.core.hosts import parse_ip

MAX_CHARACTERS = 1024
_IPV4_LENGTHS = (32, 26, 21)
_IPV6_LENGTHS = (64, 48, 40)


def typed_name(login: str) -> str:
    """One form for all spellings that a directory takes for the same login (SECURITY L4)."""
    text = unicodedata.normalize("NFKC", login[:MAX_CHARACTERS]).casefold()
    # Folding may leave what NFKC would compose; directories squeeze blanks (RFC 4518 section 2.6).
    return " ".join(unicodedata.normalize("NFKC", text).split())


def counted_name(login: str) -> str:
    """Coarser, for counting: people with several names mostly have them as ``alice`` and
    ``alice@domain``, and a directory that ignores accents takes ``àlice`` for alice.

    Strangers who share this name share a count that locks nobody out.
    """
    local_part = typed_name(login).rpartition("@")[0] or typed_name(login)
    apart = unicodedata.normalize("NFKD", local_part)
    return "".join(each for each in apart if not unicodedata.combining(each))


@lru_cache(maxsize=1024)  # as for parse_ip
def networks_of(ip: str) -> tuple[str, ...]:
    """The address (IPv6: its /64, RFC 6177) and the networks around it, narrow to wide."""
    address = parse_ip(ip)
    if address is None:
        return ()
    if isinstance(address, ipaddress.IPv4Address):
        around = (ipaddress.ip_network((int(address), n), strict=False) for n in _IPV4_LENGTHS)
        return tuple(map(str, around))
    return tuple(str(ipaddress.IPv6Network((int(address), n), strict=False)) for n in _IPV6_LENGTHS)
