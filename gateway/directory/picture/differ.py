"""What an answer changes in the picture: entries as they come, told to whoever follows people.

Owns the comparison with what was last seen, and the order of things: first told, then put, so that
nothing is told too seldom (``core.ports.people``). Who would be cut off (disabled now, without an
address now, no person any more) is withheld until it has been asked about once more (``settle``).
An entry that cannot be used is a mistake in the directory: it is counted, and what was last usable
stays (SECURITY L25).

Puts in steps of BATCH entries, and lets the reactor do what else waits every SLICE_S. Limits:
EXAMPLES names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.account import Account
from gateway.core.errors import GatewayError
from gateway.core.log_text import shown
from gateway.core.ports.clock import Timers
from gateway.core.ports.people import PeopleChanged, PersonChange
from gateway.core.ports.picture import EntryKind, PicturedEntry, WritesPicture
from gateway.directory.entries import Entry
from gateway.directory.picture.questions import breathe
from gateway.directory.picture.source import BATCH, Source
from gateway.wire.ldap.messages import SearchEntry

EXAMPLES = 20
SLICE_S = 0.008


class Differ:
    """For one refresh.

    Args:
        listing: the number of the listing whose entries these are; 0: of none.
    """

    def __init__(
        self,
        source: Source,
        picture: WritesPicture,
        tells: PeopleChanged,
        timers: Timers,
        *,
        listing: int = 0,
    ) -> None:
        self._source = source
        self._picture = picture
        self._tells = tells
        self._timers = timers
        self._listing = listing
        self.taken = 0
        self.changed = 0
        self.withheld: dict[str, str] = {}
        """Ids of those who would be cut off, with a name for administrators."""
        self.unusable = 0
        self.examples: list[str] = []
        """Of entries that cannot be used."""

    async def take(self, found: Sequence[SearchEntry], *, confirmed: bool = False) -> None:
        """Put into the picture what these entries say.

        Args:
            confirmed: nobody is withheld.

        Raises: GatewayError (not everything is put or told).
        """
        for start in range(0, len(found), BATCH):
            await self._take(found[start : start + BATCH], confirmed)
            await breathe(self._timers)

    async def _take(self, found: Sequence[SearchEntry], confirmed: bool) -> None:
        changes: list[PersonChange] = []
        new: list[PicturedEntry] = []
        seen: list[str] = []
        began = self._timers.seconds()
        for each in found:
            if self._timers.seconds() - began > SLICE_S:  # large groups
                await breathe(self._timers)
                began = self._timers.seconds()
            self.taken += 1
            now = self._pictured(each, seen)
            if now is None:
                continue
            before = self._picture.entry(self._source.name, now.entry_id)
            if before is not None and _same(before, now):
                seen.append(now.entry_id)
                continue
            was, person = self._person(before), self._person(now)
            if was is not None and _cut_off(was, person) and not confirmed:
                self.withheld[now.entry_id] = called(was)
                seen.append(now.entry_id)
                continue
            if was != person:
                changes.append(PersonChange(self._source.name, was, person))
            new.append(now)
        if changes:
            await self._tells.changed(changes)
        if new:
            self.changed += len(new)
            await self._picture.put(new, listing=self._listing)
        if seen and self._listing:
            await self._picture.saw(self._source.name, seen, listing=self._listing)

    def _pictured(self, found: SearchEntry, seen: list[str]) -> PicturedEntry | None:
        entry = Entry(found.dn, found.attributes)
        try:
            return self._source.depicts.pictured(entry)
        except GatewayError as error:
            self.unusable += 1
            if len(self.examples) < EXAMPLES:
                why = error.fields.get("reason", error.safe_text)
                self.examples.append(f"{shown(found.dn)}: {why}")
        seen.append(self._source.id_of(found))  # somebody is there, whatever they are
        return None

    def _person(self, entry: PicturedEntry | None) -> Account | None:
        if entry is None or entry.kind is not EntryKind.PERSON:
            return None
        return self._source.depicts.account(entry)

    async def known(self, entry_ids: Sequence[str]) -> list[PicturedEntry]:
        """Those of them that are in the picture; there may be many."""
        found: list[PicturedEntry] = []
        began = self._timers.seconds()
        for each in entry_ids:
            if self._timers.seconds() - began > SLICE_S:
                await breathe(self._timers)
                began = self._timers.seconds()
            entry = self._picture.entry(self._source.name, each)
            if entry is not None:
                found.append(replace(entry, whole=b""))
        return found

    def name_of(self, entry: PicturedEntry) -> str:
        """For administrators."""
        account = self._person(entry)
        if account is not None:
            return called(account)
        return f"{entry.kind.name.lower()} {shown(entry.entry_id)}"

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """These are gone. Raises: GatewayError."""
        leaving = await self.known(entry_ids)
        changes = [
            PersonChange(self._source.name, was, None)
            for was in map(self._person, leaving)
            if was is not None
        ]
        if changes:
            await self._tells.changed(changes)
        if leaving:
            self.changed += len(leaving)
            await self._picture.remove(self._source.name, [each.entry_id for each in leaving])


def called(account: Account) -> str:
    """For administrators."""
    return shown(account.primary_address or account.login)


def _same(before: PicturedEntry, now: PicturedEntry) -> bool:
    return (before.kind, before.brief, before.whole) == (now.kind, now.brief, now.whole)


def _cut_off(was: Account, now: Account | None) -> bool:
    if now is None:
        return True
    return (was.enabled and not now.enabled) or bool(was.addresses and not now.addresses)
