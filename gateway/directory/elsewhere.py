"""Where a person's mail goes, as their entry says: another server, another address, or copies.

Owns the reading of these attributes at the border (SECURITY L25). What is there and cannot be used
is told as trouble, so that the mail waits: neither a mailbox here nor a refusal would be right. It
keeps nobody from logging in.

Limits: MAX_FORWARDS addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.core.account import Elsewhere
from gateway.core.address import Address
from gateway.core.next_hop import NextHopSyntax, parse_next_hop
from gateway.directory.schema import Schema
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.ldap.filters import Filter, matches

MAX_OCTETS = 320
MAX_FORWARDS = 100

Attributes = Mapping[str, Sequence[bytes]]


def elsewhere_from(
    attributes: Attributes, schema: Schema, linked: Sequence[Sequence[str]] = ()
) -> Elsewhere | None:
    """None where the entry says nothing of it.

    Args:
        linked: the addresses of each entry that a forwarding link names; none of one that is not
            there.
    """
    server = _first(attributes, schema.next_hop_attributes)
    address = _first(attributes, schema.routing_address_attributes)
    forwards = tuple(_forwarding(attributes, schema)) if not linked else ()
    if server is None and address is None and not forwards and not linked:
        return None
    try:
        host, next_hop = _server(server) if server is not None else ("", "")
        moved_to = _only_address(address) if address is not None else None
    except (ValueError, UnicodeError):
        names = (*schema.next_hop_attributes, *schema.routing_address_attributes)
        text = f"found no usable {' or '.join(names)}; expected one host name, and one address"
        return Elsewhere(trouble=text)
    if (not forwards and not linked) or not _holds(schema.forwards, attributes):
        if server is None and address is None:
            return None
        return Elsewhere(host, next_hop, moved_to)
    try:
        copies = tuple(dict.fromkeys(_linked(linked) if linked else map(_address, forwards)))
        if len(copies) > MAX_FORWARDS:
            raise ValueError
    except (ValueError, UnicodeError):
        names = (*schema.forwarding_attributes, *schema.forwarding_link_attributes)
        text = f"found no usable {' or '.join(names)}; expected addresses, or entries that have one"
        return Elsewhere(trouble=text)
    keeps = _holds(schema.keeps_copy, attributes)
    return Elsewhere(host, next_hop, moved_to, forwards=copies, keeps_copy=keeps)


def _forwarding(attributes: Attributes, schema: Schema) -> Iterator[bytes]:
    for name in schema.forwarding_attributes:
        yield from attributes.get(name.lower(), ())


def _holds(wanted: Filter | None, attributes: Attributes) -> bool:
    return wanted is None or matches(wanted, attributes)


def _first(attributes: Attributes, names: Sequence[str]) -> Sequence[bytes] | None:
    return next(filter(None, (attributes.get(name.lower()) for name in names)), None)


def _server(values: Sequence[bytes]) -> tuple[str, str]:
    """Raises: ValueError (values have no order, so none of several is the one)."""
    (octets,) = values
    if len(octets) > MAX_OCTETS:
        raise ValueError
    text = octets.decode("ascii").strip()
    hop = parse_next_hop(text if "://" in text else f"smtp://{text}")
    if hop.user:
        raise NextHopSyntax("no user")
    if hop.socket:
        # Whoever writes entries does not choose which of this machine's sockets are talked to.
        raise NextHopSyntax("no socket")
    return hop.host, str(hop)


def _only_address(values: Sequence[bytes]) -> Address:
    """Raises: ValueError."""
    (octets,) = values
    return _address(octets)


def _address(octets: bytes) -> Address:
    """As it is or behind ``smtp:``, as Exchange writes it. Raises: ValueError."""
    if len(octets) > MAX_OCTETS:
        raise ValueError
    text = octets.decode("utf-8").strip()
    if text[:5].lower() == "smtp:":
        text = text[5:]
    address = parse_mailbox(text)
    if not address.domain:
        raise AddressSyntax("no domain")
    return address


def _linked(linked: Sequence[Sequence[str]]) -> Iterator[Address]:
    """The first address of each entry. Raises: ValueError."""
    for addresses in linked:
        if not addresses:
            raise ValueError
        yield parse_mailbox(addresses[0])
