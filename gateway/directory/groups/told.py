"""What a group's entry says of its members, sorted by how they are looked for (SECURITY L25).

Owns the reading of values: DNs, addresses, login names, the end of a SID. Never searches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.core.address import Address
from gateway.directory.dn import dn_key, without_uid
from gateway.directory.entries import MAX_ADDRESS_OCTETS, Entry
from gateway.directory.groups.bounds import Pause, no_pause
from gateway.directory.logins import login_is_possible
from gateway.directory.schema import Schema
from gateway.wire.address import AddressSyntax, parse_mailbox

MAX_DN_OCTETS = 2048
SLICE = 200

T = TypeVar("T")


@dataclass(slots=True)
class Told:
    """Values that were not seen before, and the octets of their names.

    Args:
        unusable: what is none of these.
        octets: of each value.
    """

    dns: list[str] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    octets: list[int] = field(default_factory=list)


def texts(entry: Entry, name: str) -> Iterator[str]:
    """Usable values; what is no text, or far too long, names nobody."""
    for octets in entry.attributes.get(name.lower(), ()):
        if 0 < len(octets) <= MAX_DN_OCTETS:
            yield octets.decode("utf-8", "replace").strip()


async def members_told(
    groups: Sequence[Entry],
    schema: Schema,
    seen: set[str],
    *,
    by_dn: bool = True,
    pause: Pause = no_pause,
) -> Told:
    """The members that these groups name.

    Args:
        seen: keys of those who need not be told again; the new ones are added.
        by_dn: False: who is named by DN is known already.
        pause: lets others run, between SLICE values.
    """
    told = Told()
    for group in groups:
        for name in schema.member_attributes:
            for position, text in enumerate(texts(group, name), start=1):
                if not position % SLICE:
                    await pause()
                address = address_in(text)
                if address is not None:
                    _add(told, told.addresses, address, address.key, text, seen)
                elif "=" in text:
                    if by_dn:
                        text = without_uid(text)
                        _add(told, told.dns, text, dn_key(text), text, seen)
                else:
                    _add_login(told, text, seen)
        for name in schema.about_groups.member_logins:
            for position, text in enumerate(texts(group, name), start=1):
                if not position % SLICE:
                    await pause()
                _add_login(told, text, seen)
    return told


def _add_login(told: Told, text: str, seen: set[str]) -> None:
    names = told.logins if login_is_possible(text) else told.unusable
    _add(told, names, text, login_key(text), text, seen)


def _add(told: Told, names: list[T], value: T, key: str, text: str, seen: set[str]) -> None:
    if key not in seen:
        seen.add(key)
        names.append(value)
        told.octets.append(len(text))


def address_in(text: str) -> Address | None:
    if "@" not in text or len(text) > MAX_ADDRESS_OCTETS or not text.isprintable():
        return None
    try:
        address = parse_mailbox(text)
    except AddressSyntax:
        return None
    return address if address.domain else None


def member_keys(entry: Entry, schema: Schema) -> Iterator[str]:
    """Under which texts a group is found by its members: keys of DNs, addresses, logins."""
    for name in schema.member_attributes:
        for text in texts(entry, name):
            yield text.casefold() if "@" in text or "=" in text else login_key(text)
            if "=" in text:
                yield dn_key(without_uid(text))
    for name in schema.about_groups.member_logins:
        for text in texts(entry, name):
            yield login_key(text)


def login_key(login: str) -> str:
    """Of a member named by login, which is no address though it may look like one."""
    return f"login {login.casefold()}"


def rid_of(group: Entry, sid_attribute: str) -> int | None:
    """The last number of a group's SID (MS-DTYP section 2.4.2.2), which people have as that of
    their primary group."""
    sid = _sid(group, sid_attribute)
    return int.from_bytes(sid[-4:], "little") if sid is not None else None


def primary_group_sid(person: Entry, primary: str, sid_attribute: str) -> bytes | None:
    """The SID of a person's primary group: their own, with that number as its end."""
    sid = _sid(person, sid_attribute)
    text = next(texts(person, primary), "") if primary else ""
    if sid is None or not text.isascii() or not text.isdigit() or int(text) >= 2**32:
        return None
    return sid[:-4] + int(text).to_bytes(4, "little")


def _sid(entry: Entry, name: str) -> bytes | None:
    values = entry.attributes.get(name.lower(), ()) if name else ()
    # Revision 1, a count of numbers, an authority of 6 octets, 4 octets for each number.
    if len(values) != 1 or len(values[0]) < 12 or len(values[0]) != 8 + 4 * values[0][1]:
        return None
    return values[0]
