"""Under which keys people and groups are found in the picture, and asked for: the one place.

Owns the forms in which two spellings are one key: of addresses (as ``entries.has_address`` compares
them), of logins (as a server's caseIgnoreMatch does), of DNs, of members, which are named by any of
these, and of the values that tell whose primary group a group is (SECURITY L18). Keys of addresses
and DNs say who is meant; those of logins bring candidates, which are looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.ports.picture import KeyKind
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry
from gateway.directory.groups.told import member_keys
from gateway.directory.groups.words import GroupWords
from gateway.directory.logins import login_is_possible
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import And, Equal, Filter, Or, normalised

Key = tuple[KeyKind, str]

MEMBERS_BY_SEARCH = "members by search"
"""Of groups that have some: the picture cannot tell who is in them."""


def address_key(address: Address | str) -> str:
    """Of an address as ``str`` writes it."""
    return str(address).casefold()


def login_key(login: str) -> str:
    return normalised(login)


def keys_of_person(entry: Entry, account: Account, schema: Schema) -> tuple[Key, ...]:
    return (
        *((KeyKind.ADDRESS, address_key(each)) for each in account.addresses),
        *((KeyKind.LOGIN, key) for key in dict.fromkeys(_logins(entry, schema))),
        (KeyKind.DN, dn_key(entry.dn)),
        *_telling(entry, schema.about_groups.primary_group),
    )


def keys_of_group(entry: Entry, addresses: tuple[str, ...], schema: Schema) -> tuple[Key, ...]:
    return (
        *((KeyKind.ADDRESS, address_key(each)) for each in addresses),
        (KeyKind.DN, dn_key(entry.dn)),
        *((KeyKind.MEMBER, key) for key in dict.fromkeys(member_keys(entry, schema))),
        *_telling(entry, schema.about_groups.sid),
        *_dynamic(entry, schema.about_groups),
    )


def logins_asked(wanted: Filter, schema: Schema) -> set[str]:
    """Login keys of whoever may match a filter of ``Schema`` about a login."""
    names = schema.login_names
    return {
        login_key(_without_prefix(each.value, each.attribute, schema))
        for each in _equals(wanted)
        if each.attribute.lower() in names
    }


def _equals(wanted: Filter) -> Iterator[Equal]:
    match wanted:
        case Equal():
            yield wanted
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _equals(operand)


def _logins(entry: Entry, schema: Schema) -> Iterator[str]:
    for name in sorted(schema.login_names):
        for octets in entry.attributes.get(name, ()):
            text = _without_prefix(octets.decode("utf-8", "replace"), name, schema)
            # What nobody may type finds nobody (SECURITY L2, L25).
            if login_is_possible(text):
                yield login_key(text)


def _without_prefix(value: str, name: str, schema: Schema) -> str:
    """``smtp:`` stands before addresses in some attributes, and before no login."""
    prefixed = {each.lower() for each in schema.prefixed_address_attributes}
    if name.lower() in prefixed and value[:5].lower() == "smtp:":
        return value[5:]
    return value


def _telling(entry: Entry, name: str) -> Iterator[Key]:
    """By one of the few attributes that entries are searched for by value."""
    for octets in entry.attributes.get(name.lower(), ()) if name else ():
        yield KeyKind.VALUE, value_key(name, octets)


def _dynamic(entry: Entry, words: GroupWords) -> Iterator[Key]:
    names = (*words.member_urls, words.member_filter)
    if any(entry.attributes.get(name.lower()) for name in names if name):
        yield KeyKind.VALUE, MEMBERS_BY_SEARCH


def value_key(name: str, value: bytes | str) -> str:
    """Of an attribute's value, which may be no text."""
    octets = value.encode() if isinstance(value, str) else value
    return f"{name.lower()}={octets.hex()}"
