"""The store: opens everything, and keeps the ports Intake, MailboxStore and QueueStore.

Owns start and stop (lock, migrations, what a crash left, threads) and delegates every method to the
file named for its noun. Use it from the reactor's thread; ``open`` blocks and may be called before
the reactor runs.

Theory of operation: reads run in reader threads on connections of their own and never wait for
writes; writes go through the one committer. An acknowledged write survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from twisted.internet.defer import Deferred

from gateway.core.errors import MaildropInUse
from gateway.core.ids import AccountId, BlobId, MailboxId, ModSeq, QueueId, Uid
from gateway.core.mailboxes import (
    Changes,
    ListedMailbox,
    Mailbox,
    MailboxEvent,
    MailboxStatus,
    Selection,
)
from gateway.core.messages import (
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
from gateway.core.ports.clock import CallFromThread, WallClock
from gateway.core.ports.store import Span, Unreadable
from gateway.core.queue import QueueDepth, QueueItem, Recorded
from gateway.core.search import SearchKey
from gateway.core.uidset import Ranges
from gateway.store import engine
from gateway.store.accounts import Accounts
from gateway.store.blobs import StoredOctets
from gateway.store.bodies import Bodies
from gateway.store.committer import Committer
from gateway.store.compaction import Compactor, Pace
from gateway.store.deliveries import Deliveries, prune_ingests
from gateway.store.feed import Feed
from gateway.store.files import Files, OsFiles
from gateway.store.imports import Imports
from gateway.store.intake import MailIntake
from gateway.store.layout import Layout
from gateway.store.mailboxes import Mailboxes
from gateway.store.messages import Messages
from gateway.store.opening import open_index, recover
from gateway.store.payloads import Nothing, Payloads
from gateway.store.queue_tables import QueueTables
from gateway.store.quota import Bounds, Quotas
from gateway.store.readers import Closable, Pool
from gateway.store.reserve import Reserve
from gateway.store.retention import Retention
from gateway.store.search import Search
from gateway.store.segments import ROLL_OCTETS, SegmentWriter
from gateway.store.summaries import Summaries, Summarise
from gateway.store.vault import Vault
from gateway.store.views import Views
from gateway.wire.mime.summary import summarise as summarise_message

READER_THREADS = 4
SEALER_THREADS = 2  # large messages whose files are being synced at the same time
COMPACTION = Pace()


class Store:
    """The embedded durable store."""

    def __init__(
        self,
        layout: Layout,
        lock_fd: int,
        writer: sqlite3.Connection,
        next_segment: int,
        *,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        reader_threads: int,
        files: Files,
        reserve: Reserve,
        summarise: Summarise,
        roll_octets: int,
        compaction: Pace,
        keep_deleted_s: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._lock_fd = lock_fd
        self._call_from_thread = call_from_thread
        self._feed = Feed()
        self._maildrops: set[AccountId] = set()
        self._closing: Deferred[None] | None = None
        accounts = Accounts()
        bounds = Bounds(accounts)
        deliveries = Deliveries(accounts, bounds)
        self._readers = Pool(
            "store-reader",
            [StoredOctets(engine.open_reader(layout.index), layout) for _ in range(reader_threads)],
            call_from_thread,
        )
        sealing: list[Closable] = [Nothing() for _ in range(SEALER_THREADS)]
        self._sealers = Pool("store-sealer", sealing, call_from_thread)
        reserve.hold()
        retention = Retention(keep_deleted_s, reserve)
        segments = SegmentWriter(files, layout, next_segment, roll_octets)
        self._committer = Committer(
            connection=writer,
            segments=segments,
            files=files,
            layout=layout,
            reserve=reserve,
            compactor=Compactor(writer, segments, files, layout, reserve, monotonic, compaction),
            aftermath=self._feed,
            inboxes=accounts.inboxes,
            housekeeping=prune_ingests,
            call_from_thread=call_from_thread,
            wall_clock=wall_clock,
        )
        payloads = Payloads(Bodies(files, layout), self._sealers)
        self._payloads = payloads
        self._intake = MailIntake(deliveries, payloads, self._committer)
        self._mailboxes = Mailboxes(accounts, self._committer, self._readers, retention)
        self._messages = Messages(self._committer, payloads, bounds, retention)
        self.vault = Vault(accounts, self._committer, self._readers, retention, wall_clock)
        self._views = Views(self._committer, self._readers)
        self.quota = Quotas(bounds, self._committer, self._readers, self._feed, monotonic)
        self.imports = Imports(accounts, self._committer, self._readers, payloads)
        self._summaries = Summaries(self._committer, self._readers, summarise)
        self._search = Search(self._readers, self._summaries)
        self._queue = QueueTables(
            self._committer, self._readers, self._intake, deliveries, payloads
        )
        for pool in (self._readers, self._sealers, self._committer):
            pool.start()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        *,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        reader_threads: int = READER_THREADS,
        files: Files | None = None,
        summarise: Summarise = summarise_message,
        roll_octets: int = ROLL_OCTETS,
        compaction: Pace = COMPACTION,
        keep_deleted_s: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Store:
        """Open or make the store below ``state_dir``. Blocks.

        Raises:
            StoreUnavailable: in use by another process, wrong owner, or the disk refuses.
            SchemaTooNew: written by a newer gateway.
        """
        files = files or OsFiles()
        layout = Layout(state_dir)
        layout.prepare(files)
        lock_fd = layout.take_lock()
        try:
            reserve = Reserve(layout)
            reserve.make_room()
            writer = open_index(files, layout)
            try:
                return cls(
                    layout,
                    lock_fd,
                    writer,
                    recover(writer, files, layout, int(wall_clock())),
                    call_from_thread=call_from_thread,
                    wall_clock=wall_clock,
                    reader_threads=reader_threads,
                    files=files,
                    reserve=reserve,
                    summarise=summarise,
                    roll_octets=roll_octets,
                    compaction=compaction,
                    keep_deleted_s=keep_deleted_s,
                    monotonic=monotonic,
                )
            except BaseException:
                writer.close()
                raise
        except sqlite3.Error as error:
            os.close(lock_fd)
            raise engine.store_error(error) from error
        except BaseException:
            os.close(lock_fd)
            raise

    async def close(self) -> None:
        """Commit what was handed in, stop the threads, release the lock. May be called twice."""
        if self._closing is None:
            self._closing = Deferred()
            # Here, where work is handed in as well, so that none slips in behind the end.
            # Sealed bodies go on to the committer from here too, so they are refused: their
            # senders get a temporary error and keep the message.
            for pool in (self._sealers, self._readers, self._committer):
                pool.close()
            threading.Thread(target=self._stop, name="store-closer", daemon=True).start()
        waiting: Deferred[None] = Deferred()

        def pass_on(_: None) -> None:
            waiting.callback(None)

        self._closing.addCallback(pass_on)
        await waiting

    def _stop(self) -> None:
        # The committer's connection is closed last and folds the log into the index.
        for pool in (self._sealers, self._readers, self._committer):
            pool.join()
        with contextlib.suppress(OSError):
            os.close(self._lock_fd)
        closing = self._closing
        assert closing is not None
        self._call_from_thread(lambda: closing.callback(None))

    # -- Intake

    def open_body(self) -> IncomingBody:
        return self._payloads.open_body()

    async def accept(self, message: NewMessage) -> Accepted:
        return await self._intake.accept(message)

    # -- MailboxStore: mailboxes

    async def ensure_account(self, account_id: AccountId) -> None:
        await self._mailboxes.ensure_account(account_id)

    async def list_mailboxes(self, account_id: AccountId) -> Sequence[ListedMailbox]:
        return await self._mailboxes.list(account_id)

    async def find_mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        return await self._mailboxes.find(account_id, name)

    async def create_mailbox(
        self, account_id: AccountId, name: str, special_use: str = ""
    ) -> Mailbox:
        return await self._mailboxes.create(account_id, name, special_use)

    async def delete_mailbox(self, account_id: AccountId, name: str) -> None:
        await self._mailboxes.delete(account_id, name)

    async def rename_mailbox(self, account_id: AccountId, old: str, new: str) -> None:
        await self._mailboxes.rename(account_id, old, new)

    async def set_subscribed(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        await self._mailboxes.set_subscribed(account_id, name, subscribed)

    async def status(self, account_id: AccountId, name: str) -> MailboxStatus:
        return await self._mailboxes.status(account_id, name)

    async def select(self, account_id: AccountId, name: str, *, claim_recent: bool) -> Selection:
        return await self._views.select(account_id, name, claim_recent=claim_recent)

    # -- MailboxStore: messages

    async def rows(self, mailbox_id: MailboxId, uids: Ranges) -> Sequence[MessageRow]:
        return await self._views.rows(mailbox_id, uids)

    async def summaries(self, blob_ids: Sequence[BlobId]) -> Sequence[MessageSummary | Unreadable]:
        return await self._summaries.get(blob_ids)

    async def read(self, blob_id: BlobId, offset: int, length: int) -> bytes:
        return await self._views.read(blob_id, offset, length)

    async def read_many(self, spans: Sequence[Span]) -> Sequence[bytes | Unreadable]:
        return await self._views.read_many(spans)

    async def append(
        self, account_id: AccountId, name: str, messages: Sequence[AppendMessage]
    ) -> AppendResult:
        return await self._messages.append(account_id, name, messages)

    async def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: Ranges,
        mode: Literal["set", "add", "remove"],
        flags: Flags,
    ) -> ModSeq:
        return await self._messages.store_flags(mailbox_id, uids, mode, flags)

    async def copy(
        self, source: MailboxId, uids: Ranges, account_id: AccountId, name: str, *, move: bool
    ) -> CopyResult:
        return await self._messages.copy(source, uids, account_id, name, move=move)

    async def expunge(
        self, mailbox_id: MailboxId, uids: Ranges | None, *, only_deleted: bool
    ) -> tuple[Uid, ...]:
        return await self._messages.expunge(mailbox_id, uids, only_deleted=only_deleted)

    async def changes(self, mailbox_id: MailboxId, since: ModSeq) -> Changes:
        return await self._views.changes(mailbox_id, since)

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> Sequence[Uid]:
        return await self._search.search(mailbox_id, key)

    # -- MailboxStore: feed and POP3

    def watch(
        self, mailbox_id: MailboxId, callback: Callable[[MailboxEvent], None]
    ) -> Callable[[], None]:
        return self._feed.watch(mailbox_id, callback)

    def lock_maildrop(self, account_id: AccountId) -> Callable[[], None]:
        # In memory: it is gone with the process, and hinders nothing else (SECURITY P5).
        if account_id in self._maildrops:
            raise MaildropInUse()
        self._maildrops.add(account_id)
        held = [True]

        def release() -> None:
            if held:
                held.clear()
                self._maildrops.discard(account_id)

        return release

    # -- QueueStore

    def watch_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._feed.watch_queue(callback)

    async def lease_due(
        self, now: int, owner: str, lease_s: int, limit: int
    ) -> Sequence[QueueItem]:
        return await self._queue.lease_due(now, owner, lease_s, limit)

    async def next_due_at(self) -> int | None:
        return await self._queue.next_due_at()

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        await self._queue.record(queue_id, results, report)

    async def depth(self) -> QueueDepth:
        return await self._queue.depth()
