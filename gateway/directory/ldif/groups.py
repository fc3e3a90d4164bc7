"""The groups of one version of an LDIF file, in memory and indexed.

Owns a snapshot beside that of the people, and the groups resolved from it so far. Answers as a
server would, through the same ``groups``; also entries that are neither people nor groups count,
as members that have an address. Members by search are looked for among all entries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.group import Group
from gateway.directory.at_once import at_once
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry, addresses_from
from gateway.directory.groups.asking import Kind, Search, TooMany, kind_of
from gateway.directory.groups.resolving import group_from
from gateway.directory.groups.told import login_key, member_keys
from gateway.directory.ldif.people import People
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Equal, Filter, Or, matches
from gateway.wire.ldap.messages import Scope

_SEPARATOR = re.compile(r"(?<!\\),")


class FileGroups:
    """Implements ``groups.Entries``; made with the people, in the same thread.

    Args:
        others: entries that are no people.
    """

    def __init__(self, people: People, others: Sequence[Entry], schema: Schema) -> None:
        self._schema = schema
        self._people = people
        self._by_dn = {dn_key(entry.dn): entry for entry in others}
        self._by_dn.update((dn_key(person.entry.dn), person.entry) for person in people)
        self._persons = {id(person.entry): person for person in people}
        self._by_id = {person.account.account_id: person.entry for person in people}
        self._by_address: dict[str, list[Entry]] = {}
        self._holding: dict[str, list[Entry]] = {}
        self._resolved: dict[int, Group] = {}
        for entry in others:
            if kind_of(entry, schema) is Kind.GROUP:
                self._add_group(entry)

    def _add_group(self, entry: Entry) -> None:
        for address in addresses_from(entry, self._schema):
            self._by_address.setdefault(address.casefold(), []).append(entry)
        for key in member_keys(entry, self._schema):
            self._holding.setdefault(key, []).append(entry)

    def account(self, entry: Entry) -> Account:
        """Of an entry that is a person's."""
        return self._persons[id(entry)].account

    def resolved(self, entry: Entry) -> Group | None:
        """The group, if somebody has asked for it before."""
        return self._resolved.get(id(entry))

    def resolve(self, entry: Entry) -> Group:
        """The group with everybody in it; takes its time when there are many.

        Raises: as ``group_from``.
        """
        group = self._resolved[id(entry)] = at_once(group_from(entry, self._schema, self))
        return group

    async def having(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Entry]:
        return self.with_address(addresses, wanted)

    def with_address(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Entry]:
        """As ``having``, which is asked for every recipient, without the cost of a coroutine."""
        groups = {
            id(entry): entry
            for address in addresses
            for entry in self._by_address.get(address.key, ())
            if matches(wanted, entry.attributes)
        }
        return [person.entry for person in self._people.find(wanted)] + list(groups.values())

    async def named(self, dns: Sequence[str]) -> Mapping[str, Entry]:
        keys = map(dn_key, dns)
        return {key: self._by_dn[key] for key in keys if key in self._by_dn}

    async def of(self, account: Account) -> Entry | None:
        return self._by_id.get(account.account_id)

    async def called(self, logins: Sequence[str]) -> Sequence[Entry]:
        names = self._schema.login_attributes
        wanted = Or(tuple(Equal(name, login) for login in logins for name in names))
        return [person.entry for person in self._people.find(wanted)]

    async def matching(self, search: Search) -> Sequence[Entry]:
        found = []
        for key, entry in self._by_dn.items():
            if _is_in(key, search) and matches(search.wanted, entry.attributes):
                found.append(entry)
                if len(found) > search.most:
                    raise TooMany
        return found

    async def whole(self, group: Entry) -> Entry:
        return group

    async def below(self, group: Entry, most: int) -> None:
        return None

    async def above(self, person: Entry) -> None:
        return None

    async def groups_with(
        self, dns: Sequence[str], addresses: Sequence[str], logins: Sequence[str] = ()
    ) -> Sequence[Entry]:
        keys = [
            *map(dn_key, dns),
            *(address.casefold() for address in addresses),
            *map(login_key, logins),
        ]
        found = {id(entry): entry for key in keys for entry in self._holding.get(key, ())}
        return list(found.values())


def _is_in(key: str, search: Search) -> bool:
    """Whether an entry lies where the search looks."""
    if not search.base:
        return True
    base = dn_key(search.base)
    if search.scope is Scope.BASE:
        return key == base
    inner = key.removesuffix(f",{base}")
    if inner.endswith("\\"):  # that comma is part of a value
        return False
    if search.scope is Scope.ONE:
        return inner != key and _SEPARATOR.search(inner) is None
    return key == base or inner != key
