"""Removing the mailboxes of somebody who is gone: an administrator's deed, never anything else's.

Owns the conditions and the order. The directory is asked by id at that very moment, and has to say
that nobody has it; it must have been noticed so many days ago. Messages leave as people's own
deletions do, so that `gateway mailbox undelete` has them for as long as the settings keep such;
then what else is kept of the person. The account and its standard mailboxes stay, empty: every
process knows them, and whoever comes back with the same id finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.errors import GatewayError, NoSuchMailbox
from gateway.core.ids import AccountId, MailboxId, Uid
from gateway.core.mailboxes import DEFAULT_MAILBOXES, ListedMailbox, Mailbox
from gateway.core.ports.clock import WallClock
from gateway.core.ports.people_notes import PeopleNotes, PersonNote
from gateway.core.uidset import Ranges
from gateway.people.mail import DAY_S, FindsById

_STAY = frozenset(name for name, _ in DEFAULT_MAILBOXES)


class NotRemoved(GatewayError):
    """They do not fulfil the conditions; the text says which."""

    temporary = False


class Mailboxes(Protocol):
    """What is needed of the store; see ``core.ports.store``."""

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[ListedMailbox]: ...

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox: ...

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None: ...

    async def expunge(
        self, mailbox_id: MailboxId, uids: Ranges | None, *, only_deleted: bool
    ) -> tuple[Uid, ...]: ...


@dataclass(frozen=True, slots=True)
class Removed:
    """Whose mailboxes went."""

    note: PersonNote
    mailboxes: int
    messages: int


class Remover:
    """Removes what people who are gone have left."""

    def __init__(
        self,
        notes: PeopleNotes,
        mailboxes: Mailboxes,
        directory: FindsById,
        wall_clock: WallClock,
    ) -> None:
        self._notes = notes
        self._mailboxes = mailboxes
        self._directory = directory
        self._wall_clock = wall_clock

    async def remove(self, account_id: AccountId, days: int) -> Removed:
        """Raises: NotRemoved, DirectoryUnavailable, StoreUnavailable."""
        known = await self._notes.known((account_id,))
        note = known.notes.get(account_id)
        if note is None or not note.gone_since or account_id not in known.residents:
            raise NotRemoved(f"id:{account_id} has no mailboxes here, or is not noted as gone")
        if note.removed_at:
            raise NotRemoved(f"the mailboxes of id:{account_id} have been removed already")
        if self._wall_clock() < note.gone_since + days * DAY_S:
            raise NotRemoved(f"id:{account_id} has not been gone for {days} days")
        if await self._directory.find_by_id(account_id) is not None:
            raise NotRemoved(f"id:{account_id} is in the directory")
        listed = await self._mailboxes.list_mailboxes(account_id)
        mailboxes = messages = 0
        for each in listed:
            messages += await self._empty(account_id, each.name)
            mailboxes += 1
        await self._notes.removed(account_id)
        return Removed(note, mailboxes, messages)

    async def _empty(self, account_id: AccountId, name: str) -> int:
        try:
            mailbox: Any = await self._mailboxes.find_mailbox(account_id, name)
        except NoSuchMailbox:
            return 0  # only a name with others below it
        gone = await self._mailboxes.expunge(mailbox.mailbox_id, None, only_deleted=False)
        if name not in _STAY:
            await self._mailboxes.delete_mailbox(account_id, name)
        return len(gone)
