"""What an attempt's results do to the rows of the queue, and to mailboxes here.

Owns the statements, inside one transaction. Copies for people here go by the blob that the queue
has already, so nothing is written twice; who has got the message from this queue row once, by
whatever address, does not get it again, also when the same results come again.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.ids import AccountId, QueueId
from gateway.core.queue import LocalCopy, Recorded
from gateway.store.deliveries import RECIPIENT_COLUMNS, Deliveries, recipient_rows
from gateway.store.transaction import Transaction

REPORT_PREFIX = "report-"
"""Message ids of our own reports begin so, and no others, as others have no such letters."""
_INGEST_COLUMNS = "ingests (ingest_id, queue_id, accepted_at)"


def keep_results(
    tx: Transaction, deliveries: Deliveries, queue_id: QueueId, results: Sequence[Recorded]
) -> None:
    """Results for a message or recipient that is gone already change nothing. Raises: OverQuota."""
    number = int(queue_id, 16)
    for result in results:
        if (result.copies or result.followed_to) and _is_there(tx, number, result.number):
            if result.copies:
                _copy(tx, deliveries, number, queue_id, result.copies)
            if result.followed_to:
                _follow(tx, number, result)
        if result.next_attempt_at is None:
            tx.execute(
                "DELETE FROM queue_recipients WHERE queue_id = ? AND number = ?",
                (number, result.number),
            )
        else:
            _put_off(tx, number, result, result.next_attempt_at)
    left = tx.fetch_one(
        "SELECT min(next_attempt_at) FROM queue_recipients WHERE queue_id = ?", (number,)
    )
    if left is not None and left[0] is not None:
        tx.execute(
            "UPDATE queue SET lease_owner = '', due_at = ? WHERE queue_id = ?", (left[0], number)
        )
    else:
        remove_message(tx, number)


def _put_off(tx: Transaction, number: int, result: Recorded, at: int) -> None:
    # Of a message that was held meanwhile the time of its release stands there already.
    tx.execute(
        "UPDATE queue_recipients SET attempts = ?, reply = ?,"
        " told_of_delay = CASE WHEN ? THEN 1 ELSE told_of_delay END, next_attempt_at ="
        " CASE WHEN EXISTS (SELECT 1 FROM queue AS q WHERE q.queue_id = ? AND q.hold <> '')"
        " THEN next_attempt_at ELSE ? END WHERE queue_id = ? AND number = ?",
        (
            result.attempts,
            result.reply,
            result.told_of_delay,
            number,
            at,
            number,
            result.number,
        ),
    )


def remove_message(tx: Transaction, number: int) -> bool:
    """The message itself; its recipients are gone. False if it was not there."""
    row = tx.fetch_one("DELETE FROM queue WHERE queue_id = ? RETURNING blob_id", (number,))
    if row is None:
        return False
    tx.execute("UPDATE blobs SET refs = refs - 1 WHERE blob_id = ?", (row[0],))
    tx.blobs_freed = True
    return True


def _is_there(tx: Transaction, number: int, recipient: int) -> bool:
    row = tx.fetch_one(
        "SELECT 1 FROM queue_recipients WHERE queue_id = ? AND number = ?", (number, recipient)
    )
    return row is not None


def _copy(
    tx: Transaction,
    deliveries: Deliveries,
    number: int,
    queue_id: QueueId,
    copies: Sequence[LocalCopy],
) -> None:
    row = tx.fetch_one(
        "SELECT blob_id, content_offset + size_octets, message_id FROM queue WHERE queue_id = ?",
        (number,),
    )
    if row is None:
        return
    blob_id, octets, message_id = row
    new: dict[AccountId, str] = {}
    for copy in copies:
        ingest_id = f"{queue_id}-{copy.account_id}"
        known = tx.fetch_one("SELECT 1 FROM ingests WHERE ingest_id = ?", (ingest_id,))
        if known is None:
            new[copy.account_id] = ingest_id
    if not new:
        return
    tx.insert(_INGEST_COLUMNS, [(ingest_id, "", tx.now) for ingest_id in new.values()])
    # A full mailbox must not keep the fate of somebody's own mail from them.
    is_report = message_id.startswith(REPORT_PREFIX)
    deliveries.copy_from_queue(tx, list(new), blob_id, octets, may_exceed_quota=is_report)


def _follow(tx: Transaction, number: int, result: Recorded) -> None:
    """New recipients, but for those that wait already.

    Their numbers are new as well: reports are known by message and number, so a number that stood
    for somebody before would keep a report from being sent.
    """
    rows = tx.fetch_all(
        "SELECT local_part, domain, next_hop, number FROM queue_recipients WHERE queue_id = ?",
        (number,),
    )
    waiting = {tuple(row[:3]) for row in rows if row[3] != result.number}
    new = [
        each
        for each in dict.fromkeys(result.followed_to)
        if (each.address.local_part, each.address.domain, each.next_hop) not in waiting
    ]
    # A message from before numbers were kept knows only of those that wait.
    (last,) = tx.fetch_all("SELECT last_number FROM queue WHERE queue_id = ?", (number,))[0]
    first = max(last, *(row[3] for row in rows)) + 1
    tx.insert(RECIPIENT_COLUMNS, recipient_rows(number, new, first, tx.now))
    tx.execute(
        "UPDATE queue SET last_number = ? WHERE queue_id = ?", (first + len(new) - 1, number)
    )
    tx.queue_grew = True
