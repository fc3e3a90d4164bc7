"""The store: opens everything, and keeps the ports Intake, MailboxStore and QueueStore.

Puts the nouns together and delegates every method to the file named for its noun; what they stand
on is in ``machinery``. Use it from the reactor's thread; ``open`` and ``join`` block and may be
called before the reactor runs.

Theory of operation: reads run in reader threads on connections of their own and never wait for
writes; writes go through the one committer of the process, and the committers of all processes take
turns. An acknowledged write survives a power cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Unpack

from twisted.internet.defer import Deferred

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
from gateway.core.ports.queue import Leased
from gateway.core.ports.store import Span, Unreadable
from gateway.core.queue import QueueDepth, Recorded, Wish
from gateway.core.search import SearchKey
from gateway.core.uidset import Ranges
from gateway.store.accounts import Accounts
from gateway.store.deliveries import Deliveries
from gateway.store.departures import Departures, next_hop_or_domain
from gateway.store.feed import Feed, Tell
from gateway.store.greylist import GreylistTable, expire_greylist
from gateway.store.holding import Holding
from gateway.store.imports import Imports
from gateway.store.ingests import ForgetIngests
from gateway.store.intake import MailIntake
from gateway.store.known_uids import RecentUids
from gateway.store.layout import Layout
from gateway.store.machinery import KEEP_TRACES_S, Machinery, Options
from gateway.store.mailboxes import Mailboxes
from gateway.store.maildrops import Maildrops
from gateway.store.messages import Messages
from gateway.store.people import PeopleTables, people_housekeeping
from gateway.store.queue_control import QueueOffice
from gateway.store.queue_lists import HoldRuleTable, SuppressionTable
from gateway.store.queue_tables import QueueTables
from gateway.store.quota import Bounds, Quotas
from gateway.store.reasking import Reasking
from gateway.store.reserve import Reserve
from gateway.store.retention import Retention
from gateway.store.search import Search
from gateway.store.sts_policies import StsPolicyTable, expire_sts_policies
from gateway.store.submissions import Submissions
from gateway.store.submissions import forget as forget_submissions
from gateway.store.summaries import Summaries
from gateway.store.tls_counts import TlsCountTable, forget_tls_counts
from gateway.store.trace import Traces
from gateway.store.vault import Vault
from gateway.store.views import Views
from gateway.wire.mime.summary import summarise as summarise_message


class Store:
    """The embedded durable store, as one process has it."""

    def __init__(
        self,
        layout: Layout,
        *,
        name: str,
        care: bool,
        runs_queue: bool,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        options: Options,
    ) -> None:
        self._call_from_thread = call_from_thread
        self._feed = Feed()
        self._maildrops = Maildrops(layout)
        self._closing: Deferred[None] | None = None
        accounts = Accounts()
        bounds = Bounds(accounts)
        departures = Departures(options.get("destination_of", next_hop_or_domain))
        deliveries = Deliveries(accounts, bounds, departures)
        monotonic = options.get("monotonic", time.monotonic)
        reserve = Reserve(layout, monotonic=monotonic)
        retention = Retention(options.get("keep_deleted_s", 0), reserve)
        self._machinery = Machinery(
            layout,
            name=name,
            care=care,
            runs_queue=runs_queue,
            reserve=reserve,
            aftermath=self._feed,
            inboxes=accounts.inboxes,
            housekeeping=(
                ForgetIngests(),
                retention.expire,
                forget_submissions,
                expire_greylist,
                expire_sts_policies,
                *people_housekeeping(options),
                forget_tls_counts,
            ),
            relief=retention.relief,
            call_from_thread=call_from_thread,
            wall_clock=wall_clock,
            options=options,
        )
        self._committer, self._readers = self._machinery.committer, self._machinery.readers
        self._payloads = payloads = self._machinery.payloads
        summarise = options.get("summarise", summarise_message)
        self.trace = Traces(
            self._machinery.notes,
            self._readers,
            keep=options.get("keep_traces_s", KEEP_TRACES_S) > 0,
            wake=self._committer.wake,
        )
        self._intake = MailIntake(deliveries, payloads, self._committer, self.trace)
        self._mailboxes = Mailboxes(accounts, self._committer, self._readers, retention)
        self._messages = Messages(self._committer, payloads, bounds, retention)
        self.vault = Vault(self._committer, self._readers, retention, wall_clock)
        self._views = Views(self._committer, self._readers, RecentUids())
        self.quota = Quotas(accounts, bounds, self._committer, self._readers, self._feed, monotonic)
        self.imports = Imports(accounts, self._committer, self._readers, payloads)
        self.submissions = Submissions(self._readers)
        self.greylist = GreylistTable(self._committer, self._readers, wall_clock)
        self.suppressions = SuppressionTable(self._committer, self._readers)
        self.hold_rules = HoldRuleTable(self._committer, self._readers)
        self.people = PeopleTables(self._committer, self._readers, wall_clock)
        self.sts_policies = StsPolicyTable(self._committer, self._readers)
        self.tls_counts = TlsCountTable(self._committer, self._readers)
        self._summaries = Summaries(self._committer, self._readers, summarise)
        self._search = Search(self._readers, self._summaries)
        self._reasking = Reasking(
            self._committer, self._readers, departures, options.get("configuration", "")
        )
        self._queue = QueueTables(
            self._committer, self._readers, self._intake, deliveries, self._reasking
        )
        self.queue = QueueOffice(self._committer, self._readers, departures)
        self._machinery.start()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        *,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        **options: Unpack[Options],
    ) -> Store:
        """Open or make the store below ``state_dir``, hold it, and look after it. Blocks.

        Raises:
            StoreUnavailable: in use by another gateway, wrong owner, or the disk refuses.
            SchemaTooNew: written by a newer gateway.
        """
        holding = Holding.take(state_dir, wall_clock=wall_clock, files=options.get("files"))
        try:
            store = cls.join(
                state_dir,
                name="gateway",
                care=True,
                call_from_thread=call_from_thread,
                wall_clock=wall_clock,
                **options,
            )
        except BaseException:
            holding.close()
            raise
        store._machinery.at_end(holding.close)
        return store

    @classmethod
    def join(
        cls,
        state_dir: Path,
        *,
        name: str,
        care: bool,
        runs_queue: bool = False,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        **options: Unpack[Options],
    ) -> Store:
        """Use a store beside other processes, one of which holds it (``Holding``). Blocks.

        Args:
            name: letters, digits and hyphens; no other process has it. One that died is followed
                by one of the same name, which clears up after it.
            care: this process compacts and keeps house, as one alone may.
            runs_queue: this process alone leases from the queue; leases it held before are freed.

        Raises:
            StoreUnavailable: there is no store, it is not in order, or the name is taken.
            SchemaTooNew: written by a newer gateway.
        """
        return cls(
            Layout(state_dir),
            name=name,
            care=care,
            runs_queue=runs_queue,
            call_from_thread=call_from_thread,
            wall_clock=wall_clock,
            options=options,
        )

    async def take_care(self) -> None:
        """Compact, keep house and run the queue from now on, after the process that did has ended.

        Raises: StoreUnavailable.
        """
        self._machinery.take_care()
        await self._queue.free_leases()

    def share(self, tell: Tell) -> None:
        """After each commit of this process, give ``tell`` on the reactor what others must hear."""
        self._feed.share(tell)

    def heard(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """Another process has committed this: tell the watchers here."""
        self._feed.heard(events, queue_grew)

    def doubt(self) -> None:
        """Commits of others may have gone unheard: all watchers look again."""
        self._feed.doubt()

    async def close(self) -> None:
        """Commit what was handed in, stop the threads, release the lock. May be called twice."""
        if self._closing is None:
            closing = self._closing = Deferred()
            self._maildrops.close()
            self.greylist.close()
            self._machinery.close(
                lambda: self._call_from_thread(lambda: closing.callback(None)),
            )
        waiting: Deferred[None] = Deferred()

        def pass_on(_: None) -> None:
            waiting.callback(None)

        self._closing.addCallback(pass_on)
        await waiting

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

    async def uidls(self, mailbox_id: MailboxId) -> Mapping[Uid, str]:
        return await self._views.uidls(mailbox_id)

    # -- MailboxStore: feed and POP3

    def watch(
        self, mailbox_id: MailboxId, callback: Callable[[MailboxEvent], None]
    ) -> Callable[[], None]:
        return self._feed.watch(mailbox_id, callback)

    def lock_maildrop(self, account_id: AccountId) -> Callable[[], None]:
        return self._maildrops.lock(account_id)

    # -- QueueStore

    def watch_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self._feed.watch_queue(callback)

    async def ready(
        self, now: int, limit: int, *, released_until: int | None = None
    ) -> Sequence[str]:
        return await self._queue.ready(now, limit, released_until=released_until)

    async def lease(self, wishes: Sequence[Wish], now: int, owner: str, lease_s: int) -> Leased:
        return await self._queue.lease(wishes, now, owner, lease_s)

    async def ask_destinations(self) -> int:
        """If the configuration has changed since this was done last, ask it again where the mail
        in the queue goes; for the process that runs the queue. Returns how many recipients moved.
        """
        return await self._reasking.run()

    async def next_due_at(self) -> int | None:
        return await self._queue.next_due_at()

    async def next_release_at(self) -> int | None:
        return await self._queue.next_release_at()

    async def record(
        self, queue_id: QueueId, results: Sequence[Recorded], report: NewMessage | None
    ) -> None:
        await self._queue.record(queue_id, results, report)

    async def depth(self) -> QueueDepth:
        return await self._queue.depth()
