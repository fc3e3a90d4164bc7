"""Changing a mailbox's messages: append, flags, copy, move, expunge.

Owns the statements that change rows of ``messages`` other than deliveries. Every change takes one
new MODSEQ and keeps the mailbox's counters exact in the same transaction. Sets of UIDs are narrowed
to stretches of existing messages first; a stretch costs a few statements, whatever its length.
Expunging, which may take as long as it likes, is several transactions of EXPUNGE_PIECE messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.errors import NoSuchMailbox
from gateway.core.ids import AccountId, MailboxId, ModSeq, Uid
from gateway.core.messages import AppendMessage, AppendResult, CopyResult, Flags
from gateway.core.uidset import Ranges, from_sorted
from gateway.store import flags as flagging
from gateway.store import history, names
from gateway.store.bodies import Payload
from gateway.store.committer import Committer
from gateway.store.deliveries import BLOB_COLUMNS, MESSAGE_COLUMNS, blob_row, count_records
from gateway.store.engine import by_index
from gateway.store.flags import SEEN
from gateway.store.mailboxes import BY_NAME
from gateway.store.payloads import Payloads
from gateway.store.quota import Bounds
from gateway.store.retention import Retention, let_go
from gateway.store.selection import EVERY, close_together, narrow
from gateway.store.transaction import Row, Transaction

Mode = Literal["set", "add", "remove"]

EXPUNGE_PIECE = 500
"""Messages removed in one transaction: some ten milliseconds, a hundred if they lie far apart."""
MAX_UIDS = 2**32

_IN_RANGE = "mailbox_id = ? AND uid BETWEEN ? AND ?"
_IS_DELETED = "(flags & 8) <> 0"  # literally the condition of the index messages_deleted
_COPIED = (
    "SELECT uid, flags, keywords, internal_date, size_octets, blob_id"  # noqa: S608 - own names only
    f" FROM messages WHERE {_IN_RANGE} ORDER BY uid"
)


class Messages:
    """The changing half of the port MailboxStore."""

    def __init__(
        self, committer: Committer, payloads: Payloads, bounds: Bounds, retention: Retention
    ) -> None:
        self._committer = committer
        self._payloads = payloads
        self._bounds = bounds
        self._retention = retention

    async def append(
        self, account_id: AccountId, name: str, messages: Sequence[AppendMessage]
    ) -> AppendResult:
        payloads = await self._payloads.make_all(message.body for message in messages)

        def run(tx: Transaction) -> AppendResult:
            appended = append_all(tx, account_id, names.canonical(name), messages, payloads)
            self._bounds.check(tx, account_id)
            return appended

        return await self._committer.write(run, payloads=payloads)

    async def store_flags(
        self, mailbox_id: MailboxId, uids: Ranges, mode: Mode, flags: Flags
    ) -> ModSeq:
        return await self._committer.write(
            lambda tx: change_flags(tx, mailbox_id, uids, mode, flags), uses_reserve=True
        )

    async def copy(
        self, source: MailboxId, uids: Ranges, account_id: AccountId, name: str, *, move: bool
    ) -> CopyResult:
        def run(tx: Transaction) -> CopyResult:
            copied = copy_all(tx, source, uids, account_id, names.canonical(name), move)
            if copied.uids and not (move and _owner(tx, source) == account_id):
                self._bounds.check(tx, account_id)
            return copied

        # Moving is how many clients delete, to Trash: it needs no room, of whatever kind. What is
        # moved to somebody else does.
        return await self._committer.write(run, uses_reserve=move)

    async def expunge(
        self, mailbox_id: MailboxId, uids: Ranges | None, *, only_deleted: bool
    ) -> tuple[Uid, ...]:
        """In pieces, so that nobody's mail waits for a hundred thousand messages to go.

        What has begun goes on to its end, also when the client that asked is gone by then.
        """
        told: Deferred[tuple[Uid, ...]] = Deferred()

        def tell(result: tuple[Uid, ...] | Failure) -> None:
            if not told.called:  # nobody waits any more
                told.callback(result)

        pieces = self._expunge_in_pieces(mailbox_id, EVERY if uids is None else uids, only_deleted)
        Deferred.fromCoroutine(pieces).addBoth(tell)
        return await told

    async def _expunge_in_pieces(
        self, mailbox_id: MailboxId, uids: Ranges, only_deleted: bool
    ) -> tuple[Uid, ...]:
        gone: tuple[Uid, ...] = ()
        while uids:
            piece = partial(
                expunge_some,
                mailbox_id=mailbox_id,
                uids=uids,
                only_deleted=only_deleted,
                retention=self._retention,
                most=EXPUNGE_PIECE,
            )
            removed, uids = await self._committer.write(piece, uses_reserve=True)
            gone += removed
        return gone


def _target(tx: Transaction, account_id: AccountId, name: str) -> tuple[MailboxId, int]:
    """Mailbox id and UIDVALIDITY. Raises: NoSuchMailbox."""
    row = tx.fetch_one(BY_NAME, (account_id, name))
    if row is None:
        raise NoSuchMailbox()
    return MailboxId(row[0]), row[3]


def _count(
    tx: Transaction,
    mailbox_id: MailboxId,
    *,
    uids: int,
    messages: int,
    unseen: int,
    octets: int,
    old: int = 0,
) -> tuple[int, int]:
    """Move the mailbox's counters; returns UIDNEXT and the new MODSEQ.

    Args:
        old: messages that are not \\Recent any more; new ones always are.
    """
    row = tx.fetch_one(
        "UPDATE mailboxes SET uid_next = uid_next + ?, highest_modseq = highest_modseq + 1,"
        " messages = messages + ?, unseen = unseen + ?, size_octets = size_octets + ?,"
        " old_messages = old_messages + ?"
        " WHERE mailbox_id = ? RETURNING account_id, uid_next, highest_modseq",
        (uids, messages, unseen, octets, old, mailbox_id),
    )
    if row is None:
        raise NoSuchMailbox()
    tx.touch(AccountId(row[0]), mailbox_id, row[2])
    return row[1], row[2]


def append_all(
    tx: Transaction,
    account_id: AccountId,
    name: str,
    messages: Sequence[AppendMessage],
    payloads: Sequence[Payload],
) -> AppendResult:
    """All messages or none, with ascending UIDs in the order given."""
    mailbox_id, uid_validity = _target(tx, account_id, name)
    marks: list[tuple[int, str]] = []
    for message in messages:
        mask, keywords = flagging.split(message.flags)
        marks.append((mask, flagging.text_of(flagging.register(tx, mailbox_id, keywords))))
    uid_next, modseq = _count(
        tx,
        mailbox_id,
        uids=len(messages),
        messages=len(messages),
        unseen=sum(not mask & SEEN for mask, _ in marks),
        octets=sum(payload.size_octets for payload in payloads),
    )
    blobs: list[Row] = []
    rows: list[Row] = []
    uid = uid_next - len(messages)
    for message, payload, (mask, text) in zip(messages, payloads, marks, strict=True):
        blob_id = tx.next_id("blob")
        blobs.append(blob_row(blob_id, 1, payload))
        octets = payload.size_octets
        rows.append(
            (mailbox_id, uid, modseq, modseq, mask, text, message.internal_date, octets, blob_id)
        )
        uid += 1
    tx.insert(BLOB_COLUMNS, blobs)
    count_records(tx, payloads)
    tx.insert(MESSAGE_COLUMNS, rows)
    return AppendResult(mailbox_id, uid_validity, tuple(Uid(row[1]) for row in rows))


def change_flags(
    tx: Transaction, mailbox_id: MailboxId, uids: Ranges, mode: Mode, flags: Flags
) -> ModSeq:
    """Change what differs; messages that have the flags already keep their MODSEQ."""
    row = tx.fetch_one("SELECT highest_modseq FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,))
    if row is None:
        raise NoSuchMailbox()
    modseq = row[0] + 1
    mask, given = flagging.split(flags)
    if mode == "remove":
        keywords = {keyword.casefold() for keyword in given}
    else:
        keywords = set(flagging.register(tx, mailbox_id, given))
    changed = unseen = 0
    for low, high in narrow(tx.connection, mailbox_id, uids):
        # Few different states occur, so the work is one statement for each of them.
        for old_mask, old_text in tx.fetch_all(
            f"SELECT DISTINCT flags, keywords FROM messages WHERE {_IN_RANGE}",  # noqa: S608 - own names only
            (mailbox_id, low, high),
        ):
            new_mask, new_text = _changed(old_mask, old_text, mode, mask, keywords)
            if (new_mask, new_text) == (old_mask, old_text):
                continue
            count = tx.execute(
                "UPDATE messages SET flags = ?, keywords = ?, modseq = ?"  # noqa: S608 - own names only
                f" WHERE {_IN_RANGE} AND flags = ? AND keywords = ?",
                (new_mask, new_text, modseq, mailbox_id, low, high, old_mask, old_text),
            )
            changed += count
            unseen += count * (bool(old_mask & SEEN) - bool(new_mask & SEEN))
    if changed:
        _count(tx, mailbox_id, uids=0, messages=0, unseen=unseen, octets=0)
        return ModSeq(modseq)
    return ModSeq(modseq - 1)


def _changed(
    old_mask: int, old_text: str, mode: Mode, mask: int, keywords: set[str]
) -> tuple[int, str]:
    old = set(old_text.split())
    if mode == "set":
        return mask, flagging.text_of(keywords)
    if mode == "add":
        return old_mask | mask, flagging.text_of(old | keywords)
    kept = {keyword for keyword in old if keyword.casefold() not in keywords}
    return old_mask & ~mask, flagging.text_of(kept)


def _owner(tx: Transaction, mailbox_id: MailboxId) -> AccountId | None:
    row = tx.fetch_one("SELECT account_id FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,))
    return AccountId(row[0]) if row is not None else None


def copy_all(
    tx: Transaction,
    source: MailboxId,
    uids: Ranges,
    account_id: AccountId,
    name: str,
    move: bool,
) -> CopyResult:
    """Copies share the blob. Keywords over the target's limit are left out."""
    target, uid_validity = _target(tx, account_id, name)
    found: list[Any] = []
    stretches = narrow(tx.connection, source, uids)
    for low, high in stretches:
        found += tx.fetch_all(_COPIED, (source, low, high))
    if not found:
        return CopyResult(target, uid_validity, (), ())
    first = add_rows(tx, target, [row[1:] for row in found])
    # The new rows are a stretch of their own, so their blobs are counted in one statement.
    tx.execute(
        "UPDATE blobs SET refs = refs + new.copies FROM"  # noqa: S608 - own names only
        f" (SELECT blob_id, count(*) AS copies FROM messages WHERE {_IN_RANGE}"
        " GROUP BY blob_id) AS new WHERE blobs.blob_id = new.blob_id",
        (target, first, first + len(found) - 1),
    )
    source_uids = tuple(Uid(row[0]) for row in found)
    if move:
        # Not what has just been added, if a mailbox is moved into itself.
        moved = tuple((low, min(high, source_uids[-1])) for low, high in stretches)
        expunge_some(tx, source, moved, False, None)  # they live on
    return CopyResult(
        target, uid_validity, tuple(Uid(first + index) for index in range(len(found))), source_uids
    )


