"""Forgetting ingest ids that nobody will repeat any more.

Owns the age at which that is so, and the walk that finds them. There is no index by age, which each
delivery would have to write to: ids begin with the time in practice, so the oldest are at the front
of the key, and what is not (nothing depends on it) is met by walking on from where the last step
ended. Limits: WALK_ROWS looked at per transaction.
"""

from __future__ import annotations

from gateway.store.transaction import Transaction

INGEST_DAYS = 7  # longer than anything repeats a write whose outcome it does not know
WALK_ROWS = 20_000

_END_OF_WALK = (
    "SELECT max(ingest_id) FROM (SELECT ingest_id FROM ingests WHERE ingest_id > ?"
    " ORDER BY ingest_id LIMIT ?) AS walked"
)
_FORGET = "DELETE FROM ingests WHERE ingest_id > ? AND ingest_id <= ? AND accepted_at < ?"


class ForgetIngests:
    """One step of housekeeping; the committer's thread."""

    def __init__(self) -> None:
        self._walked_to = ""

    def __call__(self, tx: Transaction) -> bool:
        """True while there are many to forget."""
        before = tx.now - INGEST_DAYS * 86_400
        found_many = _forget(tx, "", before)[1]
        self._walked_to, found_more = _forget(tx, self._walked_to, before)
        return found_many or found_more


def _forget(tx: Transaction, after: str, before: int) -> tuple[str, bool]:
    """Look at some rows; returns where that ended ('' at the end of all), and whether most of
    them were old."""
    (end,) = tx.fetch_all(_END_OF_WALK, (after, WALK_ROWS))[0]
    if end is None:
        return "", False
    forgotten = tx.execute(_FORGET, (after, end, before))
    return end, forgotten > WALK_ROWS // 2
