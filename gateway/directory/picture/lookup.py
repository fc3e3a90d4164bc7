"""Questions to the picture of one directory, answered at once.

Owns what the picture may be used for: whether it has ever been complete, was filled under the
settings in force, and is fresh enough to be asked before the servers. It never says that somebody
does not exist: whoever is not found may be new. A picture that cannot be read is as good as none.
Of one that was filled under other settings, or by another version, entries alone are believed, as
the settings in force read them, and only when the servers are down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn, TypeVar

from twisted.logger import Logger

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.core.log_text import escaped, shown
from gateway.core.ports.clock import WallClock
from gateway.core.ports.picture import (
    EntryKind,
    KeyKind,
    PicturedEntry,
    ReadsPicture,
    SourceState,
)
from gateway.directory.dn import dn_key
from gateway.directory.entries import Entry, account_from, has_address, links_of
from gateway.directory.ldap.seldom import Seldom
from gateway.directory.logins import wanted_person
from gateway.directory.picture.briefs import account_in, entry_in
from gateway.directory.picture.cursor import Cursor
from gateway.directory.picture.keys import MEMBERS_BY_SEARCH, address_key, logins_asked
from gateway.directory.schema import Schema
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.ldap.filters import And, Filter, FilterSyntax, matches

T = TypeVar("T")

_NONE: Sequence[PicturedEntry] = ()

LOOK_S = 1.0
"""The picture's state is read at most so often."""
TROUBLE_S = 60.0
"""Trouble with its file is logged at most so often."""


