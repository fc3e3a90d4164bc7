"""The port to the picture of the directory: what was last seen of it, kept on disk.

Owns values and shapes alone. The picture can be lost: it is filled again from the directory. One
process writes, all read; reading is synchronous and takes microseconds, so that a recipient is
found without a trip to anybody. What the octets mean is the directory package's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol


class KeyKind(IntEnum):
    """What entries are found by."""

    ADDRESS = 1
    LOGIN = 2
    DN = 3
    MEMBER = 4
    """Of groups: whom they name, as the key of a DN, as an address or as a login."""
    VALUE = 5
    """Of both: a value of an attribute that they are searched for by."""


class EntryKind(IntEnum):
    PERSON = 1
    GROUP = 2
    CONTACT = 3
    """Somebody elsewhere, whom groups have as a member; found by DN alone."""


@dataclass(frozen=True, slots=True)
class PicturedEntry:
    """One person, group or contact.

    Args:
        source: the name of the directory it is from; one of a few.
        entry_id: the immutable id there.
        brief: a person's finished Account, what most questions want; empty for others.
        whole: the entry as it came, where more is wanted; read on demand.
        keys: under which it is found; compared octet for octet.
    """

    source: str
    entry_id: str
    kind: EntryKind
    brief: bytes
    whole: bytes = field(default=b"", repr=False)
    keys: tuple[tuple[KeyKind, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceState:
    """How far the picture of one directory is.

    Args:
        cursor: where the next refresh goes on, in words of the way it was made; empty: nowhere.
        listed_at: Unix time of the last complete listing; 0: there has been none, so that whoever
            is not in the picture may exist.
        refreshed_at: Unix time up to which changes are known.
        people, groups: in the picture.
        stopped: why refreshing has stopped until an administrator says go on; empty: it has not.
        version: rises with every change of people or groups.
    """

    cursor: str = ""
    listed_at: int = 0
    refreshed_at: int = 0
    people: int = 0
    groups: int = 0
    stopped: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class SharedKey:
    """What several entries have although it should belong to one.

    Args:
        entry_ids: each as (source, id), in their order; bounded.
    """

    key: str
    entry_ids: tuple[tuple[str, str], ...]


class ReadsPicture(Protocol):
    """Synchronous; any method may raise StoreUnavailable."""

    def find(self, kind: KeyKind, keys: Sequence[str], limit: int = 0) -> Sequence[PicturedEntry]:
        """Everybody with one of these keys, without ``whole`` and ``keys``; each once.

        Args:
            limit: so many with each key; 0: all of them.
        """
        ...

    def entry(self, source: str, entry_id: str) -> PicturedEntry | None:
        """With ``whole``."""
        ...

    def wholes(self, kind: KeyKind, keys: Sequence[str]) -> Sequence[PicturedEntry]:
        """As ``find``, with ``whole``."""
        ...

    def page(self, source: str, kind: EntryKind, after: str, limit: int) -> Sequence[PicturedEntry]:
        """In the order of their ids, beginning behind ``after``."""
        ...

    def state(self, source: str) -> SourceState: ...


class WritesPicture(ReadsPicture, Protocol):
    """For the one process that refreshes; in threads of the implementation's own."""

    async def put(self, entries: Sequence[PicturedEntry], *, listing: int = 0) -> None:
        """Add these or put them in the place of what they were. In pieces: each entry is as it
        was or as it shall be, whatever happens in between.

        Args:
            listing: the number of the listing that saw them; 0: none, but what is put after a
                listing has begun exists, whether or not that sees it.
        """
        ...

    async def saw(self, source: str, entry_ids: Sequence[str], *, listing: int) -> None:
        """These exist, unchanged."""
        ...

    async def remove(self, source: str, entry_ids: Sequence[str]) -> None: ...

    async def new_listing(self, source: str) -> int:
        """A number above all that were."""
        ...

    async def unseen(self, source: str, listing: int, limit: int) -> Sequence[PicturedEntry]:
        """Those that a complete listing has not seen."""
        ...

    async def count_unseen(self, source: str, listing: int) -> tuple[int, int]:
        """How many people and how many groups that is."""
        ...

    async def note(self, source: str, state: SourceState) -> None:
        """``people``, ``groups`` and ``version`` are counted, not taken from here."""
        ...

    async def forget(self, source: str) -> None:
        """Everything about one directory."""
        ...

    async def sources(self) -> Sequence[str]:
        """The directories that there is anything about."""
        ...

    async def shared(self, kind: KeyKind, limit: int) -> Sequence[SharedKey]:
        """The first of the addresses or logins that more than one entry has, of any source."""
        ...
