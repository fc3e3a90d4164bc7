"""Entries of LDAP servers as expanding groups asks for them.

Owns which searches that are. Members are read many at a time by their own name (RFC 5020; AD's
distinguishedName), and those that are not found so one by one: a server may not know that
attribute, or they are elsewhere in its tree. Active Directory, as its root DSE says, follows
membership through groups itself: it is asked so for a person's groups and for the members of large
ones, within CHAIN_LIMIT_S (SECURITY L18); where it gives up, the next CHAIN_PAUSE_S do without. It
gives the members of large groups in steps, which are all read.

Nothing outside the directory's base is searched for members, and never another server (F3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, FirstError, gatherResults

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.log_text import shown
from gateway.directory.dn import dn_key, is_below
from gateway.directory.entries import Entry
from gateway.directory.groups.asking import BATCH, MAX_GROUPS, Ambiguous, Search, TooMany
from gateway.directory.ldap.asking import Asks, Found, LdapFailed
from gateway.directory.ldap.member_steps import in_steps
from gateway.directory.ldap.results import NO_SUCH_ENTRY, SIZE_LIMIT_EXCEEDED, SUCCESS
from gateway.directory.schema import Schema
from gateway.wire.ldap.controls import page_of, paged
from gateway.wire.ldap.filters import And, Equal, Extensible, Filter, FilterSyntax, Or, Present
from gateway.wire.ldap.messages import Scope, SearchEntry, SearchRequest

PAGE = 500
AT_ONCE = 20
"""Single reads under way together."""
CHAIN_FROM = 500
"""Members of a group, from which on."""
CHAIN_LIMIT_S = 4
CHAIN_PAUSE_S = 600.0
ACTIVE_DIRECTORY = "1.2.840.113556.1.4.800"  # MS-ADTS section 3.1.1.3.4.3.1, a capability
_ANY = Present("objectClass")


class ServerEntries:
    """Implements ``groups.asking.Entries``; one for a directory, for as long as that lasts.

    Args:
        base: people and groups are below it.
        monotonic: seconds that never jump.
    """

    def __init__(
        self,
        asks: Asks,
        base: str,
        schema: Schema,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asks = asks
        self._base = base
        self._schema = schema
        self._attributes = schema.requested_of_recipients
        self._monotonic = monotonic
        self._is_ad: bool | None = None
        self._no_chain_until = float("-inf")

    # -- one or many by name

    async def having(self, addresses: Sequence[Address], wanted: Filter) -> Sequence[Entry]:
        try:
            return await self._some(wanted, 2 * len(addresses))
        except TooMany:
            names = f"too many entries have one of {len(addresses)} addresses"
            raise Ambiguous(names) from None

    async def named(self, dns: Sequence[str]) -> Mapping[str, Entry]:
        found: dict[str, Entry] = {}
        if len(dns) > 1:
            for start in range(0, len(dns), BATCH):
                batch = dns[start : start + BATCH]
                wanted = Or(tuple(Equal(self._schema.about_groups.dn, dn) for dn in batch))
                try:
                    entries_found = await self._some(wanted, len(batch))
                except TooMany:
                    raise LdapFailed("several entries have one DN") from None
                found.update((dn_key(entry.dn), entry) for entry in entries_found)
        missing = [dn for dn in dns if dn_key(dn) not in found]
        for start in range(0, len(missing), AT_ONCE):
            batch = missing[start : start + AT_ONCE]
            reads = [Deferred.fromCoroutine(self._read(dn)) for dn in batch]
            try:
                entries = await gatherResults(reads, consumeErrors=True)
            except FirstError as error:
                error.subFailure.raiseException()
                raise
            for dn, read in zip(batch, entries, strict=True):
                if read is not None:
                    found[dn_key(dn)] = read
        return found

    async def called(self, logins: Sequence[str]) -> Sequence[Entry]:
        schema = self._schema
        names = schema.login_attributes
        wanted = Or(tuple(Equal(name, login) for login in logins for name in names))
        try:
            return await self._some(And((schema.person, wanted)), 2 * len(logins))
        except TooMany:
            raise Ambiguous(f"too many people have one of {len(logins)} logins") from None

    async def of(self, account: Account) -> Entry | None:
        schema = self._schema
        wanted = schema.by_id(account.account_id)
        try:
            found = await self._some(wanted, 1, schema.requested_of_members)
        except TooMany:
            names = f"several have {schema.id_attribute} {account.account_id}"
            raise Ambiguous(names) from None
        return found[0] if found else None

    async def groups_with(
        self, dns: Sequence[str], addresses: Sequence[str], logins: Sequence[str] = ()
    ) -> Sequence[Entry]:
        schema = self._schema
        if schema.group is None:
            return ()
        names, login_names = schema.member_attributes, schema.about_groups.member_logins
        asked = [
            *(Equal(name, text) for text in (*dns, *addresses, *logins) for name in names),
            *(Equal(name, text) for text in logins for name in login_names),
        ]
        groups: dict[str, Entry] = {}
        for start in range(0, len(asked), BATCH):
            one_of = Or(tuple(asked[start : start + BATCH]))
            found = await self._groups(And((schema.group, one_of)))
            groups.update((entry.dn, entry) for entry in found)
        return tuple(groups.values())

    # -- many by search

    async def matching(self, search: Search) -> Sequence[Entry]:
        base = search.base or self._base
        if not is_below(base, self._base):
            raise FilterSyntax(f"{shown(base, 200)} is not below the directory's base")
        return await self._all(search, base)

    async def below(self, group: Entry, most: int) -> Sequence[Entry] | None:
        names = self._schema.member_of_attributes
        # The server looks at everybody it has: for fewer members levels are as quick, and cheaper.
        many = sum(map(len, group.attributes.values())) > CHAIN_FROM
        if not names or not many or not await self._follows_chains():
            return None
        wanted = self._in_chain(names[0], group.dn)
        try:
            return await self._all(Search(wanted, most), self._base, time_limit_s=CHAIN_LIMIT_S)
        except (LdapFailed, FilterSyntax):
            self._no_chain_until = self._monotonic() + CHAIN_PAUSE_S
            return None

    async def above(self, person: Entry) -> Sequence[Entry] | None:
        schema = self._schema
        names = schema.member_attributes
        if not names or schema.group is None or not await self._follows_chains():
            return None
        wanted = And((schema.group, self._in_chain(names[0], person.dn)))
        try:
            return await self._groups(wanted, CHAIN_LIMIT_S)
        except LdapFailed:
            self._no_chain_until = self._monotonic() + CHAIN_PAUSE_S
            return None

    async def whole(self, group: Entry) -> Entry:
        """MS-ADTS section 3.1.1.3.1.3.3: ``member;range=0-1499``, and then the next."""

        async def reads(dn: str, attribute: str) -> Sequence[SearchEntry]:
            found = await self._ask(_ANY, 1, (attribute,), base=dn, scope=Scope.BASE)
            return found.entries

        return await in_steps(group, self._schema.members, reads)

    # -- asking

    def _in_chain(self, attribute: str, dn: str) -> Filter:
        return Extensible(attribute, f":{self._schema.about_groups.chain_rule}", dn)

    async def _follows_chains(self) -> bool:
        if not self._schema.about_groups.chain_rule or self._monotonic() < self._no_chain_until:
            return False
        if self._is_ad is None:
            asked = ("supportedCapabilities",)
            found = await self._ask(_ANY, 1, asked, base="", scope=Scope.BASE)
            told = found.entries[0].attributes if found.entries else {}
            self._is_ad = ACTIVE_DIRECTORY.encode() in told.get("supportedcapabilities", ())
        return self._is_ad

    async def _read(self, dn: str) -> Entry | None:
        """The entry with this DN; None: there is none."""
        found = await self._ask(
            _ANY, 1, self._attributes, base=dn, scope=Scope.BASE, fine=NO_SUCH_ENTRY
        )
        return _entry(found.entries[0]) if found.entries else None

    async def _groups(self, wanted: Filter, time_limit_s: int = 0) -> Sequence[Entry]:
        try:
            return await self._some(
                wanted, MAX_GROUPS, self._schema.requested, time_limit_s=time_limit_s
            )
        except TooMany:
            raise LdapFailed(f"more than {MAX_GROUPS} groups have one member") from None

    async def _some(
        self,
        wanted: Filter,
        most: int,
        attributes: Sequence[str] = (),
        *,
        time_limit_s: int = 0,
    ) -> Sequence[Entry]:
        """Raises: TooMany."""
        found = await self._ask(
            wanted, most, tuple(attributes or self._attributes), time_limit_s=time_limit_s
        )
        return _entries(found)

    async def _all(self, search: Search, base: str, time_limit_s: int = 0) -> Sequence[Entry]:
        """As many as the search may bring: in one piece if they are few, in pages otherwise.

        Raises: TooMany; FilterSyntax (the server cannot make anything of it).
        """
        small = min(search.most, PAGE)
        request = SearchRequest(
            base, search.scope, search.wanted, self._attributes, small, time_limit_s
        )
        found = await self._asks.search(request)
        if found.result.code != SIZE_LIMIT_EXCEEDED:
            _check_search(found)
            return _entries(found)
        if search.most <= PAGE:
            raise TooMany
        request = SearchRequest(
            base, search.scope, search.wanted, self._attributes, 0, time_limit_s
        )
        return await self._pages(request, search.most)

    async def _pages(self, request: SearchRequest, most: int) -> Sequence[Entry]:
        """On one connection, as a page's cookie may be that connection's own (RFC 2696)."""
        entries: list[Entry] = []
        listening = await self._asks.listening()
        try:
            cookie = b""
            while True:
                found = await listening.search(request, (paged(PAGE, cookie),))
                _check_search(found)
                entries += _entries(found)
                page = page_of(found.controls)
                if len(entries) > most:
                    raise TooMany
                if page is None or not page.cookie:
                    return entries
                cookie = page.cookie
        finally:
            await listening.close()

    async def _ask(
        self,
        wanted: Filter,
        most: int,
        attributes: tuple[str, ...],
        *,
        base: str | None = None,
        scope: Scope = Scope.SUBTREE,
        time_limit_s: int = 0,
        fine: Sequence[int] = (),
    ) -> Found:
        """Raises: LdapFailed, TooMany."""
        where = self._base if base is None else base
        request = SearchRequest(where, scope, wanted, attributes, most, time_limit_s)
        found = await self._asks.search(request)
        code = found.result.code
        if code == SIZE_LIMIT_EXCEEDED:
            raise TooMany
        if code != SUCCESS and code not in fine:
            raise LdapFailed(_trouble(found))
        return found


_SAYS_NO = (*NO_SUCH_ENTRY, 16, 17, 18, 21)
"""No such base, attribute, or matching rule for it: the search's own fault."""


def _check_search(found: Found) -> None:
    code = found.result.code
    if code in _SAYS_NO:
        raise FilterSyntax(f"the server says no: {_trouble(found)}")
    if code == SIZE_LIMIT_EXCEEDED:
        raise TooMany
    if code != SUCCESS:
        raise LdapFailed(_trouble(found))


def _trouble(found: Found) -> str:
    return f"searching: result code {found.result.code}: {shown(found.result.diagnostic, 200)}"


def _entries(found: Found) -> list[Entry]:
    return [_entry(each) for each in found.entries if each.dn]


def _entry(found: SearchEntry) -> Entry:
    return Entry(found.dn, found.attributes)
