"""What attempts' results do to the rows of the queue, and to mailboxes here.

Owns the statements. Results that wait together for a commit are kept together: most say that a
recipient is done with, and those cost a handful of statements for all of them. The others, and all
after a failure, go one by one. Copies for people here go by the blob that the queue has already, so
nothing is written twice; who has got the message from this queue row once, by whatever address,
does not get it again, also when the same results come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.address import Address
from gateway.core.ids import AccountId
from gateway.core.queue import LocalCopy, Recorded
from gateway.store.deliveries import Deliveries, Delivery
from gateway.store.departures import queue_id_text
from gateway.store.queue_parts import settle_part
from gateway.store.reasking import Reasking
from gateway.store.transaction import Transaction, in_pairs, in_pieces

REPORT_PREFIX = "report-"
"""Message ids of our own reports begin so, and no others, as others have no such letters."""
_INGEST_COLUMNS = "ingests (ingest_id, queue_id, accepted_at)"
_DONE_WITH = (
    "DELETE FROM queue_recipients WHERE (queue_id, number) IN (SELECT column1, column2 FROM {})"
    " RETURNING queue_id, destination"
)
_WITHOUT_RECIPIENTS = (
    "DELETE FROM queue WHERE queue_id IN ({}) AND NOT EXISTS"
    " (SELECT 1 FROM queue_recipients AS r WHERE r.queue_id = queue.queue_id)"
    " RETURNING queue_id, blob_id"
)
_PUT_OFF = (
    "UPDATE queue_recipients SET attempts = ?, reply = ?,"
    " told_of_delay = CASE WHEN ? THEN 1 ELSE told_of_delay END, next_attempt_at = ?"
    " WHERE queue_id = ? AND number = ? RETURNING destination"
)


@dataclass(frozen=True, slots=True)
class AttemptResults:
    """Of one message. The report about them is kept in the same transaction, or nothing is."""

    number: int
    results: Sequence[Recorded]
    report: Delivery | None = None

    @property
    def is_plain(self) -> bool:
        """Recipients are done with, and nothing else is to be done."""
        if self.report is not None:
            return False
        for each in self.results:
            if each.next_attempt_at is not None or each.copies or each.followed_to:
                return False
        return True


class Results:
    """The group of operations that record attempts."""

    def __init__(self, deliveries: Deliveries, reasking: Reasking) -> None:
        self._deliveries = deliveries
        self._reasking = reasking

    def run_together(
        self, tx: Transaction, items: Sequence[AttemptResults], careful: bool
    ) -> list[None]:
        """A result for a message or recipient that is gone already changes nothing.

        Raises: OverQuota.
        """
        plain: list[tuple[int, int]] = []
        for item in items:
            if item.is_plain:
                plain += [(item.number, each.number) for each in item.results]
            else:
                self._keep(tx, item)
        if plain:
            parts: set[tuple[int, str]] = set()
            for values, wanted in in_pairs(plain):
                parts.update(tx.fetch_all(_DONE_WITH.format(wanted), values))
            self._settle(tx, parts)
        return [None] * len(items)

    def _keep(self, tx: Transaction, item: AttemptResults) -> None:
        # The report first: if it cannot be kept, nothing is, and the item stays (SECURITY D5).
        if item.report is not None:
            self._deliveries.run_together(tx, [item.report], True)
        number = item.number
        parts: set[tuple[int, str]] = set()
        for result in item.results:
            if (result.copies or result.followed_to) and _is_there(tx, number, result.number):
                if result.copies:
                    self._copy(tx, number, result.copies)
                if result.followed_to:
                    self._follow(tx, number, result)
            if result.next_attempt_at is None:
                for values, wanted in in_pairs([(number, result.number)]):
                    parts.update(tx.fetch_all(_DONE_WITH.format(wanted), values))
            else:
                put_off = (
                    result.attempts,
                    result.reply,
                    result.told_of_delay,
                    result.next_attempt_at,
                    number,
                    result.number,
                )
                parts.update((number, name) for (name,) in tx.fetch_all(_PUT_OFF, put_off))
        self._settle(tx, parts)

    def _settle(self, tx: Transaction, parts: set[tuple[int, str]]) -> None:
        _settle(tx, parts)
        self._reasking.freed(tx, {number for number, _ in parts})

    def _copy(self, tx: Transaction, number: int, copies: Sequence[LocalCopy]) -> None:
        row = tx.fetch_one(
            "SELECT blob_id, content_offset + size_octets, message_id FROM queue"
            " WHERE queue_id = ?",
            (number,),
        )
        if row is None:
            return
        blob_id, octets, message_id = row
        new: dict[AccountId, str] = {}
        for copy in copies:
            ingest_id = f"{queue_id_text(number)}-{copy.account_id}"
            known = tx.fetch_one("SELECT 1 FROM ingests WHERE ingest_id = ?", (ingest_id,))
            if known is None:
                new[copy.account_id] = ingest_id
        if not new:
            return
        tx.insert(_INGEST_COLUMNS, [(ingest_id, "", tx.now) for ingest_id in new.values()])
        # A full mailbox must not keep the fate of somebody's own mail from them.
        is_report = message_id.startswith(REPORT_PREFIX)
        self._deliveries.copy_from_queue(tx, list(new), blob_id, octets, may_exceed_quota=is_report)

    def _follow(self, tx: Transaction, number: int, result: Recorded) -> None:
        """New recipients, but for those that wait already.

        Their numbers are new as well: reports are known by message and number, so a number that
        stood for somebody before would keep a report from being sent.
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
        last, local, domain = tx.fetch_all(
            "SELECT last_number, sender_local, sender_domain FROM queue WHERE queue_id = ?",
            (number,),
        )[0]
        last = max(last, *(row[3] for row in rows))
        sender = None if local is None else Address(local, domain)
        self._deliveries.departures.follow(tx, number, sender, new, last)


