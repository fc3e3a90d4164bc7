"""Groups of the directory: which entries they are, who is in them, and who is in which.

Owns the resolving of members, the same for a server and a file: groups inside groups by level,
each entry once, so that a group in itself ends; entries asked for in batches. Whoever is named and
cannot get mail (no such entry, no address, not usable) is skipped and said in ``Group.dead``;
trouble with the directory is never that. Waits where its ``Entries`` do; those in memory never do.

Limits: MAX_DEPTH levels, ``schema.members`` members, MAX_DEAD texts, MAX_GROUPS of one person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, ExpansionFailed
from gateway.core.group import Group
from gateway.core.log_text import shown
from gateway.directory.dn import dn_key, without_uid
from gateway.directory.entries import (
    MAX_ADDRESS_OCTETS,
    Entry,
    account_from,
    account_id_from,
    addresses_from,
    display_name_from,
    has_address,
    unusable,
)
from gateway.directory.schema import Schema
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.ldap.filters import Filter, FilterSyntax, matches

MAX_DEPTH = 10
MAX_DEAD = 100
MAX_GROUPS = 1000
MAX_DN_OCTETS = 2048
BATCH = 100
"""Entries or addresses in one question."""


class Ambiguous(Exception):
    """More than one entry matches (SECURITY L5); ``names`` for the log."""

    def __init__(self, names: str) -> None:
        super().__init__(names)
        self.names = names


class Entries(Protocol):
    """Where entries are looked for. Trouble is an exception of the directory's own."""

    async def having(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Entry]:
        """All that match a filter of ``Schema`` about these addresses. Raises: Ambiguous."""
        ...

    async def named(self, dns: Sequence[str]) -> Mapping[str, Entry]:
        """The entries with these DNs, by ``dn_key``; those that do not exist are left out."""
        ...

    async def of(self, account: Account) -> Entry | None:
        """The person's own entry."""
        ...

    async def groups_with(self, dns: Sequence[str], addresses: Sequence[str]) -> Sequence[Entry]:
        """Groups that have one of these as a member."""
        ...


class Kind(Enum):
    """What an entry is."""

    PERSON = "person"
    GROUP = "group"
    OTHER = "other"


def kind_of(entry: Entry, schema: Schema) -> Kind:
    """By the schema's filters, evaluated here."""
    if schema.group is not None and _matches(schema.group, entry):
        return Kind.GROUP
    return Kind.PERSON if _matches(schema.person, entry) else Kind.OTHER


def _matches(wanted: Filter, entry: Entry) -> bool:
    try:
        return matches(wanted, entry.attributes)
    except FilterSyntax:  # a rule that only a server can evaluate
        return False


def owner_among(
    found: Sequence[Entry], addresses: Sequence[Address], schema: Schema
) -> Entry | None:
    """Whose the first of the addresses is that anybody has.

    Args:
        found: what ``Schema.recipients`` found.

    Raises:
        Ambiguous: several have it.
    """
    known = [(entry, addresses_from(entry, schema)) for entry in found]
    for address in addresses:
        owners = [entry for entry, own in known if has_address(own, address)]
        if len(owners) > 1:
            raise Ambiguous(", ".join(shown(owner.dn) for owner in owners[:3]))
        if owners:
            return owners[0]
    return None


def is_group(entry: Entry, schema: Schema) -> bool:
    """Whether an entry that is a recipient is a group and no person."""
    kind = kind_of(entry, schema)
    if kind is Kind.OTHER:
        # The server's own evaluation, of subclasses or a matching rule, has found it.
        return any(entry.attributes.get(name.lower()) for name in schema.member_attributes)
    return kind is Kind.GROUP


async def group_from(entry: Entry, schema: Schema, entries: Entries) -> Group:
    """The group with everybody in it.

    Raises:
        DirectoryUnavailable: the entry cannot be used.
        ExpansionFailed: the group is too large or too deep.
    """
    members = _Members(schema, entries)
    await members.collect(entry)
    return _group(entry, schema, members)


def _group(entry: Entry, schema: Schema, members: _Members | None = None) -> Group:
    addresses = addresses_from(entry, schema)
    if not addresses:
        raise unusable(entry, "no usable address")
    return Group(
        group_id=account_id_from(entry, schema) or dn_key(entry.dn),
        addresses=addresses,
        members=tuple(members.addresses) if members is not None else (),
        display_name=display_name_from(entry, schema),
        people=members.people if members is not None else {},
        dead=tuple(members.dead) if members is not None else (),
    )


async def groups_around(account: Account, schema: Schema, entries: Entries) -> list[Group]:
    """The groups with an address that the person is in, the nearest first."""
    entry = await entries.of(account) if schema.group is not None else None
    if entry is None:
        return []
    told = [
        value
        for name in schema.member_of_attributes
        for value in _texts(entry.attributes.get(name.lower(), ()))
    ]
    seen = {dn_key(entry.dn)}
    groups: list[Group] = []
    level: Sequence[Entry] = [entry]
    addresses: Sequence[str] = account.addresses
    for _ in range(MAX_DEPTH):
        around = list(await entries.groups_with([each.dn for each in level], addresses))
        if told:
            named = await entries.named(told[:MAX_GROUPS])
            around += [each for each in named.values() if kind_of(each, schema) is Kind.GROUP]
            told = []
        level = [each for each in _each_once(around) if dn_key(each.dn) not in seen]
        seen.update(dn_key(each.dn) for each in level)
        if not level or len(seen) > MAX_GROUPS:
            break
        found = [(each, addresses_from(each, schema)) for each in level]
        groups += [_group(each, schema) for each, known in found if known]
        addresses = [address for _, known in found for address in known]
    return groups


