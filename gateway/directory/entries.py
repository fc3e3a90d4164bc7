"""From an entry's octets to an Account; the border where directory data is checked (SECURITY L25).

Owns what of an entry may be used: ids and logins are short printable text, addresses parse, names
lose control characters. Canonical values come from the entry, never from what somebody typed (L4).
Never searches. An entry that cannot be used is a DirectoryMistake, because it says nothing about
the person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.quota import NOTHING_SAID, Allowance
from gateway.directory.allowances import allowance_from
from gateway.directory.dn import dn_key
from gateway.directory.elsewhere import elsewhere_from
from gateway.directory.logins import login_is_possible
from gateway.directory.schema import Schema
from gateway.directory.states import state_of
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.ldap.filters import matches

MAX_ADDRESSES = 500
MAX_ADDRESS_OCTETS = 320
MAX_DISPLAY_CHARACTERS = 200
MAX_TOLD = 3  # unusable addresses
MAX_LINKS = 20
MAX_LINK_OCTETS = 2048
LONG_AGO = 1.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\Z")

_log = Logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it came.

    Args:
        dn: distinguished name as the directory gave it.
        attributes: raw values by lower-case attribute name.
    """

    dn: str
    attributes: Mapping[str, Sequence[bytes]]


def account_from(
    entry: Entry, schema: Schema, linked: Mapping[str, Entry | Account] | None = None
) -> Account:
    """The person this entry describes.

    Args:
        linked: what ``links_of`` names, by ``dn_key``; None: nobody has looked for it, and an
            account that needs it is to be asked for again at once.

    Raises:
        DirectoryMistake: no usable id or login.
    """
    account_id = account_id_from(entry, schema)
    if account_id is None:
        raise unusable(entry, f"no usable {schema.id_attribute}")
    login = _login(entry, schema)
    if not login:
        raise unusable(entry, f"no usable {' or '.join(schema.login_attributes)}")
    addresses = addresses_from(entry, schema)
    state = state_of(entry.attributes, schema.states, schema.wall_clock())
    links = links_of(entry, schema)
    there = [_addresses_there(dn, linked or {}, schema) for dn in links]
    return Account(
        account_id=account_id,
        login=login,
        primary_address=addresses[0] if addresses else "",
        addresses=addresses,
        display_name=display_name_from(entry, schema),
        enabled=state.enabled,
        locked=state.locked,
        condition=state.condition,
        allowance=allowance_of(entry, schema),
        elsewhere=elsewhere_from(entry.attributes, schema, there),
        state_until=LONG_AGO if links and linked is None else state.until,
    )


def _addresses_there(
    dn: str, linked: Mapping[str, Entry | Account], schema: Schema
) -> tuple[str, ...]:
    found = linked.get(dn_key(dn))
    if found is None:
        return ()
    return addresses_from(found, schema) if isinstance(found, Entry) else found.addresses


def links_of(entry: Entry, schema: Schema) -> tuple[str, ...]:
    """DNs of the entries that say where this person's mail is forwarded to."""
    return tuple(
        octets.decode("utf-8", "replace")
        for name in schema.forwarding_link_attributes
        for octets in entry.attributes.get(name.lower(), ())
        if 0 < len(octets) <= MAX_LINK_OCTETS
    )[:MAX_LINKS]


def addresses_from(entry: Entry, schema: Schema) -> tuple[str, ...]:
    """All usable addresses of a person or group in lower case, each once, the primary one first."""
    addresses = tuple(dict.fromkeys(_addresses(entry, schema)))
    if len(addresses) > MAX_ADDRESSES:
        _log.error(
            "{dn} has {count} addresses; mail to those after the first {limit} is refused",
            dn=shown(entry.dn),
            count=len(addresses),
            limit=MAX_ADDRESSES,
        )
        addresses = addresses[:MAX_ADDRESSES]
    return addresses


def allowance_of(entry: Entry, schema: Schema) -> Allowance:
    """How much a person, or a group with a mailbox, may keep."""
    for name in schema.quota_attributes:
        values = entry.attributes.get(name.lower(), ())
        if values:
            if schema.no_quota is not None and matches(schema.no_quota, entry.attributes):
                return NOTHING_SAID
            return allowance_from(values, schema.quota_unit_octets)
    return NOTHING_SAID


def unusable(entry: Entry, reason: str) -> DirectoryMistake:
    return DirectoryMistake(reason=reason, dn=shown(entry.dn))


def has_address(known: Sequence[str], address: Address) -> bool:
    """Whether the address is one of them, however a server has compared it (L4)."""
    text = str(address).casefold()
    return any(each.casefold() == text for each in known)


def account_id_from(entry: Entry, schema: Schema) -> AccountId | None:
    """The immutable id; UUIDs in lower case, as servers differ in how they write them. Of an id
    that is no text its octets in hexadecimal: tools differ in the order in which they write a
    GUID (SECURITY L13)."""
    octets = entry.attributes.get(schema.id_attribute.lower(), ())
    if len(octets) != 1:
        return None
    if schema.id_is_octets:
        return AccountId(octets[0].hex()) if 8 <= len(octets[0]) <= 64 else None
    text = octets[0][:200].decode("ascii", "replace")
    if not _ID.match(text):
        return None
    return AccountId(text.lower() if _UUID.match(text) else text)


def _login(entry: Entry, schema: Schema) -> str:
    for name in schema.login_attributes:
        logins = []
        for octets in entry.attributes.get(name.lower(), ()):
            text = _text(octets)
            if text is not None and login_is_possible(text):
                logins.append(text.lower())
        if logins:
            # Values have no order (RFC 4511 section 4.1.7): the same one every time.
            return min(logins)
    return ""


def _addresses(entry: Entry, schema: Schema) -> Iterator[str]:
    """All usable addresses in lower case, the primary one first; may repeat."""
    unusable: list[bytes] = []
    for octets in _address_values(entry, schema):
        address = _address(octets)
        if address is not None:
            yield address
        else:
            unusable.append(octets)
    if unusable:
        # Once for an entry: it is read again and again, and may hold thousands of such values.
        _log.warn(
            "{count} addresses of {dn} are not used, not being mail addresses: {examples}",
            count=len(unusable),
            dn=shown(entry.dn),
            examples=", ".join(map(shown, unusable[:MAX_TOLD])),
        )


def _address_values(entry: Entry, schema: Schema) -> Iterator[bytes]:
    others: list[bytes] = []
    for name in schema.prefixed_address_attributes:
        for octets in entry.attributes.get(name.lower(), ()):
            prefix, _, address = octets.partition(b":")
            if prefix == b"SMTP":
                yield address
            elif prefix.lower() == b"smtp":
                others.append(address)
    for name in schema.address_attributes:
        yield from entry.attributes.get(name.lower(), ())
    yield from others


def _address(octets: bytes) -> str | None:
    """In lower case; None: it is no mail address."""
    text = _text(octets) if len(octets) <= MAX_ADDRESS_OCTETS else None
    if text is None or not text.isprintable():
        return None
    try:
        address = parse_mailbox(text)
    except AddressSyntax:
        return None
    return str(address).lower() if address.domain else None


def display_name_from(entry: Entry, schema: Schema) -> str:
    for name in schema.display_attributes:
        for octets in entry.attributes.get(name.lower(), ()):
            text = octets[: 4 * MAX_DISPLAY_CHARACTERS].decode("utf-8", "replace")
            printable = "".join(char if char.isprintable() else " " for char in text)
            printable = " ".join(printable.split())[:MAX_DISPLAY_CHARACTERS]
            if printable:
                return printable
    return ""


def _text(octets: bytes) -> str | None:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
