"""A file as a directory, in memory, for the forms that groups have."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

from gateway.core.address import Address
from gateway.core.group import Group
from gateway.directory.at_once import at_once
from gateway.directory.entries import Entry, account_from
from gateway.directory.groups.around import groups_around
from gateway.directory.groups.asking import owner_among
from gateway.directory.groups.resolving import group_from
from gateway.directory.groups.words import ACTIVE_DIRECTORY, GroupWords
from gateway.directory.ldif.groups import FileGroups
from gateway.directory.ldif.people import People, Person
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Equal, Or, matches

EXCHANGE = Or(
    (Equal("objectClass", "group"), Equal("objectClass", "msExchDynamicDistributionList"))
)


def schema_with(words: GroupWords, **changes: object) -> Schema:
    """OpenLDAP's, with these words for groups."""
    return replace(OPENLDAP, about_groups=words, **changes)  # type: ignore[arg-type]


AD_LIKE = schema_with(ACTIVE_DIRECTORY, group=EXCHANGE)


def sid(*numbers: int) -> bytes:
    """S-1-5-numbers."""
    parts = b"".join(number.to_bytes(4, "little") for number in numbers)
    return bytes([1, len(numbers), 0, 0, 0, 0, 0, 5]) + parts


def entry(dn: str, /, **attributes: str | bytes | Sequence[str | bytes]) -> Entry:
    """Attribute names as keywords; values are text or octets, one or several."""
    values: dict[str, tuple[bytes, ...]] = {}
    for name, value in attributes.items():
        many = (value,) if isinstance(value, str | bytes) else value
        values[name.lower()] = tuple(
            each if isinstance(each, bytes) else each.encode() for each in many
        )
    return Entry(dn, values)


def person(name: str, /, **attributes: str | bytes | Sequence[str | bytes]) -> Entry:
    """uid=…,dc=test with an address at x.test."""
    known: dict[str, str | bytes | Sequence[str | bytes]] = {
        "objectClass": "inetOrgPerson",
        "entryUUID": _uuid(name),
        "uid": name,
        "mail": f"{name}@x.test",
    }
    return entry(f"uid={name},dc=test", **(known | attributes))


def group(name: str, kind: str, /, **attributes: str | bytes | Sequence[str | bytes]) -> Entry:
    """cn=…,dc=test with an address at x.test."""
    own = {"mail": f"{name}@x.test"} | attributes
    return entry(f"cn={name},dc=test", objectClass=kind, cn=name, entryUUID=_uuid(name), **own)


def _uuid(seed: str) -> str:
    digits = base64.b16encode(seed.encode().ljust(16, b"\0")[:16]).decode().lower()
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(parts)


def entries_of(schema: Schema, *everything: Entry) -> FileGroups:
    people = [each for each in everything if matches(schema.person, each.attributes)]
    others = [each for each in everything if each not in people]
    persons = [Person(each, account_from(each, schema), (), schema) for each in people]
    return FileGroups(People(persons, schema, (0, 0, 0, 0)), others, schema)


def resolved(schema: Schema, name: str, *everything: Entry) -> Group:
    """The group with this local part."""
    address = Address(name, "x.test")
    entries = entries_of(schema, *everything)
    found = entries.with_address((address,), schema.groups((address,)))
    owner = owner_among([each for each in found if isinstance(each, Entry)], (address,), schema)
    assert owner is not None
    return at_once(group_from(owner, schema, entries))


def groups_of(schema: Schema, uid: str, *everything: Entry) -> set[str]:
    """Local parts of the groups around a person."""
    entries = entries_of(schema, *everything)
    one = next(each for each in everything if each.dn == f"uid={uid},dc=test")
    found = at_once(groups_around(account_from(one, schema), schema, entries))
    return {each.addresses[0].partition("@")[0] for each in found}
