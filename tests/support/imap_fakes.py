"""An in-memory MailboxStore and Intake for dialogues with the IMAP door.

Owns messages in dictionaries and answers at once, with the semantics of ``core.ports.store``:
UIDs and MODSEQs ascend, changes are told to watchers after the change. Tests may hold a call back
(``hold``) or make it fail (``fail``). Never durable, never fast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from twisted.internet.defer import Deferred

from gateway.core.errors import (
    GatewayError,
    MailboxExists,
    MailboxNameRefused,
    MessageGone,
    NoSuchMailbox,
    StoreDamaged,
)
from gateway.core.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from gateway.core.mailboxes import (
    DEFAULT_MAILBOXES,
    ChangedFlags,
    Changes,
    ListedMailbox,
    Mailbox,
    MailboxEvent,
    MailboxStatus,
    Selection,
)
from gateway.core.messages import (
    SYSTEM_FLAGS,
    Accepted,
    AppendMessage,
    AppendResult,
    CopyResult,
    Flags,
    MessageRow,
    MessageSummary,
    NewMessage,
)
from gateway.core.ports.body import IncomingBody
from gateway.core.ports.store import Span, Unreadable
from gateway.core.search import All, And, HasFlag, Not, Or, SearchKey, SizeIs, UidIn
from gateway.core.uids import UidRuns
from gateway.core.uidset import Ranges, contains, from_sorted
from tests.support.imap_fake_mailbox import FakeBody, FakeMailbox


class FakeStore:
    """MailboxStore and Intake in memory."""

    def __init__(self, summarise: Callable[[bytes], MessageSummary]) -> None:
        self._summarise = summarise
        self.boxes: dict[int, FakeMailbox] = {}
        self.blobs: dict[int, bytes] = {}
        self.subscribed: dict[AccountId, set[str]] = {}
        self.watchers: dict[int, list[Callable[[MailboxEvent], None]]] = {}
        self.bodies: list[FakeBody] = []
        self.failures: dict[str, GatewayError | Exception] = {}
        self.held: dict[str, list[Deferred[None]]] = {}
        self.calls: list[str] = []
        self.damaged: set[int] = set()
        self.largest_read = 0
        self.largest_batch = 0
        self.now = 1_700_000_000

    # -- for tests

    def fail(self, method: str, error: Exception | None) -> None:
        """Make a method raise from now on; None heals it."""
        if error is None:
            self.failures.pop(method, None)
        else:
            self.failures[method] = error

    def hold(self, method: str) -> None:
        """Let calls of a method wait until ``release``."""
        self.held[method] = []

    def release(self, method: str) -> None:
        for waiting in self.held.pop(method):
            if not waiting.called:
                waiting.callback(None)

    def deliver(
        self,
        data: bytes,
        name: str = "INBOX",
        flags: Flags = frozenset(),
        account_id: str = "alice",
    ) -> Uid:
        """A message arrives from elsewhere."""
        box = self._box(AccountId(account_id), name)
        box.modseq += 1
        uid = self._insert(box, data, flags, self.now)
        self._announce(box)
        return uid

    # -- inner workings

    async def _gate(self, method: str) -> None:
        self.calls.append(method)
        if method in self.held:
            waiting: Deferred[None] = Deferred()
            self.held[method].append(waiting)
            await waiting
        if method in self.failures:
            raise self.failures[method]

    def _box(self, account_id: AccountId, name: str) -> FakeMailbox:
        for box in self.boxes.values():
            if box.account_id == account_id and box.name == name and not box.deleted:
                return box
        raise NoSuchMailbox

    def _by_id(self, mailbox_id: MailboxId) -> FakeMailbox:
        box = self.boxes[mailbox_id]
        if box.deleted:
            raise NoSuchMailbox
        return box

    def _make(self, account_id: AccountId, name: str, special_use: str = "") -> FakeMailbox:
        number = len(self.boxes) + 1
        box = FakeMailbox(MailboxId(number), account_id, name, special_use)
        self.boxes[number] = box
        return box

    def _insert(self, box: FakeMailbox, data: bytes, flags: Flags, internal_date: int) -> Uid:
        blob_id = BlobId(len(self.blobs) + 1)
        self.blobs[blob_id] = data
        row = MessageRow(
            Uid(box.uid_next), ModSeq(box.modseq), flags, internal_date, len(data), blob_id
        )
        box.rows[box.uid_next] = row
        box.uid_next += 1
        return row.uid

    def _announce(self, box: FakeMailbox) -> None:
        event = MailboxEvent(box.account_id, box.mailbox_id, ModSeq(box.modseq))
        for callback in list(self.watchers.get(box.mailbox_id, ())):
            callback(event)

    # -- Intake

    def open_body(self) -> IncomingBody:
        body = FakeBody()
        self.bodies.append(body)
        return body

    async def accept(self, message: NewMessage) -> Accepted:
        raise NotImplementedError

    # -- mailboxes

    async def ensure_account(self, account_id: AccountId) -> None:
        await self._gate("ensure_account")
        if account_id not in self.subscribed:
            self.subscribed[account_id] = set()
            for name, special_use in DEFAULT_MAILBOXES:
                self._make(account_id, name, special_use)

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[ListedMailbox]:
        await self._gate("list_mailboxes")
        subscribed = self.subscribed[account_id]
        boxes = {
            box.name: box.special_use
            for box in self.boxes.values()
            if box.account_id == account_id and not box.deleted
        }
        return [
            ListedMailbox(name, boxes.get(name, ""), name in subscribed, name in boxes)
            for name in sorted(boxes.keys() | subscribed)
        ]

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        await self._gate("find_mailbox")
        return self._box(account_id, name).identity()

    async def create_mailbox(
        self, account_id: AccountId, name: str, special_use: str = ""
    ) -> Mailbox:
        await self._gate("create_mailbox")
        try:
            self._box(account_id, name)
        except NoSuchMailbox:
            return self._make(account_id, name, special_use).identity()
        raise MailboxExists

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        await self._gate("delete_mailbox")
        if name == "INBOX":
            raise MailboxNameRefused
        box = self._box(account_id, name)
        box.deleted = True
        self._announce(box)

    async def rename_mailbox(self, account_id: AccountId, old: str, new: str) -> None:
        await self._gate("rename_mailbox")
        self._box(account_id, old).name = new

    async def set_subscribed(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        await self._gate("set_subscribed")
        if subscribed:
            self.subscribed[account_id].add(name)
        else:
            self.subscribed[account_id].discard(name)

    async def status(self, account_id: AccountId, name: str) -> MailboxStatus:
        await self._gate("status")
        box = self._box(account_id, name)
        rows = box.rows.values()
        return MailboxStatus(
            box.identity(),
            len(rows),
            sum(row.uid >= box.recent_from for row in rows),
            sum("\\Seen" not in row.flags for row in rows),
            sum(row.size_octets for row in rows),
        )

    async def select(self, account_id: AccountId, name: str, *, claim_recent: bool) -> Selection:
        await self._gate("select")
        box = self._box(account_id, name)
        uids = sorted(box.rows)
        unseen = [i for i, uid in enumerate(uids, 1) if "\\Seen" not in box.rows[uid].flags]
        recent_from = box.recent_from
        if claim_recent:
            box.recent_from = box.uid_next
        keywords = {flag for row in box.rows.values() for flag in row.flags}
        return Selection(
            box.identity(),
            UidRuns(from_sorted(uids)),
            Uid(recent_from),
            unseen[0] if unseen else 0,
            tuple(sorted(keywords - set(SYSTEM_FLAGS))),
        )

    # -- messages

    async def rows(self, mailbox_id: MailboxId, uids: Ranges) -> Sequence[MessageRow]:
        await self._gate("rows")
        box = self._by_id(mailbox_id)
        return [box.rows[uid] for uid in sorted(box.rows) if contains(uids, uid)]

    async def summaries(self, blob_ids: Sequence[BlobId]) -> Sequence[MessageSummary | Unreadable]:
        await self._gate("summaries")
        return [
            self._unreadable(blob_id) or self._summarise(self.blobs[blob_id])
            for blob_id in blob_ids
        ]

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        await self._gate("read")
        self.largest_read = max(self.largest_read, length)
        if unreadable := self._unreadable(blob_id):
            raise unreadable
        return self.blobs[blob_id][offset : offset + length]

    async def read_many(self, spans: Sequence[Span]) -> Sequence[bytes | Unreadable]:
        await self._gate("read_many")
        self.largest_batch = max(self.largest_batch, sum(length for _, _, length in spans))
        return [
            self._unreadable(blob_id) or self.blobs[blob_id][offset : offset + length]
            for blob_id, offset, length in spans
        ]

    def _unreadable(self, blob_id: BlobId) -> Unreadable | None:
        if blob_id in self.damaged:
            return StoreDamaged(blob=blob_id)
        return None if blob_id in self.blobs else MessageGone(blob=blob_id)

    async def append(
        self, account_id: AccountId, name: str, messages: Sequence[AppendMessage]
    ) -> AppendResult:
        await self._gate("append")
        box = self._box(account_id, name)
        box.modseq += 1
        uids = []
        for message in messages:
            assert isinstance(message.body, FakeBody)
            data = bytes(message.body.data)
            uids.append(self._insert(box, data, message.flags, message.internal_date))
        self._announce(box)
        return AppendResult(box.mailbox_id, 1000 + box.mailbox_id, tuple(uids))

    async def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: Ranges,
        mode: Literal["set", "add", "remove"],
        flags: Flags,
    ) -> ModSeq:
        await self._gate("store_flags")
        box = self._by_id(mailbox_id)
        changed: dict[int, MessageRow] = {}
        for row in box.rows.values():
            new = {"set": flags, "add": row.flags | flags, "remove": row.flags - flags}[mode]
            if contains(uids, row.uid) and new != row.flags:
                changed[row.uid] = replace(row, flags=new, modseq=ModSeq(box.modseq + 1))
        if changed:
            box.modseq += 1
            box.rows.update(changed)
            self._announce(box)
        return ModSeq(box.modseq)

    async def copy(
        self, source: MailboxId, uids: Ranges, account_id: AccountId, name: str, *, move: bool
    ) -> CopyResult:
        await self._gate("copy")
        origin, target = self._by_id(source), self._box(account_id, name)
        taken = [origin.rows[uid] for uid in sorted(origin.rows) if contains(uids, uid)]
        target.modseq += 1
        new = [
            self._insert(target, self.blobs[row.blob_id], row.flags, row.internal_date)
            for row in taken
        ]
        self._announce(target)
        if move:
            await self.expunge(source, uids, only_deleted=False)
        return CopyResult(
            target.mailbox_id,
            1000 + target.mailbox_id,
            tuple(new),
            source_uids=tuple(row.uid for row in taken),
        )

    async def expunge(
        self, mailbox_id: MailboxId, uids: Ranges | None, *, only_deleted: bool
    ) -> tuple[Uid, ...]:
        await self._gate("expunge")
        box = self._by_id(mailbox_id)
        gone = [
            row.uid
            for row in box.rows.values()
            if (uids is None or contains(uids, row.uid))
            and (not only_deleted or "\\Deleted" in row.flags)
        ]
        if gone:
            box.modseq += 1
            for uid in gone:
                del box.rows[uid]
                box.vanished.append((box.modseq, uid))
            self._announce(box)
        return tuple(sorted(gone))

    async def changes(self, mailbox_id: MailboxId, since: ModSeq) -> Changes:
        await self._gate("changes")
        box = self._by_id(mailbox_id)
        return Changes(
            ModSeq(box.modseq),
            tuple(
                ChangedFlags(row.uid, row.flags, row.modseq)
                for row in sorted(box.rows.values(), key=lambda row: row.uid)
                if row.modseq > since
            ),
            from_sorted(sorted(uid for modseq, uid in box.vanished if modseq > since)),
        )

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> Sequence[Uid]:
        await self._gate("search")
        box = self._by_id(mailbox_id)
        return sorted(row.uid for row in box.rows.values() if self._matches(key, row))

    def _matches(self, key: SearchKey, row: MessageRow) -> bool:
        match key:
            case All():
                return True
            case UidIn(ranges):
                return contains(ranges, row.uid)
            case HasFlag(flag):
                return flag in row.flags
            case SizeIs(comparison, octets):
                return row.size_octets < octets if comparison == "<" else row.size_octets > octets
            case Not(inner):
                return not self._matches(inner, row)
            case And(keys):
                return all(self._matches(one, row) for one in keys)
            case Or(left, right):
                return self._matches(left, row) or self._matches(right, row)
        raise NotImplementedError(key)

    # -- change feed

    def watch(
        self, mailbox_id: MailboxId, callback: Callable[[MailboxEvent], None]
    ) -> Callable[[], None]:
        callbacks = self.watchers.setdefault(mailbox_id, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback)

    async def uidls(self, mailbox_id: MailboxId) -> Mapping[Uid, str]:
        raise NotImplementedError

    def lock_maildrop(self, account_id: AccountId) -> Callable[[], None]:
        raise NotImplementedError
