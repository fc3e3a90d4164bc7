"""Deleted messages that can still be had back: the port VaultStore.

Owns listing the rows of ``vault`` and turning them into messages again; they go in and expire in
``retention``. A row leaves in the transaction that puts its message back, so it comes back once,
and sessions that watch the mailbox see it arrive. Nobody is refused for quota what the account held
before.

Limits: UNDELETE_ROWS per transaction; a stop in between leaves the rest in the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

from gateway.core.ids import AccountId, BlobId, MailboxId
from gateway.core.ports.clock import WallClock
from gateway.core.vault import DeletedMessage
from gateway.store import flags as flagging
from gateway.store import names
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.flags import DELETED
from gateway.store.mailboxes import BY_NAME, make_mailbox, subscribe
from gateway.store.messages import add_rows
from gateway.store.readers import Pool
from gateway.store.retention import Retention
from gateway.store.transaction import Transaction

UNDELETE_ROWS = 500

_LISTED = (
    "SELECT vault_id, mailbox_name, uid, flags, keywords, internal_date, size_octets, blob_id,"
    " deleted_at FROM vault WHERE account_id = ? AND deleted_at >= ?"
)


class Vault:
    """The port VaultStore. The reactor's thread."""

    def __init__(
        self,
        committer: Committer,
        readers: Pool[StoredOctets],
        retention: Retention,
        wall_clock: WallClock,
    ) -> None:
        self._committer = committer
        self._readers = readers
        self._retention = retention
        self._wall_clock = wall_clock

    async def deleted(
        self, account_id: AccountId, *, mailbox: str | None = None, since: int = 0
    ) -> Sequence[DeletedMessage]:
        # What should be gone is not shown, though it leaves only with the next housekeeping.
        since = max(since, int(self._wall_clock()) - self._retention.keep_s + 1)
        sql, parameters = _LISTED, [account_id, since]
        if mailbox is not None:
            sql += " AND mailbox_name = ?"
            parameters.append(names.canonical(mailbox))
        sql += " ORDER BY deleted_at DESC, vault_id DESC"
        rows = await self._readers.run(
            lambda stored: stored.connection.execute(sql, parameters).fetchall()
        )
        return [_deleted_message(row) for row in rows]

    async def undelete(
        self, account_id: AccountId, vault_ids: Sequence[int], *, into: str | None = None
    ) -> int:
        target = None if into is None else names.check_new(into)
        ids = sorted(set(vault_ids))
        count = 0
        for start in range(0, len(ids), UNDELETE_ROWS):
            some = ids[start : start + UNDELETE_ROWS]
            count += await self._committer.write(
                partial(self._put_back, account_id=account_id, vault_ids=some, into=target)
            )
        return count

    # -- the committer's thread

    def _put_back(
        self, tx: Transaction, account_id: AccountId, vault_ids: Sequence[int], into: str | None
    ) -> int:
        marks = ", ".join("?" * len(vault_ids))
        rows = tx.fetch_all(
            "DELETE FROM vault WHERE account_id = ?"  # noqa: S608 - own names only
            f" AND vault_id IN ({marks}) RETURNING mailbox_name, uid, flags & ~{DELETED}, keywords,"
            " internal_date, size_octets, blob_id",
            (account_id, *vault_ids),
        )
        rows.sort()  # by mailbox, and in it as they lay
        if into is not None:
            _insert(tx, account_id, into, rows)
            return len(rows)
        for name, some in groupby(rows, key=lambda row: str(row[0])):
            _insert(tx, account_id, name, list(some))
        return len(rows)


def _insert(tx: Transaction, account_id: AccountId, name: str, rows: Sequence[Any]) -> None:
    """Messages again, each with the reference that its row of the vault had."""
    if not rows:
        return
    mailbox: Any = tx.fetch_one(BY_NAME, (account_id, name))
    if mailbox is None:
        make_mailbox(tx, account_id, name)
        # Clients that show subscribed mailboxes only unsubscribe from what they delete.
        subscribe(tx, account_id, name)
        mailbox = tx.fetch_one(BY_NAME, (account_id, name))
    add_rows(tx, MailboxId(mailbox[0]), [row[2:] for row in rows])


def _deleted_message(row: Sequence[Any]) -> DeletedMessage:
    return DeletedMessage(
        vault_id=row[0],
        mailbox_name=row[1],
        uid=row[2],
        flags=flagging.join(row[3], row[4]),
        internal_date=row[5],
        size_octets=row[6],
        blob_id=BlobId(row[7]),
        deleted_at=row[8],
    )