def _settle(tx: Transaction, parts: set[tuple[int, str]]) -> None:
    """Recipients of these parts have gone or were put off: messages without recipients go."""
    gone: set[int] = set()
    blobs: Counter[int] = Counter()
    for piece, marks in in_pieces(sorted({number for number, _ in parts})):
        for number, blob_id in tx.fetch_all(_WITHOUT_RECIPIENTS.format(marks), piece):
            gone.add(number)
            blobs[blob_id] += 1
    for piece, marks in in_pieces(sorted(gone)):
        tx.execute(f"DELETE FROM queue_parts WHERE queue_id IN ({marks})", piece)  # noqa: S608 - own names only
    _let_go(tx, blobs)
    for number, destination in sorted(parts):
        if number not in gone:
            settle_part(tx, number, destination, tx.now)


def _let_go(tx: Transaction, blobs: Counter[int]) -> None:
    by_count: dict[int, list[int]] = {}
    for blob_id, count in blobs.items():
        by_count.setdefault(count, []).append(blob_id)
    for count, ids in by_count.items():
        for piece, marks in in_pieces(ids):
            values: list[Any] = [count, *piece]
            tx.execute(f"UPDATE blobs SET refs = refs - ? WHERE blob_id IN ({marks})", values)  # noqa: S608 - own names only
            tx.blobs_freed = True


def remove_messages(tx: Transaction, numbers: Sequence[int]) -> set[int]:
    """With all their recipients. Returns those that were there."""
    found: dict[int, int] = {}
    for piece, marks in in_pieces(numbers):
        for table in ("queue_recipients", "queue_parts"):
            tx.execute(f"DELETE FROM {table} WHERE queue_id IN ({marks})", piece)  # noqa: S608 - own names only
        found.update(
            tx.fetch_all(
                f"DELETE FROM queue WHERE queue_id IN ({marks}) RETURNING queue_id, blob_id",  # noqa: S608 - own names only
                piece,
            )
        )
    _let_go(tx, Counter(found.values()))
    return set(found)


def _is_there(tx: Transaction, number: int, recipient: int) -> bool:
    row = tx.fetch_one(
        "SELECT 1 FROM queue_recipients WHERE queue_id = ? AND number = ?", (number, recipient)
    )
    return row is not None
