"""The statements of a delivery: local copies, queue rows and blob of each message.

Deliveries that wait together run together, with a handful of statements for all of them. An ingest
id seen before stores nothing again (``ingests`` forgets it in time).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from gateway.core.address import Address
from gateway.core.envelope import Hold, MessageOptions
from gateway.core.errors import OverQuota
from gateway.core.ids import AccountId, MailboxId, QueueId
from gateway.core.messages import Accepted, QueuedRecipient
from gateway.core.submissions import HOUR_S, Submission
from gateway.core.trace import FieldValue, TraceRecord, search_key
from gateway.store import submissions
from gateway.store.accounts import Accounts
from gateway.store.bodies import Payload
from gateway.store.bounds import NEVER
from gateway.store.departures import Departures, Leaving, Rows, queue_id_text
from gateway.store.quota import Bounds
from gateway.store.trace_form import encode
from gateway.store.trace_notes import Note
from gateway.store.transaction import ROWS_PER_STATEMENT, Row, Transaction
from gateway.store.turns import flow_of

MESSAGE_COLUMNS = (
    "messages (mailbox_id, uid, modseq, created_modseq, flags, keywords, internal_date,"
    " size_octets, blob_id)"
)
BLOB_COLUMNS = (
    "blobs (blob_id, refs, size_octets, segment_id, segment_offset, file_name, head, checksums)"
)
RELEASE_LATER = "release: the sender wants it to be delivered later"
Copy = tuple[AccountId, MailboxId, int, int, int]
"""Who gets a message, their INBOX, the blob, its octets, the internal date."""
_INGEST_COLUMNS = "ingests (ingest_id, queue_id, accepted_at)"


class Delivery(NamedTuple):
    """A message whose octets are in the store; a tuple, as a dataclass takes ten times as long to
    make, and each message makes one."""

    ingest_id: str
    sender: Address | None
    content_offset: int
    local: tuple[AccountId, ...]
    remote: tuple[QueuedRecipient, ...]
    received_at: int
    options: MessageOptions
    hold: Hold | None
    may_exceed_quota: bool
    payload: Payload
    submission: Submission | None = None
    held: tuple[QueuedRecipient, ...] = ()
    trace: Note | None = None


def blob_row(blob_id: int, refs: int, payload: Payload) -> Row:
    return (
        blob_id,
        refs,
        payload.size_octets,
        payload.segment_id,
        payload.segment_offset,
        payload.file_name,
        payload.head,
        payload.checksums,
    )


def count_records(tx: Transaction, payloads: Iterable[Payload]) -> None:
    """Count payloads that lie in segments as live."""
    tx.count_in_segments(
        (payload.segment_id, payload.size_octets) for payload in payloads if not payload.file_name
    )


class Deliveries:
    """The group of operations that accept mail."""

    def __init__(self, accounts: Accounts, bounds: Bounds, departures: Departures) -> None:
        self._accounts = accounts
        self._bounds = bounds
        self.departures = departures

    def run_together(
        self, tx: Transaction, items: Sequence[Delivery], careful: bool
    ) -> list[Accepted | OverQuota]:
        """Not ``careful``: an ingest id that is known already fails on its key.

        Raises: OverQuota, when ``careful``.
        """
        if careful:
            (item,) = items
            accepted = _known(tx, item)
            if accepted is not None:
                return [accepted]
        room = self._bounds.room(tx, [item.local for item in items])
        results: list[Accepted | OverQuota] = []
        blobs: list[Row] = []
        ingests: list[Row] = []
        leaving = Rows()
        copies: list[Copy] = []
        added: dict[MailboxId, tuple[int, int]] = {}
        kept: list[Payload] = []
        for item in items:
            octets = item.payload.size_octets
            if room is not None and not item.may_exceed_quota:
                lack = room.lacks(item.local, octets)
                if lack is not None:
                    if careful:
                        raise lack
                    # A full mailbox costs the others of the batch nothing (Stalwart #1099, D10).
                    results.append(_known(tx, item) or lack)
                    continue
            held: Hold | None = None
            if item.submission is not None and not submissions.count(tx, item.submission):
                item = _put_off(tx, item)
                held = item.hold
            if room is not None:
                room.take(item.local, octets)
            blob_id = tx.next_id("blob")
            for account_id in item.local:
                inbox_id = self._accounts.inbox_of(tx, account_id)
                count, size = added.get(inbox_id, (0, 0))
                added[inbox_id] = (count + 1, size + octets)
                copies.append((account_id, inbox_id, blob_id, octets, item.received_at))
            queue_id = QueueId("")
            if item.remote:
                number = tx.next_id("queue")
                queue_id = queue_id_text(number)
                self.departures.add(leaving, _leaving(number, blob_id, item), tx.now)
            refs = len(item.local) + bool(item.remote)
            if refs:
                blobs.append(blob_row(blob_id, refs, item.payload))
                kept.append(item.payload)
            else:
                _leave_out(tx, item.payload)
            if item.trace is not None:
                _add_trace(tx, item, item.trace, queue_id)
            ingests.append((item.ingest_id, queue_id, tx.now))
            results.append(Accepted(item.ingest_id, queue_id, held))
        tx.insert(_INGEST_COLUMNS, ingests)
        tx.insert(BLOB_COLUMNS, blobs)
        count_records(tx, kept)
        if copies:
            self._insert_copies(tx, copies, added)
        if leaving.queue:
            leaving.insert(tx)
        if room is not None:
            room.settle(tx)
        return results

    def copy_from_queue(
        self,
        tx: Transaction,
        accounts: Sequence[AccountId],
        blob_id: int,
        octets: int,
        *,
        may_exceed_quota: bool,
    ) -> None:
        """A queued message goes to people here as well. Raises: OverQuota."""
        room = self._bounds.room(tx, [accounts])
        if room is not None:
            if not may_exceed_quota and (lack := room.lacks(accounts, octets)):
                raise lack
            room.take(accounts, octets)
        inboxes = [self._accounts.inbox_of(tx, account_id) for account_id in accounts]
        copies = [
            (account_id, inbox_id, blob_id, octets, tx.now)
            for account_id, inbox_id in zip(accounts, inboxes, strict=True)
        ]
        self._insert_copies(tx, copies, dict.fromkeys(inboxes, (1, octets)))
        tx.execute("UPDATE blobs SET refs = refs + ? WHERE blob_id = ?", (len(copies), blob_id))
        if room is not None:
            room.settle(tx)

    def _insert_copies(
        self,
        tx: Transaction,
        copies: Sequence[Copy],
        added: dict[MailboxId, tuple[int, int]],
    ) -> None:
        following = _advance(tx, added)
        rows: list[Row] = []
        for account_id, inbox_id, blob_id, octets, date in copies:
            uid, modseq = following[inbox_id]
            following[inbox_id] = (uid + 1, modseq + 1)
            rows.append((inbox_id, uid, modseq, modseq, 0, "", date, octets, blob_id))
            tx.touch(account_id, inbox_id, modseq)
        tx.insert(MESSAGE_COLUMNS, rows)


def _known(tx: Transaction, item: Delivery) -> Accepted | None:
    """What became of an ingest id seen before; its octets are not needed again then."""
    row = tx.fetch_one("SELECT queue_id FROM ingests WHERE ingest_id = ?", (item.ingest_id,))
    if row is None:
        return None
    _leave_out(tx, item.payload)
    return Accepted(item.ingest_id, QueueId(row[0]))


def _advance(
    tx: Transaction, added: dict[MailboxId, tuple[int, int]]
) -> dict[MailboxId, tuple[int, int]]:
    """Count new, unseen messages in; returns the first new UID and MODSEQ of each mailbox."""
    rows = [(mailbox_id, count, size) for mailbox_id, (count, size) in added.items()]
    first: dict[MailboxId, tuple[int, int]] = {}
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        chunk = rows[start : start + ROWS_PER_STATEMENT]
        values = ", ".join(["(?, ?, ?)"] * len(chunk))
        for mailbox_id, uid_next, modseq in tx.fetch_all(
            "UPDATE mailboxes SET uid_next = uid_next + v.column2,"  # noqa: S608 - own names only
            " highest_modseq = highest_modseq + v.column2, messages = messages + v.column2,"
            " unseen = unseen + v.column2, size_octets = size_octets + v.column3"
            f" FROM (VALUES {values}) AS v WHERE mailboxes.mailbox_id = v.column1"
            " RETURNING mailbox_id, uid_next, highest_modseq",
            [value for row in chunk for value in row],
        ):
            count = added[mailbox_id][0]
            first[mailbox_id] = (uid_next - count, modseq - count + 1)
    return first


def _put_off(tx: Transaction, item: Delivery) -> Delivery:
    """Their hour has filled up at the last moment: everybody waits for a later one."""
    submission = item.submission
    assert submission is not None and submission.otherwise is not None
    until = submission.otherwise.until
    assert until is not None
    later = replace(submission, hour=until // HOUR_S, room=None)
    submissions.count(tx, later)
    return item._replace(local=(), remote=item.held, hold=submission.otherwise, submission=later)


def _leave_out(tx: Transaction, payload: Payload) -> None:
    """Nothing will point to these octets: a large file goes after the commit."""
    if payload.file_name:
        tx.dead_files.append(payload.file_name)


def _add_trace(tx: Transaction, item: Delivery, trace: Note, queue_id: QueueId) -> None:
    """In the transaction of the message, so that both are there or none."""
    tx.traced.append(trace)
    if queue_id:
        fields: dict[str, FieldValue] = {"queue_id": queue_id}
        if item.hold is not None:
            fields |= {"held": item.hold.reason, "until": item.hold.until}
        queued = TraceRecord(item.ingest_id, trace.at, "queued", (search_key(queue_id),), fields)
        tx.traced.append(Note(trace.at, encode(queued)))


def _hold(item: Delivery) -> tuple[str, int]:
    """Why it is held and till when; a hold never ends before the time that the sender has named
    (RFC 4865 section 4)."""
    release_at = item.options.release_at or item.received_at
    if item.hold is None:
        return (RELEASE_LATER, release_at) if release_at > item.received_at else ("", 0)
    until = NEVER if item.hold.until is None else max(item.hold.until, release_at)
    return item.hold.reason, until


def _leaving(number: int, blob_id: int, item: Delivery) -> Leaving:
    hold, until = _hold(item)
    account_id = "" if item.submission is None else item.submission.account_id
    return Leaving(
        number,
        item.sender,
        blob_id,
        item.content_offset,
        item.payload.size_octets - item.content_offset,
        item.options,
        item.received_at,
        item.ingest_id,
        hold,
        until,
        item.remote,
        flow_of(item.sender, account_id),
    )
