"""The port to what is noted of people who have mailboxes: as last seen, away since when, and the
addresses that somebody had once.

Owns values and shapes alone. Times are Unix seconds, 0 where something is not so. Any method may
raise StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class PersonNote:
    """One person as the directory had them last.

    Args:
        addresses: all of them, case folded.
        noted_at: when this was written.
        disabled_since, gone_since: when it was noticed.
        removed_at: when an administrator had the mailboxes of somebody gone removed.
    """

    account_id: AccountId
    login: str = ""
    primary_address: str = ""
    addresses: tuple[str, ...] = ()
    noted_at: int = 0
    disabled_since: int = 0
    gone_since: int = 0
    removed_at: int = 0


@dataclass(frozen=True, slots=True)
class FormerAddress:
    """An address that this person had until then. An address is one person's at most.

    Args:
        address: case folded.
    """

    address: str
    account_id: AccountId
    since: int


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody who has mailboxes here, or of whom there is a note.

    Args:
        octets, messages: None: no mailbox was ever made.
    """

    account_id: AccountId
    octets: int | None
    messages: int | None
    note: PersonNote | None


@dataclass(frozen=True, slots=True)
class Known:
    """What there is of some people and addresses.

    Args:
        residents: who of them has mailboxes.
        former: by address.
    """

    notes: Mapping[AccountId, PersonNote]
    residents: frozenset[AccountId]
    former: Mapping[str, FormerAddress]


@dataclass(slots=True)
class Writing:
    """What is written at once: notes in the place of what they were, former addresses that begin
    and end, notes that are of no use any more."""

    notes: list[PersonNote] = field(default_factory=list)
    forgotten: list[AccountId] = field(default_factory=list)
    begin: list[FormerAddress] = field(default_factory=list)
    end: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.notes or self.forgotten or self.begin or self.end)


class PeopleNotes(Protocol):
    async def known(
        self, account_ids: Collection[AccountId], addresses: Collection[str] = ()
    ) -> Known: ...

    async def write(self, writing: Writing) -> None:
        """All of it or nothing."""
        ...

    async def residents(self, after: str, limit: int) -> Sequence[Resident]:
        """In the order of their ids, beginning behind ``after``."""
        ...

    async def away(self, after: str, limit: int) -> Sequence[Resident]:
        """Those of them who are disabled or gone."""
        ...

    async def gone_called(self, name: str) -> Sequence[AccountId]:
        """Those of the gone whose last login or address this was, in lower case; some of many."""
        ...

    async def former_of(
        self, account_ids: Collection[AccountId]
    ) -> Mapping[AccountId, Sequence[FormerAddress]]: ...

    async def former_since(self, since: int, limit: int) -> Sequence[FormerAddress]:
        """Those that began then or later, the newest first."""
        ...

    async def end_before(self, since: int, limit: int) -> int:
        """Forget former addresses that began earlier, but those of people who are gone; returns
        how many those were."""
        ...

    async def removed(self, account_id: AccountId) -> None:
        """The mailboxes of somebody gone have been removed: what else is kept of them goes too."""
        ...
