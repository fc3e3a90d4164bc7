"""A picture in memory: the port WritesPicture without a file, for tests of what is above it.

Tells each write to ``wrote``, so that a test can look in between or let one fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.core.ports.picture import (
    EntryKind,
    KeyKind,
    PicturedEntry,
    SharedKey,
    SourceState,
)

Key = tuple[str, str]


class MemoryPicture:
    """Implements WritesPicture."""

    def __init__(self) -> None:
        self.entries: dict[Key, PicturedEntry] = {}
        self.states: dict[str, SourceState] = {}
        self.seen: dict[Key, int] = {}
        self.listings: dict[str, int] = {}
        self.wrote: Callable[[str], None] = lambda method: None

    # -- reading

    def find(self, kind: KeyKind, keys: Sequence[str], limit: int = 0) -> Sequence[PicturedEntry]:
        found = self._having(kind, keys)
        return [replace(each, whole=b"", keys=()) for each in found][: limit * len(keys) or None]

    def _having(self, kind: KeyKind, keys: Sequence[str]) -> list[PicturedEntry]:
        wanted = {(kind, key) for key in keys}
        return [each for each in self.entries.values() if wanted & set(each.keys)]

    def entry(self, source: str, entry_id: str) -> PicturedEntry | None:
        found = self.entries.get((source, entry_id))
        return replace(found, keys=()) if found is not None else None

    def wholes(self, kind: KeyKind, keys: Sequence[str]) -> Sequence[PicturedEntry]:
        return [replace(each, keys=()) for each in self._having(kind, keys)]

    def page(self, source: str, kind: EntryKind, after: str, limit: int) -> Sequence[PicturedEntry]:
        found = sorted(
            (each for each in self.entries.values() if (each.source, each.kind) == (source, kind)),
            key=lambda each: each.entry_id,
        )
        later = [each for each in found if each.entry_id > after]
        return [replace(each, whole=b"", keys=()) for each in later[:limit]]

    def state(self, source: str) -> SourceState:
        kinds = [each.kind for each in self.entries.values() if each.source == source]
        return replace(
            self.states.get(source, SourceState()),
            people=kinds.count(EntryKind.PERSON),
            groups=kinds.count(EntryKind.GROUP),
        )

    # -- writing

    async def put(self, entries: Sequence[PicturedEntry], *, listing: int = 0) -> None:
        self.wrote("put")
        for each in entries:
            key = (each.source, each.entry_id)
            self.entries[key] = each
            # Who is put while a listing runs exists, whether or not that sees them.
            self.seen[key] = listing or self.listings.get(each.source, 0)

    async def saw(self, source: str, entry_ids: Sequence[str], *, listing: int) -> None:
        self.wrote("saw")
        for each in entry_ids:
            if (source, each) in self.entries:
                self.seen[source, each] = listing

    async def remove(self, source: str, entry_ids: Sequence[str]) -> None:
        self.wrote("remove")
        for each in entry_ids:
            self.entries.pop((source, each), None)

    async def new_listing(self, source: str) -> int:
        self.wrote("new_listing")
        number = self.listings[source] = self.listings.get(source, 0) + 1
        return number

    async def unseen(self, source: str, listing: int, limit: int) -> Sequence[PicturedEntry]:
        self.wrote("unseen")
        return [replace(each, whole=b"", keys=()) for each in self._unseen(source, listing)][:limit]

    async def count_unseen(self, source: str, listing: int) -> tuple[int, int]:
        self.wrote("count_unseen")
        kinds = [each.kind for each in self._unseen(source, listing)]
        return kinds.count(EntryKind.PERSON), kinds.count(EntryKind.GROUP)

    def _unseen(self, source: str, listing: int) -> list[PicturedEntry]:
        return [
            each
            for key, each in sorted(self.entries.items())
            if key[0] == source and self.seen[key] != listing
        ]

    async def note(self, source: str, state: SourceState) -> None:
        self.wrote("note")
        self.states[source] = state

    async def forget(self, source: str) -> None:
        self.wrote("forget")
        for key in [each for each in self.entries if each[0] == source]:
            del self.entries[key]
        self.states.pop(source, None)

    async def sources(self) -> Sequence[str]:
        return sorted({*self.states, *(source for source, _ in self.entries)})

    async def shared(self, kind: KeyKind, limit: int) -> Sequence[SharedKey]:
        owners: dict[str, list[Key]] = {}
        for key, each in sorted(self.entries.items()):
            for found, text in each.keys:
                if found is kind:
                    owners.setdefault(text, []).append(key)
        several = [SharedKey(text, tuple(ids)) for text, ids in owners.items() if len(ids) > 1]
        return several[:limit]
