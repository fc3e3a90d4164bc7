"""Fills a store with millions of messages in a minute, as rows of the index.

The messages have no octets, so they cannot be read; all that concerns the index is as deliveries
and expunges would have left it. Never part of the product: a store is filled through its ports.
"""

from __future__ import annotations

import random
from pathlib import Path

from gateway.store import engine
from gateway.store.layout import Layout
from gateway.store.transaction import Transaction

OCTETS = 5_000  # of each message
UNSEEN_EVERY = 50
NOW = 1_700_000_000


class Filler:
    """Writes rows of a store that nobody has open. Use as a context manager."""

    def __init__(self, state_dir: Path) -> None:
        self._connection = engine.open_writer(Layout(state_dir).index)
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA cache_size = -262144")
        self._tx = Transaction(self._connection)
        self._tx.begin(NOW)

    def __enter__(self) -> Filler:
        return self

    def __exit__(self, *_: object) -> None:
        self._tx.commit()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def fill(self, mailbox_id: int, count: int, *, own_octets: bool) -> None:
        """Messages with the UIDs from 1; without octets of their own all share one blob."""
        execute = self._connection.execute
        first_blob = self._blobs(count if own_octets else 1, 1 if own_octets else count)
        execute(
            "INSERT INTO messages (mailbox_id, uid, modseq, created_modseq, flags, keywords,"
            " internal_date, size_octets, blob_id)"
            " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " SELECT ?, i, i + 1, i + 1, i % ? <> 0, '', ?, ?, ? + ? * (i - 1) FROM n",
            (count, mailbox_id, UNSEEN_EVERY, NOW, OCTETS, first_blob, int(own_octets)),
        )
        execute(
            "UPDATE mailboxes SET uid_next = ?, highest_modseq = ?, recent_from = ?, messages = ?,"
            " old_messages = ?, unseen = ?, size_octets = ? WHERE mailbox_id = ?",
            (count + 1, count + 1, count + 1, count, count, count // UNSEEN_EVERY, count * OCTETS,
             mailbox_id),
        )  # fmt: skip

    def thin_out(self, mailbox_id: int, uids: str) -> None:
        """Expunge what a condition on ``uid`` selects, each with a MODSEQ of its own."""
        execute = self._connection.execute
        (blob_id,) = execute(
            "SELECT blob_id FROM messages WHERE mailbox_id = ? LIMIT 1", (mailbox_id,)
        ).fetchone()
        gone = execute(
            f"DELETE FROM messages WHERE mailbox_id = ? AND {uids}",
            (mailbox_id,),
        ).rowcount
        execute("UPDATE blobs SET refs = refs - ? WHERE blob_id = ?", (gone, blob_id))
        execute(
            "INSERT INTO expunged (mailbox_id, modseq, first_uid, last_uid)"
            " SELECT ?, 1000000 + row_number() OVER (ORDER BY uid), below + 1, uid - 1 FROM"
            " (SELECT uid, lag(uid, 1, 0) OVER (ORDER BY uid) AS below FROM"
            " (SELECT uid FROM messages WHERE mailbox_id = ? UNION ALL"
            " SELECT uid_next FROM mailboxes WHERE mailbox_id = ?) AS known) AS gaps"
            " WHERE uid > below + 1",
            (mailbox_id, mailbox_id, mailbox_id),
        )
        execute(
            "UPDATE mailboxes SET messages = messages - ?, old_messages = old_messages - ?,"
            " size_octets = size_octets - ?, highest_modseq = 2000001, unseen ="
            " (SELECT count(*) FROM messages AS m WHERE m.mailbox_id = mailboxes.mailbox_id"
            " AND (flags & 1) = 0) WHERE mailbox_id = ?",
            (gone, gone, gone * OCTETS, mailbox_id),
        )

    def accounts(self, names: list[str], each: int) -> list[int]:
        """Accounts with nothing but an INBOX of so many messages; returns the mailboxes' ids."""
        boxes = [self._tx.next_id("mailbox") for _ in names]
        pairs = list(zip(boxes, names, strict=True))
        execute, many = self._connection.execute, self._connection.executemany
        many(
            "INSERT INTO accounts (account_id, inbox_id, created_at) VALUES (?, ?, ?)",
            [(name, box, NOW) for box, name in pairs],
        )
        many(
            "INSERT INTO mailboxes (mailbox_id, account_id, name, special_use, uid_validity,"
            " uid_next, highest_modseq, recent_from, messages, unseen, size_octets)"
            " VALUES (?, ?, 'INBOX', '', ?, 1, 1, 1, 0, 0, 0)",
            [(box, name, NOW + number) for number, (box, name) in enumerate(pairs)],
        )
        execute("UPDATE counters SET value = ? WHERE name = 'uid_validity'", (NOW + len(pairs),))
        blob_id = self._blobs(1, each * len(boxes))
        execute(
            "INSERT INTO messages (mailbox_id, uid, modseq, created_modseq, flags, keywords,"
            " internal_date, size_octets, blob_id)"
            " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " SELECT mailbox_id, i, i + 1, i + 1, 1, '', ?, ?, ? FROM mailboxes, n"
            " WHERE mailbox_id BETWEEN ? AND ?",
            (each, NOW, OCTETS, blob_id, boxes[0], boxes[-1]),
        )
        execute(
            "UPDATE mailboxes SET uid_next = ?, highest_modseq = ?, recent_from = ?, messages = ?,"
            " old_messages = ?, size_octets = ? WHERE mailbox_id BETWEEN ? AND ?",
            (each + 1, each + 1, each + 1, each, each, each * OCTETS, boxes[0], boxes[-1]),
        )
        return boxes

    def _blobs(self, count: int, refs: int) -> int:
        """Blobs of a segment of their own, which has no file; returns the first one's id."""
        execute = self._connection.execute
        segment_id = self._tx.next_id("segment")
        (last,) = execute(
            "UPDATE counters SET value = value + ? WHERE name = 'blob' RETURNING value", (count,)
        ).fetchone()
        first: int = last - count + 1
        execute(
            "INSERT INTO blobs (blob_id, refs, size_octets, segment_id, segment_offset, file_name,"
            " head, checksums)"
            " WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"
            " SELECT ? + i, ?, ?, ?, i * ?, '', x'', x'00000000' FROM n",
            (count, first, refs, OCTETS, segment_id, OCTETS + 16),
        )
        execute(
            "INSERT INTO segments (segment_id, live_blobs, live_octets) VALUES (?, ?, ?)",
            (segment_id, count, count * OCTETS),
        )
        return first


def some_gone(share: float, count: int, seed: int = 1) -> str:
    """A condition on ``uid`` that selects a share of the UIDs, in no order."""
    chooser = random.Random(seed)
    factor = chooser.randrange(10_001, 99_999) * 2 + 1
    return f"(uid * {factor}) % 1000003 < {int(share * 1_000_003)} AND uid <= {count}"
