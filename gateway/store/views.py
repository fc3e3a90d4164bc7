"""Reading a mailbox's index: SELECT, rows, and what changed since a MODSEQ.

Never writes, except that SELECT claims \\Recent. Runs in reader threads.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.errors import NoSuchMailbox, StoreUnavailable
from gateway.core.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import ChangedFlags, Changes, Selection
from gateway.core.messages import MessageRow
from gateway.core.ports.store import Span, Unreadable
from gateway.core.uidset import Ranges
from gateway.store import flags, history
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.known_uids import RecentUids
from gateway.store.readers import Pool
from gateway.store.selection import narrow, read_selection, snapshot
from gateway.store.transaction import Transaction

_ROWS = (
    "SELECT uid, modseq, flags, keywords, internal_date, size_octets, blob_id FROM messages"
    " WHERE mailbox_id = ? AND uid BETWEEN ? AND ? ORDER BY uid"
)
_NEWEST = (
    "SELECT uid, flags, keywords, modseq, created_modseq FROM messages"
    " WHERE mailbox_id = ? AND uid < ? ORDER BY uid DESC LIMIT ?"
)
_CHANGED = (
    "SELECT uid, flags, keywords, modseq FROM messages"
    " WHERE mailbox_id = ? AND modseq > ? AND modseq <> created_modseq"
)
_UIDLS = "SELECT uid, uidl FROM uidls WHERE mailbox_id = ? ORDER BY uid DESC"
_FIRST_LOOK = 16
_LONGEST_LOOK = 4096


class Views:
    """The reading half of the port MailboxStore."""

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], recent_uids: RecentUids
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._recent_uids = recent_uids

    async def select(self, account_id: AccountId, name: str, *, claim_recent: bool) -> Selection:
        selection = await self._readers.run(
            lambda stored: read_selection(stored.connection, account_id, name, self._recent_uids)
        )
        if not claim_recent or selection.recent_from >= selection.mailbox.uid_next:
            return selection
        mailbox_id = selection.mailbox.mailbox_id

        def claim(tx: Transaction) -> Uid:
            row = tx.fetch_one(
                "SELECT recent_from, messages FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)
            )
            if row is None:
                raise NoSuchMailbox()
            # Only what this session has seen: what came since is for whoever looks next.
            claimed = max(row[0], selection.mailbox.uid_next)
            newer = tx.fetch_one(
                "SELECT count(*) FROM messages WHERE mailbox_id = ? AND uid >= ?",
                (mailbox_id, claimed),
            )
            assert newer is not None
            tx.execute(
                "UPDATE mailboxes SET recent_from = ?, old_messages = ? WHERE mailbox_id = ?",
                (claimed, row[1] - newer[0], mailbox_id),
            )
            return Uid(row[0])

        try:
            # Another session may have claimed some or all of them meanwhile.
            recent_from = await self._committer.write(claim, uses_reserve=True)
        except StoreUnavailable:
            return selection  # mail can be read when nothing can be written (SECURITY D6)
        return dataclasses.replace(selection, recent_from=recent_from)

    async def rows(self, mailbox_id: MailboxId, uids: Ranges) -> Sequence[MessageRow]:
        def read(stored: StoredOctets) -> list[MessageRow]:
            connection = stored.connection
            found: list[Any] = []
            for low, high in narrow(connection, mailbox_id, uids):
                found += connection.execute(_ROWS, (mailbox_id, low, high)).fetchall()
            join = flags.join
            return [
                MessageRow(uid, modseq, join(mask, keywords), date, size, blob)
                for uid, modseq, mask, keywords, date, size, blob in found
            ]

        return await self._readers.run(read)

    async def changes(self, mailbox_id: MailboxId, since: ModSeq) -> Changes:
        return await self._readers.run(
            lambda stored: read_changes(stored.connection, mailbox_id, since)
        )

    async def uidls(self, mailbox_id: MailboxId) -> Mapping[Uid, str]:
        """Rows outlive their messages, so that no later message ever gets an old one's name."""

        def read(stored: StoredOctets) -> dict[Uid, str]:
            # Descending: of messages with the same name the first one is written last.
            owners = {
                name: Uid(uid) for uid, name in stored.connection.execute(_UIDLS, (mailbox_id,))
            }
            return {uid: name for name, uid in owners.items()}

        return await self._readers.run(read)

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        return await self._readers.run(lambda stored: stored.read(blob_id, offset, length))

    async def read_many(self, spans: Sequence[Span]) -> Sequence[bytes | Unreadable]:
        return await self._readers.run(lambda stored: stored.read_many(spans))


def read_changes(connection: sqlite3.Connection, mailbox_id: MailboxId, since: int) -> Changes:
    """Raises: NoSuchMailbox."""
    with snapshot(connection):
        row = connection.execute(
            "SELECT highest_modseq FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)
        ).fetchone()
        if row is None:
            raise NoSuchMailbox()
        if row[0] <= since:
            return Changes(ModSeq(row[0]), (), ())
        changed = {
            uid: (mask, keywords, modseq)
            for uid, mask, keywords, modseq in connection.execute(_CHANGED, (mailbox_id, since))
        }
        changed |= _new_messages(connection, mailbox_id, since)
        vanished = history.since(connection, mailbox_id, since)
    return Changes(
        ModSeq(row[0]),
        tuple(
            ChangedFlags(Uid(uid), flags.join(mask, keywords), ModSeq(modseq))
            for uid, (mask, keywords, modseq) in sorted(changed.items())
        ),
        vanished,
    )


def _new_messages(
    connection: sqlite3.Connection, mailbox_id: MailboxId, since: int
) -> dict[int, tuple[int, str, int]]:
    """Messages made after ``since``: from the highest UID down until one is older."""
    new: dict[int, tuple[int, str, int]] = {}
    below, count = 2**32, _FIRST_LOOK
    while True:
        rows = connection.execute(_NEWEST, (mailbox_id, below, count)).fetchall()
        for uid, mask, keywords, modseq, created_modseq in rows:
            if created_modseq <= since:
                return new
            new[uid] = (mask, keywords, modseq)
        if len(rows) < count:
            return new
        below, count = rows[-1][0], min(count * 4, _LONGEST_LOOK)
