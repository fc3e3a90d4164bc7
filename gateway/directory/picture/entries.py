"""Entries of the picture as ``groups`` asks for them: no trip to anybody, and breaths in between.

Owns which keys a question becomes. People come finished, as nothing else of them is wanted unless
the settings leave some members out. What the picture cannot know is NotHere, and the servers are
asked about all of it: a search by another filter, the rest of a member list that came in steps,
and, where that would lose mail, a member that is not among those seen (``Absent``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.ports.picture import EntryKind, KeyKind, PicturedEntry, ReadsPicture
from gateway.directory.dn import dn_key, is_below
from gateway.directory.entries import Entry
from gateway.directory.groups.asking import Search, Subject, TooMany
from gateway.directory.groups.bounds import Pause
from gateway.directory.groups.told import login_key as member_login_key
from gateway.directory.picture.briefs import entry_in
from gateway.directory.picture.keys import address_key, login_key, value_key
from gateway.directory.picture.lookup import without_kind
from gateway.directory.schema import Schema
from gateway.wire.ldap.filters import And, Equal, EqualOctets, Filter, Or

BREATH = 20
"""Large entries that are read in one go."""
RANGE = ";range="


class NotHere(Exception):
    """The picture does not say; the servers may."""


class Absent(Enum):
    """What it means that somebody is named who is not in the picture."""

    NOT_HERE = "the servers may know them"
    NOBODY_BELOW_BASE = "nobody, as all below the base were seen; elsewhere the servers may know"
    NOBODY = "nobody"


class PictureEntries:
    """Implements ``groups.asking.Entries``.

    Args:
        source: the directory's name.
        account_of: a person of the picture as they are by now; None: that is not to be said.
        pause: lets others run, between larger reads.
        base: of what the picture holds.
    """

    def __init__(
        self,
        picture: ReadsPicture,
        source: str,
        schema: Schema,
        account_of: Callable[[PicturedEntry], Account | None],
        pause: Pause,
        *,
        base: str,
        absent: Absent,
    ) -> None:
        self._picture = picture
        self._source = source
        self._schema = schema
        self._account_of = account_of
        self._pause = pause
        self._base = base
        self._absent = absent

    async def having(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Subject]:
        """People; ``groups`` asks for no others so."""
        keys = [address_key(each) for each in addresses]
        return self._subjects(KeyKind.ADDRESS, keys, EntryKind.PERSON)

    async def named(self, dns: Sequence[str]) -> Mapping[str, Subject]:
        found: dict[str, Subject] = {}
        for position, dn in enumerate(dns):
            key = dn_key(dn)
            subjects = self._subjects(KeyKind.DN, (key,))
            if len(subjects) == 1:
                found[key] = subjects[0]
            elif subjects or not self._is_nobody(dn):
                # Several: it is not seen yet where the former bearer of a name went (SECURITY L5).
                raise NotHere(dn)
            if position % BREATH == BREATH - 1:
                await self._pause()
        return found

    async def called(self, logins: Sequence[str]) -> Sequence[Subject]:
        found: list[Subject] = []
        for login in logins:
            subjects = self._subjects(KeyKind.LOGIN, (login_key(login),), EntryKind.PERSON)
            if not subjects and self._absent is Absent.NOT_HERE:
                raise NotHere(login)
            found += subjects
        return found

    async def matching(self, search: Search) -> Sequence[Subject]:
        words = self._schema.about_groups
        asked = list(_any_of(without_kind(search.wanted, self._schema)))
        names = {name for name, _ in asked}
        if search.base or not asked or "" in names:
            raise NotHere(str(search.wanted))
        keys = [value_key(name, value) for name, value in asked]
        if names == {words.primary_group.lower()}:
            kind = EntryKind.PERSON
        elif names == {words.sid.lower()}:
            kind = EntryKind.GROUP
        else:
            raise NotHere(str(search.wanted))
        found = self._subjects(KeyKind.VALUE, keys, kind, search.most + 1)
        if len(found) > search.most:
            raise TooMany
        return found

    async def whole(self, group: Entry) -> Entry:
        # MS-ADTS section 3.1.1.3.1.3.3: the last step ends with "*".
        if any(RANGE in name and not name.endswith("*") for name in group.attributes):
            raise NotHere(group.dn)
        return group

    async def below(self, group: Entry, most: int) -> Sequence[Subject] | None:
        return None

    async def of(self, account: Account) -> Entry | None:
        kept = self._picture.entry(self._source, account.account_id)
        entry = None if kept is None else entry_in(kept.whole)
        if entry is None:
            raise NotHere(account.account_id)
        return entry

    async def groups_with(
        self, dns: Sequence[str], addresses: Sequence[str], logins: Sequence[str] = ()
    ) -> Sequence[Entry]:
        keys = [
            *map(dn_key, dns),
            *map(str.casefold, addresses),
            *map(member_login_key, logins),
        ]
        ids: dict[str, None] = {}
        for key in keys:
            ids.update((each.entry_id, None) for each in self._of(KeyKind.MEMBER, (key,)))
        found: list[Entry] = []
        for position, entry_id in enumerate(ids):
            kept = self._picture.entry(self._source, entry_id)
            entry = None if kept is None else entry_in(kept.whole)
            if entry is None:
                raise NotHere(entry_id)
            found.append(entry)
            if position % BREATH == BREATH - 1:
                await self._pause()
        return found

    async def above(self, person: Entry) -> Sequence[Entry] | None:
        return None

    # -- the picture itself

    def _is_nobody(self, dn: str) -> bool:
        if self._absent is Absent.NOBODY_BELOW_BASE:
            return is_below(dn, self._base)
        return self._absent is Absent.NOBODY

    def _of(
        self, kind: KeyKind, keys: Sequence[str], wanted: EntryKind | None = None, limit: int = 0
    ) -> Iterator[PicturedEntry]:
        for each in self._picture.find(kind, keys, limit):
            if each.source == self._source and (wanted is None or each.kind is wanted):
                yield each

    def _subjects(
        self, kind: KeyKind, keys: Sequence[str], wanted: EntryKind | None = None, limit: int = 0
    ) -> list[Subject]:
        """Raises: NotHere."""
        found: list[Subject] = []
        for each in self._of(kind, keys, wanted, limit):
            subject: Subject | None
            if each.kind is EntryKind.PERSON and self._schema.about_groups.left_out is None:
                subject = self._account_of(each)
            else:
                kept = self._picture.entry(self._source, each.entry_id)
                subject = None if kept is None else entry_in(kept.whole)
            if subject is None:
                raise NotHere(each.entry_id)
            found.append(subject)
        return found


def _any_of(wanted: Filter) -> Iterator[tuple[str, bytes | str]]:
    """Attribute and value of each alternative; an empty name stands for anything else."""
    match wanted:
        case Equal(name, value) | EqualOctets(name, value):
            yield name.lower(), value
        case And((only,)):
            yield from _any_of(only)
        case Or(operands):
            for operand in operands:
                yield from _any_of(operand)
        case _:
            yield "", ""
