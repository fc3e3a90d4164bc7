"""The header of the PROXY protocol, versions 1 and 2: who is connected to the proxy before us.

Owns the grammar of HAProxy's "The PROXY protocol" (2020/03/05) and nothing else. The caller feeds
what has arrived so far; the header is read whole or not at all. Extra fields (TLVs) are skipped.

Limits: MAX_OCTETS; a longer header is refused before it is buffered.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

MAX_OCTETS = 4096
"""Version 1 has at most 107 (section 2.1); version 2 addresses 36, and room for extra fields."""

_V1_MAX_OCTETS = 107
_V1_START = b"PROXY "
_V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD = struct.Struct(">12sBBH")
# Address family and transport (section 2.2): TCP over IPv4 and IPv6, the address and port struct.
_V2_FORMS = {0x11: struct.Struct(">4s4sHH"), 0x21: struct.Struct(">16s16sHH")}


class NotProxied(ValueError):
    """The octets are no header. The text is fixed, so it is safe for logs."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A header that was read whole.

    Args:
        size_octets: of the header; the client's own octets follow.
        source: textual address and port of the client; None when the proxy speaks for itself
            (LOCAL, a health check) or does not know.
        target: where the client connected to.
    """

    size_octets: int
    source: tuple[str, int] | None = None
    target: tuple[str, int] | None = None


def parse_header(data: bytes) -> ProxyHeader | None:
    """The header at the start of ``data``; None when more is needed.

    Raises:
        NotProxied: whatever follows, this is no header.
    """
    if data[: len(_V1_START)] == _V1_START[: len(data)]:
        return _parse_v1(data)
    if data[: len(_V2_SIGNATURE)] == _V2_SIGNATURE[: len(data)]:
        return _parse_v2(data)
    raise NotProxied("no PROXY protocol header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_MAX_OCTETS)
    if end < 0:
        if len(data) >= _V1_MAX_OCTETS:
            raise NotProxied("PROXY line too long")
        return None
    words = data[:end].split(b" ")
    size_octets = end + 2
    # Section 2.1: what follows UNKNOWN must be ignored.
    if words[1] == b"UNKNOWN":
        return ProxyHeader(size_octets)
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise NotProxied("malformed PROXY line")
    try:
        version = 4 if words[1] == b"TCP4" else 6
        source = _address(words[2].decode("ascii"), version), _port(words[4])
        target = _address(words[3].decode("ascii"), version), _port(words[5])
    except ValueError:
        raise NotProxied("malformed address in PROXY line") from None
    return ProxyHeader(size_octets, source, target)


def _address(text: str, version: int) -> str:
    address = ipaddress.ip_address(text)
    if address.version != version:
        raise ValueError(text)
    return str(address)


def _port(text: bytes) -> int:
    if not text.isdigit() or len(text) > 5 or int(text) > 65535:
        raise ValueError(text)
    return int(text)


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_HEAD.size:
        return None
    _, version_and_command, form, length = _V2_HEAD.unpack_from(data)
    size_octets = _V2_HEAD.size + length
    if version_and_command >> 4 != 2 or version_and_command & 15 > 1:
        raise NotProxied("unknown version or command in PROXY header")
    if size_octets > MAX_OCTETS:
        raise NotProxied("PROXY header too long")
    if len(data) < size_octets:
        return None
    if version_and_command & 15 == 0:  # LOCAL: the proxy itself
        return ProxyHeader(size_octets)
    addresses = _V2_FORMS.get(form)
    if addresses is None:  # section 2.2: other families are accepted, their addresses ignored
        return ProxyHeader(size_octets)
    if length < addresses.size:
        raise NotProxied("PROXY header without addresses")
    source, target, source_port, target_port = addresses.unpack_from(data, _V2_HEAD.size)
    return ProxyHeader(
        size_octets,
        (str(ipaddress.ip_address(source)), source_port),
        (str(ipaddress.ip_address(target)), target_port),
    )
