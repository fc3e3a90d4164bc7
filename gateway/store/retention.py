"""What becomes of a message that its mailbox loses: kept for a while in the vault, or gone.

Owns the rows of ``vault`` inside write transactions: what goes in, and what leaves because its time
is over or the disk is full. A message takes its reference to its octets along, so going in costs no
change of ``blobs``; they are free when the row leaves. Having messages back is up to ``vault``.

On a full disk nothing goes in, so that deleting makes room, and what is in there leaves, the
oldest first, before mail is refused for long. Used by the committer's thread alone.

Limits: EXPIRE_ROWS leave per housekeeping step; RELIEF_ROWS or about RELIEF_OCTETS in
RELIEF_EVERY_S on a full disk, as compaction needs a moment to turn them into space.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from twisted.logger import Logger

from gateway.core.ids import AccountId
from gateway.store.reserve import Reserve
from gateway.store.transaction import Transaction

EXPIRE_ROWS = 2_000
RELIEF_ROWS = 2_000
RELIEF_OCTETS = 64 * 1024 * 1024
RELIEF_EVERY_S = 5

_COLUMNS = (
    "vault (account_id, mailbox_name, uid, flags, keywords, internal_date, size_octets, blob_id,"
    " deleted_at)"
)
_OLDEST = "SELECT vault_id FROM vault WHERE deleted_at <= ? ORDER BY deleted_at, vault_id LIMIT ?"


class Retention:
    """The rule of one store.

    Args:
        keep_s: how long deleted messages are kept; 0 keeps none.
        reserve: tells whether the disk is full.
    """

    log = Logger()

    def __init__(self, keep_s: int, reserve: Reserve) -> None:
        self.keep_s = keep_s
        self._reserve = reserve
        self._relieved_at = 0

    def retire(
        self,
        tx: Transaction,
        account_id: AccountId,
        mailbox_name: str,
        which: str,
        parameters: Sequence[object],
    ) -> None:
        """Before the rows of ``messages`` that ``which`` selects are deleted."""
        if not self.keep_s or not self._reserve.held:
            let_go(tx, which, parameters)
            return
        tx.execute(
            f"INSERT INTO {_COLUMNS} SELECT ?, ?, uid, flags, keywords, internal_date,"  # noqa: S608 - own names only
            f" size_octets, blob_id, ? FROM messages WHERE {which}",
            (account_id, mailbox_name, tx.now, *parameters),
        )

    def expire(self, tx: Transaction) -> bool:
        """Remove what was kept long enough; whether there may be more of it."""
        return self._remove_oldest(tx, tx.now - self.keep_s, EXPIRE_ROWS) == EXPIRE_ROWS

    def relief(
        self, connection: sqlite3.Connection, now: int
    ) -> Callable[[Transaction], None] | None:
        """The disk is full: an operation that removes some of the oldest.

        None if there is nothing to remove, or that has just been done.
        """
        if 0 <= now - self._relieved_at < RELIEF_EVERY_S:
            return None
        rows = octets = until = 0
        for size_octets, deleted_at in connection.execute(
            "SELECT size_octets, deleted_at FROM vault ORDER BY deleted_at, vault_id LIMIT ?",
            (RELIEF_ROWS,),
        ).fetchall():
            rows, octets, until = rows + 1, octets + size_octets, deleted_at
            if octets >= RELIEF_OCTETS:
                break
        if not rows:
            return None

        self._relieved_at = now
        # Here, as an operation that lacks space runs twice.
        self.log.warn(
            "the disk is full: {rows} deleted messages of {octets} octets, the oldest ones, are"
            " given up and cannot be had back any more",
            rows=rows,
            octets=octets,
        )

        def run(tx: Transaction) -> None:
            self._remove_oldest(tx, until, rows)

        return run

    def _remove_oldest(self, tx: Transaction, until: int, limit: int) -> int:
        """Remove up to ``limit`` of the oldest rows, those deleted after ``until`` never."""
        chosen = (until, limit)
        tx.execute(
            "UPDATE blobs SET refs = refs - gone.copies FROM"  # noqa: S608 - own names only
            " (SELECT blob_id, count(*) AS copies FROM vault"
            f" WHERE vault_id IN ({_OLDEST}) GROUP BY blob_id) AS gone"
            " WHERE blobs.blob_id = gone.blob_id",
            chosen,
        )
        removed = tx.execute(f"DELETE FROM vault WHERE vault_id IN ({_OLDEST})", chosen)  # noqa: S608 - own names only
        tx.blobs_freed = tx.blobs_freed or removed > 0
        return removed


def let_go(tx: Transaction, which: str, parameters: Sequence[object]) -> None:
    """The rows of ``messages`` that ``which`` selects point to their octets no more."""
    tx.execute(
        "UPDATE blobs SET refs = refs - gone.copies FROM"  # noqa: S608 - own names only
        f" (SELECT blob_id, count(*) AS copies FROM messages WHERE {which}"
        " GROUP BY blob_id) AS gone WHERE blobs.blob_id = gone.blob_id",
        parameters,
    )
    tx.blobs_freed = True
