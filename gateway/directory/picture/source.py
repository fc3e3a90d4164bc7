"""One directory as refreshing sees it: where its people and groups are, and how they are asked for.

Owns the questions that all ways of refreshing share, the ids of what is found, and the fingerprint
of what was asked: a picture that was filled with another base, filter or attribute is not gone on
with. Never asks anybody itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Protocol

from gateway.core.account import Account
from gateway.core.ports.picture import PicturedEntry
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry, account_id_from
from gateway.directory.picture.briefs import FORM
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import And, AtLeast, Filter, Or
from gateway.wire.ldap.messages import Scope, SearchEntry, SearchRequest

BATCH = 50
"""Entries that are read in one go, and ids in one question: a few milliseconds of the reactor."""

MAIN = "[directory]"
"""What the one without a name is called in the log: its section in the settings."""


class Depicts(Protocol):
    """Makes of an entry what the picture keeps of it."""

    def pictured(self, entry: Entry) -> PicturedEntry:
        """Raises: GatewayError (it cannot be used; ``reason`` among its fields says why)."""
        ...

    def account(self, kept: PicturedEntry) -> Account:
        """Of a person."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """One directory.

    Args:
        name: in the settings; empty: the only one.
        base: people and groups are below it.
        mass_change_percent: of the people may leave at once without somebody's word.
        listing_s: between two complete listings.
        way: how changes are learnt: ``auto``, or a name that ``strategies.choice`` knows.
    """

    name: str
    base: str
    schema: Schema
    depicts: Depicts
    mass_change_percent: int = 20
    listing_s: float = 24 * 3600.0
    way: str = "auto"

    @property
    def everybody(self) -> Filter:
        """People, groups, and contacts that may be in these."""
        schema = self.schema
        if schema.group is None:
            return schema.person
        kinds = (schema.person, schema.group, schema.contact)
        return Or(tuple(each for each in kinds if each is not None))

    @property
    def kept(self) -> tuple[str, ...]:
        """The attributes of which something is kept: those of recipients, and what tells whose
        primary group a group is (SECURITY L18). Not memberOf: groups say the same, in less."""
        schema = self.schema
        names = (*schema.requested_of_recipients, *schema.about_groups.of_people)
        return tuple({name.lower(): name for name in names}.values())

    @property
    def fingerprint(self) -> str:
        """Changes when the same directory would be seen otherwise."""
        said = f"{FORM}\0{self.base.lower()}\0{_written(self.schema)}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def listing(self, *more: str) -> SearchRequest:
        """Everybody, with everything that is kept of them and ``more``."""
        attributes = (*self.kept, *more)
        return SearchRequest(self.base, Scope.SUBTREE, self.everybody, attributes)

    def ids(self) -> SearchRequest:
        """Everybody, with nothing but the id."""
        attributes = (self.schema.id_attribute,)
        return SearchRequest(self.base, Scope.SUBTREE, self.everybody, attributes)

    def since(self, attribute: str, value: str, *more: str) -> SearchRequest:
        """Everybody who has changed since, as an attribute with an order says."""
        wanted = And((self.everybody, AtLeast(attribute, value)))
        attributes = (*self.kept, *more)
        return SearchRequest(self.base, Scope.SUBTREE, wanted, attributes)

    def named(self, entry_ids: Sequence[str]) -> SearchRequest:
        """Those of everybody who have one of these ids, which are no names."""
        one = Or(tuple(map(self.schema.has_id, entry_ids)))
        return replace(self.listing(), wanted=And((self.everybody, one)))

    def at(self, dn: str) -> SearchRequest:
        """The one with this name, if it is one of everybody."""
        return replace(self.listing(), base=dn, scope=Scope.BASE)

    def id_of(self, found: SearchEntry) -> str:
        """As the picture has it: of what has no usable id, its name."""
        return self.real_id_of(found) or dn_key(found.dn)

    def real_id_of(self, found: SearchEntry) -> str | None:
        return account_id_from(Entry(found.dn, found.attributes), self.schema)


def _written(value: object) -> str:
    """The same in every process: sets have no order there, and functions another address."""
    if is_dataclass(value) and not isinstance(value, type):
        # What is kept beside the fields follows from them, in an order that may be any.
        names = [each.name for each in fields(value) if not each.name.startswith("_")]
        parts = [f"{name}={_written(getattr(value, name))}" for name in names]
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(map(_written, value)))}}}"
    if isinstance(value, tuple):
        return f"({','.join(map(_written, value))})"
    return "" if callable(value) else repr(value)
