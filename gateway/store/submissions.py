"""How much each person has sent, by the hour: the rows of ``submissions``.

Owns counting inside the transaction that accepts a message, and the port SubmissionStore. One
statement for each message of somebody with limits, none for others. An hour that two processes
fill at the same moment is exact: the row is compared and changed in one statement. Rows leave once
no window reaches back to them. Never decides what the limits are.
"""

from __future__ import annotations

from gateway.core.ids import AccountId
from gateway.core.submissions import HOUR_S, Hours, Sent, Submission
from gateway.store.blobs import StoredOctets
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction

KEPT_HOURS = 25
"""A day, and the hour that has begun."""
FORGET_ROWS = 2_000

_COUNT = (
    "INSERT INTO submissions (account_id, hour, messages, recipients) VALUES (?, ?, 1, ?)"
    " ON CONFLICT (account_id, hour) DO UPDATE SET messages = submissions.messages + 1,"
    " recipients = submissions.recipients + excluded.recipients"
)
_COUNT_IF_ROOM = (
    f"{_COUNT} WHERE submissions.messages + 1 <= ?"
    " AND submissions.recipients + excluded.recipients <= ?"
)
_FORGET = (
    "DELETE FROM submissions WHERE (account_id, hour) IN"
    " (SELECT account_id, hour FROM submissions WHERE hour < ? ORDER BY hour LIMIT ?)"
)


def count(tx: Transaction, submission: Submission) -> bool:
    """Count a message in its hour; False: there was no room, and nothing is counted.

    An hour in which nothing counts has room for any one message.
    """
    row = (submission.account_id, submission.hour, submission.recipients)
    if submission.room is None:
        tx.execute(_COUNT, row)
        return True
    room = submission.room
    return tx.execute(_COUNT_IF_ROOM, (*row, room.messages, room.recipients)) > 0


def forget(tx: Transaction) -> bool:
    """One step of housekeeping; True while there may be more."""
    before = tx.now // HOUR_S - KEPT_HOURS
    return tx.execute(_FORGET, (before, FORGET_ROWS)) == FORGET_ROWS


class Submissions:
    """The port SubmissionStore. The reactor's thread."""

    def __init__(self, readers: Pool[StoredOctets]) -> None:
        self._readers = readers

    async def sent_since(self, account_id: AccountId, hour: int) -> Hours:
        def read(stored: StoredOctets) -> Hours:
            rows = stored.connection.execute(
                "SELECT hour, messages, recipients FROM submissions"
                " WHERE account_id = ? AND hour >= ?",
                (account_id, hour),
            ).fetchall()
            return {row[0]: Sent(row[1], row[2]) for row in rows}

        return await self._readers.run(read)