def add_rows(
    tx: Transaction, target: MailboxId, rows: Sequence[tuple[int, str, int, int, int]]
) -> int:
    """New rows of stored messages; returns the first UID. References are the caller's business.

    Args:
        rows: flags, keywords, internal date, size and blob of each. Keywords over the target's
            limit are left out.
    """
    uid_next, modseq = _count(
        tx,
        target,
        uids=len(rows),
        messages=len(rows),
        unseen=sum(not row[0] & SEEN for row in rows),
        octets=sum(row[3] for row in rows),
    )
    spelled = {
        text: flagging.text_of(flagging.register(tx, target, text.split(), strict=False))
        for text in {row[1] for row in rows}
    }
    first = uid_next - len(rows)
    tx.insert(
        MESSAGE_COLUMNS,
        [
            (target, first + index, modseq, modseq, mask, spelled[text], date, octets, blob_id)
            for index, (mask, text, date, octets, blob_id) in enumerate(rows)
        ],
    )
    return first


def expunge_some(
    tx: Transaction,
    mailbox_id: MailboxId,
    uids: Ranges,
    only_deleted: bool,
    retention: Retention | None,
    most: int = MAX_UIDS,
) -> tuple[tuple[Uid, ...], Ranges]:
    """Remove rows and remember their UIDs. A mailbox that is gone has nothing.

    Args:
        retention: decides what becomes of the messages; None when they live on elsewhere.
        most: this many messages, and items of ``uids``, are enough.

    Returns:
        The UIDs removed, and where there may be more to remove.
    """
    row = tx.fetch_one(
        "SELECT highest_modseq, account_id, name, recent_from FROM mailboxes WHERE mailbox_id = ?",
        (mailbox_id,),
    )
    if row is None:
        return (), ()
    modseq, recent_from = row[0] + 1, row[3]
    which = f"{_IN_RANGE} AND {_IS_DELETED}" if only_deleted else _IN_RANGE
    # An EXPUNGE looks at nothing but what is marked, however large the mailbox.
    source = f"messages{by_index('messages_deleted')}" if only_deleted else "messages"
    gone: list[Any] = []
    ranges, rest = narrow(tx.connection, mailbox_id, uids[:most]), uids[most:]
    for at, (low, high) in enumerate(ranges, start=1):
        room = most - len(gone)
        removed = tx.fetch_all(
            f"SELECT uid, flags, size_octets FROM {source} WHERE {which} ORDER BY uid LIMIT ?",  # noqa: S608 - own names only
            (mailbox_id, low, high, room),
        )
        if not removed:
            continue
        gone += removed
        for first, last in close_together(uid for uid, _, _ in removed):
            stretch = (mailbox_id, first, last)
            if retention is None:
                let_go(tx, which, stretch)
            else:
                retention.retire(tx, AccountId(row[1]), row[2], which, stretch)
            tx.execute(f"DELETE FROM messages WHERE {which}", stretch)  # noqa: S608 - own names only
        if len(removed) == room:
            last_uid = removed[-1][0]
            begun = ((last_uid + 1, high),) if last_uid < high else ()
            rest = (*begun, *ranges[at:], *rest)
            break
    if gone:
        history.remember(tx, mailbox_id, modseq, from_sorted([uid for uid, _, _ in gone]))
        _count(
            tx,
            mailbox_id,
            uids=0,
            messages=-len(gone),
            unseen=-sum(not flags & SEEN for _, flags, _ in gone),
            octets=-sum(octets for _, _, octets in gone),
            old=-sum(uid < recent_from for uid, _, _ in gone),
        )
    return tuple(Uid(uid) for uid, _, _ in gone), rest