def _each_once(entries: Sequence[Entry]) -> list[Entry]:
    return list({dn_key(entry.dn): entry for entry in reversed(entries)}.values())[::-1]


class _Members:
    """Everybody in one group, as far as they have been found."""

    def __init__(self, schema: Schema, entries: Entries) -> None:
        self._schema = schema
        self._entries = entries
        self._seen: set[str] = set()
        self.addresses: dict[str, None] = {}
        self.people: dict[str, Account] = {}
        self.dead: list[str] = []

    async def collect(self, group: Entry) -> None:
        """Raises: ExpansionFailed."""
        self._seen.add(dn_key(group.dn))
        level = [group]
        for _ in range(MAX_DEPTH + 1):
            dns, addresses = self._named_by(level)
            level = await self._take_entries(dns)
            await self._take_addresses(addresses)
            if not level:
                return
        raise ExpansionFailed(group=shown(group.dn), reason=f"more than {MAX_DEPTH} levels deep")

    def _named_by(self, groups: Sequence[Entry]) -> tuple[list[str], list[Address]]:
        """Members of these that have not been seen: DNs and addresses."""
        dns: list[str] = []
        addresses: list[Address] = []
        for group in groups:
            for name in self._schema.member_attributes:
                for text in _texts(group.attributes.get(name.lower(), ())):
                    address = _address(text)
                    if address is None:
                        text = without_uid(text)
                    key = address.key if address is not None else dn_key(text)
                    if key in self._seen:
                        continue
                    self._seen.add(key)
                    if len(self._seen) > self._schema.members + 1:
                        reason = f"more than {self._schema.members} members"
                        raise ExpansionFailed(group=shown(groups[0].dn), reason=reason)
                    if address is not None:
                        addresses.append(address)
                    elif "=" in text:
                        dns.append(text)
                    else:
                        self._skip(text, "neither a DN nor an address")
        return dns, addresses

    async def _take_entries(self, dns: Sequence[str]) -> list[Entry]:
        """Add these members; those that are groups come back."""
        groups: list[Entry] = []
        for start in range(0, len(dns), BATCH):
            batch = dns[start : start + BATCH]
            found = await self._entries.named(batch)
            for dn in batch:
                entry = found.get(dn_key(dn))
                if entry is None:
                    self._skip(dn, "there is no such entry")
                    continue
                match kind_of(entry, self._schema):
                    case Kind.GROUP:
                        groups.append(entry)
                    case Kind.PERSON:
                        self._take_person(entry)
                    case Kind.OTHER:  # somebody elsewhere, or somebody only a server can tell
                        known = addresses_from(entry, self._schema)
                        if known:
                            self.addresses.setdefault(known[0])
                        else:
                            self._skip(dn, "it has no mail address")
        return groups

    def _take_person(self, entry: Entry) -> None:
        try:
            account = account_from(entry, self._schema)
        except DirectoryUnavailable as error:
            self._skip(entry.dn, str(error.fields.get("reason")))
            return
        if account.addresses:
            self._add(account.primary_address, account)
        else:
            self._skip(entry.dn, "this person has no mail address")

    async def _take_addresses(self, addresses: Sequence[Address]) -> None:
        """Addresses nobody here has stay as they are: of groups, of aliases, elsewhere."""
        for start in range(0, len(addresses), BATCH):
            batch = addresses[start : start + BATCH]
            found = await self._entries.having(batch, self._schema.by_addresses(batch))
            known = [(entry, addresses_from(entry, self._schema)) for entry in found]
            for address in batch:
                text = str(address).lower()
                owners = [entry for entry, own in known if has_address(own, address)]
                if not owners:
                    self.addresses.setdefault(text)
                elif len(owners) > 1:
                    self._skip(text, "several people have this address")
                else:
                    try:
                        self._add(text, account_from(owners[0], self._schema))
                    except DirectoryUnavailable as error:
                        self._skip(text, str(error.fields.get("reason")))

    def _add(self, address: str, account: Account) -> None:
        self.addresses.setdefault(address)
        self.people.setdefault(address, account)

    def _skip(self, member: str, why: str) -> None:
        if len(self.dead) < MAX_DEAD:
            self.dead.append(f"{shown(member)}: {why}")


def _texts(values: Sequence[bytes]) -> Iterator[str]:
    """Usable values; what is no text, or far too long, names nobody (SECURITY L25)."""
    for octets in values:
        if 0 < len(octets) <= MAX_DN_OCTETS:
            yield octets.decode("utf-8", "replace").strip()


def _address(text: str) -> Address | None:
    if "@" not in text or len(text) > MAX_ADDRESS_OCTETS or not text.isprintable():
        return None
    try:
        address = parse_mailbox(text)
    except AddressSyntax:
        return None
    return address if address.domain else None
