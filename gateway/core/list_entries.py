"""What an entry of an allow or deny list may be, and which entries somebody is found under.

Owns both halves: an entry's text becomes a key, and an address or name becomes the keys that would
match it. So a list is a set of keys, and asking it costs a few look-ups, however long it is. Never
reads a file and never asks DNS.

Entries by kind: addresses and networks (``ip``); ``example.com`` or ``.example.com``, which is all
below it (``host_name``, ``helo``); these two, ``user@example.com``, ``user@`` for all domains and
``<>`` for the null sender (``sender``, ``recipient``); a login name or an address (``login``).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterator

from gateway.core.address import Address
from gateway.core.hosts import parse_ip

Key = str | bytes
"""Text for names; for networks the packed address and, in the last octet, the prefix length."""

MAX_ENTRY = 400
_DOMAIN = re.compile(r"\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?\Z", re.ASCII)
_EXPECTED = {
    "ip": 'an address or a network such as "192.0.2.0/24" or "2001:db8::/32"',
    "name": 'a domain such as "example.com", or ".example.com" for all below it',
    "mail": 'an address, "user@", a domain such as "example.com", or ".example.com" for all below',
    "login": "a login name or an address",
}


def key_of(of: str, entry: str) -> Key:
    """The key of an entry. Raises: ValueError with what is expected."""
    if of == "ip":
        return _network(entry)
    text = entry.casefold()
    if len(text) > MAX_ENTRY:
        raise ValueError(f"at most {MAX_ENTRY} characters")
    if of in ("host_name", "helo"):
        if _DOMAIN.match(text) or (of == "helo" and text[:1] == "[" and text[-1:] == "]"):
            return text.rstrip(".")
        raise ValueError(_EXPECTED["name"])
    if of == "login":
        if text and text.isprintable() and " " not in text:
            return text
        raise ValueError(_EXPECTED["login"])
    local, at, domain = text.rpartition("@")
    if at:
        if local and local.isprintable() and (not domain or _is_domain(domain)):
            return text
    elif text == "<>" or _is_domain(text):
        return text.rstrip(".")
    raise ValueError(_EXPECTED["mail"])


def _is_domain(text: str) -> bool:
    return not text.isascii() or bool(_DOMAIN.match(text)) or text[:1] == "["


def _network(entry: str) -> bytes:
    # A million of these are read at a time; ``ipaddress`` takes ten times as long.
    text, slash, length = entry.partition("/")
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
        bits = 8 * len(packed)
        prefix = int(length) if slash else bits
        if (slash and not (length.isascii() and length.isdigit())) or prefix > bits:
            raise ValueError
    except (OSError, ValueError):
        raise ValueError(_EXPECTED["ip"]) from None
    if packed[:12] == b"\0" * 10 + b"\xff\xff" and prefix >= 96:  # ::ffff:192.0.2.1
        packed, bits, prefix = packed[12:], 32, prefix - 96
    if prefix < bits and int.from_bytes(packed) & ((1 << (bits - prefix)) - 1):
        raise ValueError(f"{_EXPECTED['ip']}, without bits behind its length")
    return packed + bytes((prefix,))


def keys_for_ip(ip: str, lengths: Collection[tuple[int, int]]) -> Iterator[tuple[Key, str]]:
    """Keys of the networks that an address is in, each with its text; the smallest first.

    Args:
        lengths: of what the list holds: octets of an address, and prefix length.
    """
    address = parse_ip(ip)
    if address is None:
        return
    packed = address.packed
    bits, number = 8 * len(packed), int(address)
    for octets, prefix in sorted(lengths, reverse=True):
        if octets == len(packed):
            rest = bits - prefix
            masked = (number >> rest << rest).to_bytes(octets)
            yield masked + bytes((prefix,)), _text(masked, prefix, bits)


def _text(packed: bytes, prefix: int, bits: int) -> str:
    text = socket.inet_ntop(socket.AF_INET if bits == 32 else socket.AF_INET6, packed)
    return text if prefix == bits else f"{text}/{prefix}"


def keys_for_name(name: str) -> Iterator[tuple[Key, str]]:
    """Keys that match a host name or domain."""
    name = name.casefold().rstrip(".")
    if not name or len(name) > MAX_ENTRY:
        return
    yield name, name
    at = name.find(".", 1)
    while at >= 0:
        yield name[at:], name[at:]
        at = name.find(".", at + 1)


def keys_for_address(address: Address | None) -> Iterator[tuple[Key, str]]:
    """Keys that match a sender or recipient; None is the null sender."""
    if address is None:
        yield "<>", "<>"
        return
    key = address.key
    if len(key) <= MAX_ENTRY:
        yield key, key
        local = address.local_part.casefold() + "@"
        yield local, local
    yield from keys_for_name(address.domain)
