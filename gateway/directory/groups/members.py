"""Everybody in a group of the directory, the same from servers, a file and the picture.

Owns the walk: where the server can follow membership itself it is asked once (SECURITY L18);
otherwise by level, each entry once, so that a group in itself ends; entries asked for in batches.
People whose primary group it is and members by search are asked for besides. Whoever is named and
cannot get mail (no such entry, no address, not usable) is skipped and said in ``Group.dead``;
trouble with the directory is never that. Waits where its ``Entries`` do; those in memory never do.

Limits: those of ``bounds``, ``schema.members`` members, MAX_DEAD texts, MAX_NAMED names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeVar

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.group import Group
from gateway.core.log_text import shown
from gateway.directory.dn import dn_key
from gateway.directory.entries import (
    Entry,
    account_from,
    account_id_from,
    addresses_from,
    display_name_from,
    links_of,
    unusable,
)
from gateway.directory.groups.asking import (
    BATCH,
    Entries,
    Kind,
    Search,
    Subject,
    TooMany,
    addresses_of,
    kind_of,
    name_of,
)
from gateway.directory.groups.bounds import MAX_DEPTH, Effort
from gateway.directory.groups.dynamic import dynamic_of, in_words
from gateway.directory.groups.told import Told, members_told, rid_of
from gateway.directory.logins import login_is_possible
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import And, Equal, FilterSyntax, Or, matches

MAX_DEAD = 100
MAX_NAMED = 100
"""Groups inside, and searches, that are told of."""


T = TypeVar("T")


def bare_group(entry: Entry, schema: Schema) -> Group:
    """The group itself, without members. Raises: DirectoryUnavailable (the entry is unusable)."""
    addresses = addresses_from(entry, schema)
    if not addresses:
        raise unusable(entry, "no usable address")
    return Group(
        group_id=account_id_from(entry, schema) or dn_key(entry.dn),
        addresses=addresses,
        members=(),
        display_name=display_name_from(entry, schema),
    )


class Members:
    """Everybody in one group, as far as they have been found."""

    def __init__(self, schema: Schema, entries: Entries, effort: Effort) -> None:
        self._schema = schema
        self._entries = entries
        self._effort = effort
        self._seen: set[str] = set()
        self._groups: set[str] = set()
        self.addresses: dict[str, None] = {}
        self.people: dict[str, Account] = {}
        self.dead: list[str] = []
        self.nested: list[str] = []
        self.dynamic: list[str] = []
        self._forwarding: dict[str, Entry] = {}

    async def follow_links(self) -> None:
        """Learn where those forward their mail to who name an entry for that."""
        named = [dn for each in self._forwarding.values() for dn in links_of(each, self._schema)]
        if named:
            found = await self._entries.named(list({dn_key(dn): dn for dn in named}.values()))
            for key, entry in self._forwarding.items():
                self.people[key] = account_from(entry, self._schema, found)

    async def collect(self, group: Entry) -> None:
        """Raises: ExpansionFailed."""
        self._seen.add(dn_key(group.dn))
        self._groups.add(dn_key(group.dn))
        try:
            below = await self._entries.below(group, self._effort.most)
        except TooMany:
            raise self._effort.failed(f"more than {self._effort.most} members") from None
        level = [group]
        if below is not None:
            level += await self._take_found(below)
        for depth in range(MAX_DEPTH + 1):
            level = await self._members_of(level, by_dn=below is None or depth > 0)
            if not level:
                return
        raise self._effort.failed(f"more than {MAX_DEPTH} levels deep")

    async def _members_of(self, groups: Sequence[Entry], *, by_dn: bool) -> list[Entry]:
        """Add the members of these; those that are groups come back."""
        if by_dn:
            groups = [await self._entries.whole(each) for each in groups]
        told = await members_told(
            groups, self._schema, self._seen, by_dn=by_dn, pause=self._effort.breathe
        )
        for octets in told.octets:
            self._effort.count(octets)
        for text in told.unusable:
            self._skip(shown(text), "neither a DN nor an address nor a login")
        inner = await self._take_dns(told.dns)
        await self._take_addresses(told.addresses)
        await self._take_logins(told)
        inner += await self._take_searches(groups)
        return inner

    async def _take_dns(self, dns: Sequence[str]) -> list[Entry]:
        groups: list[Entry] = []
        for batch in _batches(dns):
            found = await self._entries.named(batch)
            for dn in batch:
                subject = found.get(dn_key(dn))
                if subject is None:
                    self._skip(shown(dn), "there is no such entry")
                else:
                    groups += self._take(subject)
            await self._effort.breathe()
        return groups

    async def _take_found(self, subjects: Sequence[Subject]) -> list[Entry]:
        """Those that a search has found; they count as members only now."""
        groups: list[Entry] = []
        for batch in _batches(subjects):
            for subject in batch:
                if isinstance(subject, Entry):
                    key = dn_key(subject.dn)
                    if key in self._seen:
                        continue
                    self._seen.add(key)
                self._effort.count(len(name_of(subject)))
                groups += self._take(subject)
            await self._effort.breathe()
        return groups

    async def _take_addresses(self, addresses: Sequence[Address]) -> None:
        """Addresses nobody here has stay as they are: of groups, of aliases, elsewhere."""
        for batch in _batches(addresses):
            found = await self._entries.having(batch, self._schema.by_addresses(batch))
            known = [(subject, addresses_of(subject, self._schema)) for subject in found]
            owners: dict[str, list[Subject]] = {}
            for subject, own in known:
                for text in dict.fromkeys(map(str.casefold, own)):
                    owners.setdefault(text, []).append(subject)
            for address in batch:
                self._take_owners(str(address).lower(), owners.get(str(address).casefold(), []))
            await self._effort.breathe()

    def _take_owners(self, address: str, owners: Sequence[Subject]) -> None:
        if not owners:
            self.addresses.setdefault(address)
        elif len(owners) > 1:
            self._skip(shown(address), "several people have this address")
        else:
            self._take_person(owners[0], address)

    async def _take_logins(self, told: Told) -> None:
        for batch in _batches(told.logins):
            found = await self._entries.called(batch)
            called: dict[str, list[Subject]] = {}
            for subject in found:
                for login in self._logins_of(subject):
                    called.setdefault(login, []).append(subject)
            for login in batch:
                people = called.get(login.casefold(), [])
                if len(people) == 1:
                    self._take_person(people[0])
                else:
                    why = "several people have this login" if people else "nobody has this login"
                    self._skip(shown(login), why)
            await self._effort.breathe()

    def _logins_of(self, subject: Subject) -> set[str]:
        if isinstance(subject, Account):
            return {subject.login, *subject.addresses}
        names = self._schema.login_attributes
        values = (each for name in names for each in subject.attributes.get(name.lower(), ()))
        logins = {each.decode("utf-8", "replace").casefold() for each in values}
        return {each for each in logins if login_is_possible(each)}

    async def _take_searches(self, groups: Sequence[Entry]) -> list[Entry]:
        """People whose primary group is one of these, and members by search."""
        words, schema, most = self._schema.about_groups, self._schema, self._effort.most
        searches: list[Search] = []
        rids = [rid for each in groups if (rid := rid_of(each, words.sid)) is not None]
        for batch in _batches(rids if words.primary_group else []):
            any_of = Or(tuple(Equal(words.primary_group, str(rid)) for rid in batch))
            searches.append(Search(And((schema.person, any_of)), most))
        for group in groups:
            dynamic = dynamic_of(group, words, most)
            for mistake in dynamic.mistakes:
                self._skip(name_of(group), mistake)
            searches += dynamic.searches
            told = map(in_words, dynamic.searches)
            self.dynamic += islice(told, MAX_NAMED - len(self.dynamic))
        inner: list[Entry] = []
        for search in searches:
            await self._effort.breathe()  # also between those that find nobody
            try:
                found = await self._entries.matching(search)
            except TooMany:
                raise self._effort.failed(f"more than {most} members by search") from None
            except FilterSyntax as error:
                self._skip(in_words(search), str(error))
            else:
                inner += await self._take_found(found)
        return inner

    # -- one of them

    def _take(self, subject: Subject) -> list[Entry]:
        """Add a member; comes back if it is a group."""
        match kind_of(subject, self._schema):
            case Kind.GROUP:
                assert isinstance(subject, Entry)
                return self._take_group(subject)
            case Kind.PERSON:
                self._take_person(subject)
            case Kind.OTHER:  # somebody elsewhere, or somebody only a server can tell
                if not self._is_left_out(subject):
                    known = addresses_of(subject, self._schema)
                    if known:
                        self.addresses.setdefault(known[0])
                    else:
                        self._skip(name_of(subject), "it has no mail address")
        return []

    def _take_group(self, group: Entry) -> list[Entry]:
        key = dn_key(group.dn)
        if key in self._groups:
            return []
        self._groups.add(key)
        if len(self.nested) < MAX_NAMED:
            self.nested.append(display_name_from(group, self._schema) or shown(group.dn))
        return [group]

    def _take_person(self, subject: Subject, address: str = "") -> None:
        """``address``: by which they are named; empty: their primary one."""
        try:
            account = (
                subject if isinstance(subject, Account) else account_from(subject, self._schema)
            )
        except DirectoryUnavailable as error:
            self._skip(address or name_of(subject), str(error.fields.get("reason")))
            return
        if self._schema.about_groups.leaves_out_disabled and not account.enabled:
            self._skip(name_of(subject), "this person is disabled")
        elif not account.addresses:
            self._skip(name_of(subject), "this person has no mail address")
        elif not self._is_left_out(subject):
            key = address or account.primary_address
            self.addresses.setdefault(key)
            kept = self.people.setdefault(key, account)
            if kept is account and isinstance(subject, Entry) and links_of(subject, self._schema):
                self._forwarding[key] = subject

    def _is_left_out(self, subject: Subject) -> bool:
        rule = self._schema.about_groups.left_out
        if rule is None or not isinstance(subject, Entry) or not matches(rule, subject.attributes):
            return False
        self._skip(name_of(subject), "left out by the settings")
        return True

    def _skip(self, member: str, why: str) -> None:
        if len(self.dead) < MAX_DEAD:
            self.dead.append(f"{member}: {why}")


def _batches(everything: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(everything), BATCH):
        yield everything[start : start + BATCH]
