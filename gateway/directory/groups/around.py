"""The groups that a person is in, also by way of other groups.

Owns the walk upwards: where the server can follow membership itself it is asked once; otherwise by
level, from what names the person and from what the person's entry tells (memberOf, the primary
group: SECURITY L18). Members by search are not found from their side; who asks about one group
finds them from the group's.

Limits: MAX_DEPTH levels, MAX_GROUPS.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.account import Account
from gateway.core.group import Group
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry, addresses_from
from gateway.directory.groups.asking import MAX_GROUPS, Entries, Kind, Search, kind_of
from gateway.directory.groups.bounds import MAX_DEPTH
from gateway.directory.groups.members import bare_group
from gateway.directory.groups.told import primary_group_sid, texts
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import And, EqualOctets


async def groups_around(account: Account, schema: Schema, entries: Entries) -> list[Group]:
    """The groups with an address that the person is in, the nearest first."""
    entry = await entries.of(account) if schema.group is not None else None
    if entry is None:
        return []
    primary = await _primary_group(entry, schema, entries)
    level: Sequence[Entry] = [entry]
    addresses: Sequence[str] = account.addresses
    logins: Sequence[str] = [account.login] if schema.about_groups.member_logins else []
    seen = {dn_key(entry.dn)}
    groups: list[Group] = []
    above = await entries.above(entry)
    told: list[str] = []
    if above is None:
        told = [text for name in schema.member_of_attributes for text in texts(entry, name)]
    for _ in range(MAX_DEPTH):
        around = [*primary, *(above or ())]
        if above is None:
            around += await entries.groups_with([each.dn for each in level], addresses, logins)
        if told:
            named = await entries.named(told[:MAX_GROUPS])
            around += [each for each in named.values() if isinstance(each, Entry)]
        level = [
            each
            for each in _each_once(around)
            if dn_key(each.dn) not in seen and kind_of(each, schema) is not Kind.PERSON
        ]
        seen.update(dn_key(each.dn) for each in level)
        if not level or len(seen) > MAX_GROUPS:
            break
        groups += [bare_group(each, schema) for each in level if addresses_from(each, schema)]
        addresses = [text for each in level for text in addresses_from(each, schema)]
        # What the server has followed is all there is, but for what the primary group is in.
        above, primary, told, logins = None, [], [], []
    return groups


async def _primary_group(person: Entry, schema: Schema, entries: Entries) -> list[Entry]:
    words = schema.about_groups
    sid = primary_group_sid(person, words.primary_group, words.sid)
    if sid is None or schema.group is None:
        return []
    found = await entries.matching(Search(And((schema.group, EqualOctets(words.sid, sid))), 2))
    return [each for each in found if isinstance(each, Entry)]


def _each_once(entries: Sequence[Entry]) -> list[Entry]:
    return list({dn_key(entry.dn): entry for entry in reversed(entries)}.values())[::-1]