class Standing(IntEnum):
    """What the picture is good for."""

    ABSENT = 0
    """There is none, or none of the directory as the settings have it."""
    STALE = 1
    """For when the servers are down."""
    FRESH = 2
    """For everything."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """What is to be known to ask for a directory's picture.

    Args:
        picture: of all directories.
        source: the name of this one.
        schema: of it.
        fingerprint: of what it was asked (``source.Source.fingerprint``); empty: any.
        base: below which everybody was listed.
        fresh_s: since its last refresh the picture is asked before the servers.
        recent_s: the same for questions by id, whose answers end sessions.
    """

    picture: ReadsPicture
    source: str
    schema: Schema
    fingerprint: str = ""
    base: str = ""
    fresh_s: float = 600.0
    recent_s: float = 600.0


class Lookup:
    """Reads the picture for one directory."""

    log = Logger()

    def __init__(
        self,
        pictured: Pictured,
        seldom: Seldom,
        *,
        wall_clock: WallClock,
        monotonic: Callable[[], float],
    ) -> None:
        self._picture = pictured.picture
        self._source = pictured.source
        self._schema = pictured.schema
        self._fingerprint = pictured.fingerprint
        self._fresh_s = pictured.fresh_s
        self._seldom = seldom
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._state = SourceState()
        self._standing = Standing.ABSENT
        self._other_settings = False
        self._next_look = float("-inf")
        self._next_complaint = float("-inf")

    @property
    def standing(self) -> Standing:
        if self._monotonic() >= self._next_look:
            self._look()
        return self._standing

    @property
    def shows_everybody(self) -> bool:
        """Whether whoever the settings in force mean was there at the last look, or is in it."""
        return self.standing is not Standing.ABSENT and not self._other_settings

    @property
    def version(self) -> int:
        """Of the people and groups, as of the last look."""
        return self._state.version

    @property
    def age_s(self) -> float:
        """Since when changes are not known; clocks may have been put back."""
        return max(0.0, self._wall_clock() - self._state.refreshed_at)

    def recipient(self, addresses: Sequence[Address]) -> Account | PicturedEntry | None:
        """Who has the first of these that anybody has; a group as it is kept.

        Raises: DirectoryMistake.
        """
        for address in addresses:
            found = self._having(address)
            if found:
                only = self._only(found, str(address))
                return only if only.kind is EntryKind.GROUP else self._owner(only, address)
        return None

    def by_address(self, address: Address, kind: EntryKind) -> PicturedEntry | None:
        """The one person, or the one group, with this address. Raises: DirectoryMistake."""
        found = [each for each in self._having(address) if each.kind is kind]
        return self._only(found, str(address)) if found else None

    def person(self, address: Address) -> Account | None:
        """Raises: DirectoryMistake."""
        found = self.by_address(address, EntryKind.PERSON)
        return None if found is None else self._owner(found, address)

    @property
    def has_dynamic_groups(self) -> bool:
        """Whether there are members whom no group names, so that servers know more of them."""
        keys = (MEMBERS_BY_SEARCH,)
        found = self._read(lambda: self._picture.find(KeyKind.VALUE, keys), _NONE)
        return any(each.source == self._source for each in found)

    def page(self, after: str, limit: int) -> Sequence[Account]:
        """People in the order of their ids; who is kept by another version is left out."""
        kind = EntryKind.PERSON
        kept = self._read(lambda: self._picture.page(self._source, kind, after, limit), _NONE)
        return [account for each in kept if (account := self.account_of(each)) is not None]

    def by_id(self, account_id: AccountId) -> Account | None:
        entry = self._read(lambda: self._picture.entry(self._source, account_id), None)
        if entry is None or entry.kind is not EntryKind.PERSON:
            return None
        return self.account_of(entry)

    def called(self, login_or_address: str) -> Account | None:
        """As ``Directory.find``. Raises: DirectoryMistake."""
        wanted = wanted_person(login_or_address, self._schema)
        if wanted is None:
            return None
        keys = sorted(logins_asked(wanted, self._schema))
        found = {each.entry_id: each for each in self._wholes(KeyKind.LOGIN, keys)}
        try:
            key = address_key(parse_mailbox(login_or_address))
        except AddressSyntax:
            pass
        else:
            found.update((each.entry_id, each) for each in self._wholes(KeyKind.ADDRESS, (key,)))
        rest = without_kind(wanted, self._schema)
        matching = [each for each in found.values() if self._matches(each, rest)]
        return self.account_of(self._only(matching, login_or_address)) if matching else None

    # -- the picture itself

    def _having(self, address: Address) -> Sequence[PicturedEntry]:
        try:  # asked for every recipient
            found = self._picture.find(KeyKind.ADDRESS, (address_key(address),))
        except StoreUnavailable as error:
            self._complain(error)
            return _NONE
        source = self._source
        if len(found) == 1 and found[0].source == source:
            return found
        return [each for each in found if each.source == source]

    def _wholes(self, kind: KeyKind, keys: Sequence[str]) -> list[PicturedEntry]:
        found = self._read(lambda: self._picture.wholes(kind, keys), _NONE)
        mine = (each for each in found if each.source == self._source)
        return [each for each in mine if each.kind is EntryKind.PERSON]

    @staticmethod
    def _matches(kept: PicturedEntry, rest: Filter) -> bool:
        entry = entry_in(kept.whole)
        try:
            return entry is not None and matches(rest, entry.attributes)
        except FilterSyntax:  # a rule that only a server can evaluate
            return False

    def says_still(self, account: Account) -> bool:
        """Whether time alone cannot have changed what is said here of an account."""
        until = account.state_until
        return not until or self._wall_clock() < until

    def account_of(self, kept: PicturedEntry) -> Account | None:
        """Of a person, as they are by now; None: that cannot be said."""
        account = None if self._other_settings else account_in(kept.brief)
        if account is not None and self.says_still(account):
            return account
        # An account that has expired meanwhile, say: its entry is the same, its state is not. Where
        # the entry says no more than before, only the servers know.
        whole = self._read(lambda: self._picture.entry(kept.source, kept.entry_id), None)
        entry = None if whole is None else entry_in(whole.whole)
        try:
            now = account if entry is None else self._made_again(entry)
        except DirectoryMistake:
            return account
        if account is None or now is None or _said(now) != _said(account):
            return now
        return account

    def _owner(self, kept: PicturedEntry, address: Address) -> Account | None:
        account = self.account_of(kept)
        if account is None or not self._other_settings:
            return account
        return account if has_address(account.addresses, address) else None

    def _made_again(self, entry: Entry) -> Account:
        """As it is by now, with the entries that it leads to; one of them that is not in the
        picture leaves it doubtful (``says_still``). Raises: DirectoryMistake."""
        linked: dict[str, Entry] = {}
        for dn in links_of(entry, self._schema):
            key = dn_key(dn)
            there = self._named(key)
            if there is None:
                return account_from(entry, self._schema)
            linked[key] = there
        return account_from(entry, self._schema, linked)

    def _named(self, key: str) -> Entry | None:
        found = self._read(lambda: self._picture.wholes(KeyKind.DN, (key,)), _NONE)
        mine = [each for each in found if each.source == self._source]
        return entry_in(mine[0].whole) if len(mine) == 1 else None

    def _only(self, found: Sequence[PicturedEntry], asked: str) -> PicturedEntry:
        if len(found) > 1:
            self._refuse(found, asked)
        return found[0]

    def _refuse(self, found: Sequence[PicturedEntry], asked: str) -> NoReturn:
        """SECURITY L5: never the first of several."""
        names = ", ".join(shown(each.entry_id) for each in found[:3])
        self._seldom.tell(
            f"{len(found)} entries of the directory match {shown(asked)},"
            f" and nobody gets it: {names}"
        )
        raise DirectoryMistake(reason="ambiguous", entries=names)

    def _look(self) -> None:
        self._next_look = self._monotonic() + LOOK_S
        self._state = self._read(lambda: self._picture.state(self._source), SourceState())
        self._standing = self._judged()

    def _judged(self) -> Standing:
        state = self._state
        if not state.listed_at:
            return Standing.ABSENT
        cursor = Cursor.parse(state.cursor) if self._fingerprint else None
        # The ids in what was finished then may be other ones.
        self._other_settings = cursor is not None and cursor.fingerprint != self._fingerprint
        if self._other_settings:
            return Standing.STALE
        # A time far in the future tells nothing, but that the clock has been put back.
        since = abs(self._wall_clock() - state.refreshed_at)
        return Standing.FRESH if since <= self._fresh_s else Standing.STALE

    def _read(self, question: Callable[[], T], otherwise: T) -> T:
        try:
            return question()
        except StoreUnavailable as error:
            self._complain(error)
            return otherwise

    def _complain(self, error: StoreUnavailable) -> None:
        now = self._monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + TROUBLE_S
            self.log.error(
                "the picture of the directory cannot be read, so the servers are asked: {why}",
                why=escaped(str(error)),
            )


def _said(account: Account) -> tuple[object, ...]:
    """What time or another entry may have changed."""
    return account.enabled, account.locked, account.condition, account.elsewhere


def without_kind(wanted: Filter, schema: Schema) -> Filter:
    """What a filter of ``Schema`` asks besides whether it is a person: the picture knows that, and
    a server's own rule cannot be evaluated here."""
    if isinstance(wanted, And):
        kinds = (schema.person, schema.group)
        return And(tuple(each for each in wanted.operands if each not in kinds))
    return wanted
