"""What expanding groups asks of a directory, and which entries are groups.

Owns shapes: servers, a file and the picture answer alike. Trouble is an exception of the
directory's own; that nobody is found never is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.log_text import shown
from gateway.directory.entries import Entry, addresses_from, has_address
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import Filter, FilterSyntax, matches
from gateway.wire.ldap.messages import Scope

BATCH = 100
"""Entries, addresses or logins in one question."""
MAX_GROUPS = 1000
"""Around one person."""

Subject = Entry | Account
"""Whoever is found. A person may come finished, unless ``GroupWords.left_out`` has to be asked of
the entry."""


class Ambiguous(Exception):
    """More than one entry matches (SECURITY L5); ``names`` for the log."""

    def __init__(self, names: str) -> None:
        super().__init__(names)
        self.names = names


class TooMany(Exception):
    """More entries match than were asked for."""


@dataclass(frozen=True, slots=True)
class Search:
    """Entries by a filter.

    Args:
        base: empty: all of the directory.
        most: entries.
    """

    wanted: Filter
    most: int
    base: str = ""
    scope: Scope = Scope.SUBTREE


class Entries(Protocol):
    """Where entries are looked for."""

    async def having(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Subject]:
        """All that match a filter of ``Schema`` about these addresses. Raises: Ambiguous."""
        ...

    async def named(self, dns: Sequence[str]) -> Mapping[str, Subject]:
        """The entries with these DNs, by ``dn_key``; those that do not exist are left out."""
        ...

    async def called(self, logins: Sequence[str]) -> Sequence[Subject]:
        """People who have one of these logins. Raises: Ambiguous."""
        ...

    async def matching(self, search: Search) -> Sequence[Subject]:
        """Whoever is found; what cannot be evaluated here is FilterSyntax. Raises: TooMany."""
        ...

    async def whole(self, group: Entry) -> Entry:
        """With all members that it names: a server may give only the first of them (MS-ADTS
        section 3.1.1.3.1.3.3)."""
        ...

    async def below(self, group: Entry, most: int) -> Sequence[Subject] | None:
        """Everybody in the group and in groups inside it, and those groups, by the server's own
        reckoning; None: it has none, or gave up. Raises: TooMany."""
        ...

    async def of(self, account: Account) -> Entry | None:
        """The person's own entry, with ``Schema.requested_of_members``."""
        ...

    async def groups_with(
        self, dns: Sequence[str], addresses: Sequence[str], logins: Sequence[str] = ()
    ) -> Sequence[Entry]:
        """Groups that have one of these as a member."""
        ...

    async def above(self, person: Entry) -> Sequence[Entry] | None:
        """All groups that the person is in, also by way of others, as ``below``."""
        ...


class Kind(Enum):
    """What an entry is."""

    PERSON = "person"
    GROUP = "group"
    OTHER = "other"


def kind_of(subject: Subject, schema: Schema) -> Kind:
    """By the schema's filters, evaluated here."""
    if isinstance(subject, Account):
        return Kind.PERSON
    if schema.group is not None and _matches(schema.group, subject):
        return Kind.GROUP
    return Kind.PERSON if _matches(schema.person, subject) else Kind.OTHER


def _matches(wanted: Filter, entry: Entry) -> bool:
    try:
        return matches(wanted, entry.attributes)
    except FilterSyntax:  # a rule that only a server can evaluate
        return False


def is_contact(entry: Entry, schema: Schema) -> bool:
    """Whether an entry is nobody here, and may be a member of groups all the same."""
    if schema.contact is None or kind_of(entry, schema) is not Kind.OTHER:
        return False
    return _matches(schema.contact, entry)


def is_group(entry: Entry, schema: Schema) -> bool:
    """Whether an entry that is a recipient is a group and no person."""
    kind = kind_of(entry, schema)
    if kind is Kind.OTHER:
        # The server's own evaluation, of subclasses or a matching rule, has found it.
        words = schema.about_groups
        names = (*schema.member_attributes, *words.member_logins, *words.member_urls)
        return any(entry.attributes.get(name.lower()) for name in (*names, words.member_filter))
    return kind is Kind.GROUP


def addresses_of(subject: Subject, schema: Schema) -> tuple[str, ...]:
    """Lower case, the primary one first."""
    if isinstance(subject, Account):
        return subject.addresses
    return addresses_from(subject, schema)


def name_of(subject: Subject) -> str:
    """For logs."""
    return subject.login if isinstance(subject, Account) else shown(subject.dn)


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
