"""A maildrop as one POP3 session sees it: INBOX as it was at login, and what is marked as deleted.

Owns the exclusive lock, the snapshot and the marks. Message numbers are those of RFC 1939: 1-based
and fixed for the session, whatever delivery or IMAP do meanwhile (SECURITY P5). Never sends.

Memory: 21 octets a message (SECURITY P6), and the names that messages from elsewhere brought
along. Nothing is removed but by ``commit``.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping

from gateway.core.errors import StoreDamaged
from gateway.core.ids import AccountId, BlobId, Uid
from gateway.core.mailboxes import Mailbox
from gateway.core.ports.store import MailboxStore
from gateway.core.uidset import Ranges, from_sorted

INBOX = "INBOX"
BATCH_ROWS = 1000
_OLD_NAME = re.compile(r"[!-~]{1,70}")  # RFC 1939 section 7


class OpenMaildrop:
    """One account's locked maildrop. Use ``open``; ``release`` is owed after it."""

    def __init__(self, store: MailboxStore, mailbox: Mailbox, release: Callable[[], None]) -> None:
        self._store = store
        self._mailbox = mailbox
        self._release: Callable[[], None] | None = release
        self._uids = array("I")
        self._sizes = array("Q")
        self._blobs = array("Q")
        self._old_names: Mapping[Uid, str] = {}
        self._deleted = bytearray()
        self.count = 0
        """Messages not marked as deleted."""
        self.size_octets = 0
        """Their size together, as stored."""

    @classmethod
    async def open(cls, store: MailboxStore, account_id: AccountId) -> OpenMaildrop:
        """Lock the maildrop and look at INBOX.

        Raises:
            MaildropInUse: another session holds it.
            StoreUnavailable: the snapshot cannot be read.
        """
        release = store.lock_maildrop(account_id)
        try:
            selection = await store.select(account_id, INBOX, claim_recent=False)
            maildrop = cls(store, selection.mailbox, release)
            uids = selection.uids
            for start in range(0, len(uids), BATCH_ROWS):
                await maildrop._load(tuple(uids.ranges(start, start + BATCH_ROWS)))
            maildrop._old_names = await store.uidls(selection.mailbox.mailbox_id)
        except BaseException:  # also when the client goes away meanwhile
            release()
            raise
        maildrop.reset()
        return maildrop

    async def _load(self, uids: Ranges) -> None:
        for row in await self._store.rows(self._mailbox.mailbox_id, uids):
            self._uids.append(row.uid)
            self._sizes.append(row.size_octets)
            self._blobs.append(row.blob_id)

    # -- looking

    def has(self, number: int) -> bool:
        """Whether the number is that of a message not marked as deleted."""
        return 1 <= number <= len(self._uids) and not self._deleted[number - 1]

    def size_of(self, number: int) -> int:
        """Octets as stored."""
        return self._sizes[number - 1]

    def unique_id(self, number: int) -> str:
        """RFC 1939 section 7, UIDL: never used again, the same in every session (SECURITY P4).

        A message from another server keeps the name it had there, or clients would fetch it again.
        """
        uid = self._uids[number - 1]
        old_name = self._old_names.get(Uid(uid), "")
        if _OLD_NAME.fullmatch(old_name) and not self._is_ours(old_name):
            return old_name
        return f"{self._mailbox.uid_validity}.{uid}"

    def _is_ours(self, name: str) -> bool:
        """Whether the name could be one that we give, to this message or another."""
        return name.startswith(f"{self._mailbox.uid_validity}.")

    def numbers(self) -> Iterator[int]:
        """The numbers of all messages not marked as deleted, ascending."""
        return (index + 1 for index, deleted in enumerate(self._deleted) if not deleted)

    async def read(self, number: int, offset: int, length: int) -> bytes:
        """Exactly ``length`` octets of a message.

        Raises:
            StoreDamaged: fewer are there than the index says.
            MessageGone, StoreUnavailable: as the store says.
        """
        if not length:
            return b""
        octets = await self._store.read(BlobId(self._blobs[number - 1]), offset, length)
        if len(octets) != length:
            raise StoreDamaged(
                blob_id=self._blobs[number - 1], offset=offset, wanted=length, found=len(octets)
            )
        return octets

    # -- marking

    def delete(self, number: int) -> None:
        """Mark a message that ``has`` says is there."""
        self._deleted[number - 1] = 1
        self.count -= 1
        self.size_octets -= self._sizes[number - 1]

    def reset(self) -> None:
        """Take all marks away."""
        self._deleted = bytearray(len(self._uids))
        self.count = len(self._uids)
        self.size_octets = sum(self._sizes)

    # -- the end

    async def commit(self) -> None:
        """Remove what is marked: the UPDATE state (RFC 1939 section 6).

        Raises:
            StoreUnavailable: nothing, or not everything, was removed.
        """
        marked = [uid for uid, deleted in zip(self._uids, self._deleted, strict=True) if deleted]
        if marked:
            await self._store.expunge(
                self._mailbox.mailbox_id, from_sorted(marked), only_deleted=False
            )

    def release(self) -> None:
        """Let the next session in; harmless when called again."""
        release, self._release = self._release, None
        if release is not None:
            release()
