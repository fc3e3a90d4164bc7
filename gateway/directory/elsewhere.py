"""Where a person's mail goes, as their entry says: another server, another address, or both.

Owns the reading of these attributes at the border (SECURITY L25). What is there and cannot be used
is told as trouble, so that the mail waits: neither a mailbox here nor a refusal would be right. It
keeps nobody from logging in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.core.account import Elsewhere
from gateway.core.address import Address
from gateway.core.next_hop import NextHopSyntax, parse_next_hop
from gateway.directory.schema import Schema
from gateway.wire.address import AddressSyntax, parse_mailbox

MAX_OCTETS = 320

Attributes = Mapping[str, Sequence[bytes]]


def elsewhere_from(attributes: Attributes, schema: Schema) -> Elsewhere | None:
    """None where the entry says nothing of it."""
    server = _first(attributes, schema.next_hop_attributes)
    address = _first(attributes, schema.routing_address_attributes)
    if server is None and address is None:
        return None
    try:
        host, next_hop = _server(server) if server is not None else ("", "")
        return Elsewhere(host, next_hop, _address(address) if address is not None else None)
    except (ValueError, UnicodeError):
        names = (*schema.next_hop_attributes, *schema.routing_address_attributes)
        text = f"found no usable {' or '.join(names)}; expected one host name, and one address"
        return Elsewhere(trouble=text)


def _first(attributes: Attributes, names: Sequence[str]) -> Sequence[bytes] | None:
    return next(filter(None, (attributes.get(name.lower()) for name in names)), None)


def _text(values: Sequence[bytes]) -> str:
    """Raises: ValueError (values have no order, so none of several is the one)."""
    (octets,) = values
    if len(octets) > MAX_OCTETS:
        raise ValueError
    return octets.decode("ascii").strip()


def _server(values: Sequence[bytes]) -> tuple[str, str]:
    """Raises: ValueError."""
    text = _text(values)
    hop = parse_next_hop(text if "://" in text else f"smtp://{text}")
    if hop.user:
        raise NextHopSyntax("no user")
    return hop.host, str(hop)


def _address(values: Sequence[bytes]) -> Address:
    """Raises: ValueError."""
    (octets,) = values
    if len(octets) > MAX_OCTETS:
        raise ValueError
    address = parse_mailbox(octets.decode("utf-8").strip())
    if not address.domain:
        raise AddressSyntax("no domain")
    return address
