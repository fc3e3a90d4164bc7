"""Keeps the search files up to date, behind the mail; in a process of its own.

Owns when which mailbox is indexed, and what becomes of files that are damaged, out of date, asked
for anew or nobody's any more. Reads the store as any foreign reader does, never writes to it, and
has no transaction open on it while it works. The end of the process at any point costs the work
since the last commit, and nothing else.

New messages wait until there are enough of them (``FEW_MESSAGES``, ``FEW_OCTETS``): a search looks
at so few faster than the index could be told of them one by one. Small mailboxes get no file.

Memory: one batch (``writing``), one message, SQLite's caches. Limits: one at a time per store.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from gateway.core.errors import MessageGone, StoreUnavailable
from gateway.core.ids import AccountId, BlobId
from gateway.store import engine
from gateway.store.blobs import StoredOctets
from gateway.store.layout import Layout
from gateway.store.search_index import format as search_format
from gateway.store.search_index import writing
from gateway.store.search_index.documents import words_of_message
from gateway.store.search_index.lookup import MailboxAt
from gateway.store.search_index.marks import Marks
from gateway.store.search_index.places import Places

FREE_OCTETS = 256 * 1024 * 1024
"""Less free disk than this is left to the mail."""
PAUSE_S = 60.0
"""After an error, or with too little room, until the next attempt."""
BATCH_S = 10.0
CARE_EVERY_S = 600.0
ROWS = 256


@dataclass(frozen=True, slots=True)
class Appetite:
    """From how much on what is new in a mailbox is indexed."""

    messages: int = 50
    octets: int = 1024 * 1024


EVERYTHING = Appetite(1, 1)


class Indexer:
    """Use as long as ``close`` has not been called; from one thread.

    Args:
        layout: of a store that exists.
        appetite: what is left to wait.
        free_octets: what the disk has left; asked before each batch.
        monotonic: seconds.
    """

    log = Logger()

    def __init__(
        self,
        layout: Layout,
        *,
        appetite: Appetite = Appetite(),
        free_octets: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises: StoreInUse (another process indexes), StoreUnavailable."""
        self._places = Places(layout)
        self._free_octets = free_octets or self._disk_has_left
        self._monotonic = monotonic
        try:
            self._places.prepare()
            self._lock = self._places.take_lock()
        except OSError as error:
            raise StoreUnavailable(
                f"{error.filename or self._places.root} cannot be used: {error.strerror}"
            ) from error
        try:
            self._index = engine.open_foreign(layout.index)
            self._stored = StoredOctets(self._index, layout)
            self._marks = Marks(self._index, appetite.messages, appetite.octets)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise engine.store_error(error) from error
        self._waiting: deque[AccountId] = deque()
        self._open: tuple[AccountId, sqlite3.Connection] | None = None
        self._at_work: AccountId | None = None
        self._damaged: AccountId | None = None
        self._resting: dict[AccountId, float] = {}
        self._not_before = self._care_at = float("-inf")
        self._room_was_short = False
        self.indexed = 0
        """Messages indexed so far."""

    def close(self) -> None:
        self._close_file()
        self._stored.close()
        os.close(self._lock)

    def step(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Do a piece of the work; whether there is more to do at once.

        Args:
            stop: asked now and then; a batch ends early when it says so.

        Raises:
            sqlite3.Error: the store's index cannot be read.
        """
        if self._monotonic() < self._not_before:
            return False
        self._at_work = None
        try:
            self._do_requests()
            self._take_care()
            if not self._waiting and (self._marks.has_changed() or self._end_rests()):
                news = self._marks.accounts_with_news()
                self._waiting.extend(each for each in news if each not in self._resting)
            if not self._waiting or not self._has_room():
                return False
            account_id = self._waiting.popleft()
            if self.index_some(account_id, stop):
                self._waiting.append(account_id)
        except (OSError, *search_format.BROKEN) as error:
            self._recover(error)
        return bool(self._waiting)

    # -- an account

    def index_some(self, account_id: AccountId, stop: Callable[[], bool]) -> bool:
        """Index a batch of one mailbox; whether the account has more.

        Raises:
            NotOurs, sqlite3.Error, OSError
        """
        mailbox = self._marks.next_of(account_id)
        if mailbox is None:
            return False
        self._at_work = account_id
        if not self._places.file(account_id).exists() and not self._marks.is_enough(mailbox, 0):
            self._marks.note(account_id, mailbox, 0, waits=True)
            return True
        search_file = self._file_of(account_id)
        mark = writing.mark_of(search_file, mailbox)
        if mark is None:
            writing.forget_mailbox(search_file, mailbox.mailbox_id)
            self._marks.forget_mailbox(mailbox.mailbox_id)
            mark = 0
        if not self._marks.is_enough(mailbox, mark):
            self._marks.note(account_id, mailbox, mark, waits=True)
            return True
        batch, watermark = self._read(mailbox, mark, stop)
        writing.write_batch(search_file, mailbox, batch, watermark)
        self.indexed += len(batch.uids)
        while not stop() and writing.join(search_file, mailbox.mailbox_id, self._gone_of(mailbox)):
            pass
        self._marks.note(account_id, mailbox, watermark)
        self._marks.note_documents(search_file, mailbox.mailbox_id)
        self._damaged = None
        return True

    def _read(
        self, mailbox: MailboxAt, mark: int, stop: Callable[[], bool]
    ) -> tuple[writing.Batch, int]:
        """The words of the next messages, and the UID up to which that is all."""
        batch = writing.Batch()
        end = self._monotonic() + BATCH_S
        while not (batch.is_full() or stop() or self._monotonic() > end):
            rows = self._index.execute(
                "SELECT uid, blob_id FROM messages WHERE mailbox_id = ? AND uid > ?"
                " ORDER BY uid LIMIT ?",
                (mailbox.mailbox_id, mark, ROWS),
            ).fetchall()
            for uid, blob_id in rows:
                with contextlib.suppress(MessageGone):
                    batch.add(uid, words_of_message(self._stored, BlobId(blob_id)))
                mark = uid
                if batch.is_full():
                    return batch, mark
            if len(rows) < ROWS:
                return batch, max(mark, mailbox.uid_next - 1)
        return batch, mark

    def _gone_of(self, mailbox: MailboxAt) -> Callable[[Sequence[int]], frozenset[int]]:
        def missing(uids: Sequence[int]) -> frozenset[int]:
            there = self._index.execute(
                "SELECT uid FROM messages WHERE mailbox_id = ? AND uid BETWEEN ? AND ?",
                (mailbox.mailbox_id, uids[0], uids[-1]),
            )
            return frozenset(uids).difference(uid for (uid,) in there)

        return missing

    # -- files

    def _file_of(self, account_id: AccountId) -> sqlite3.Connection:
        self._at_work = account_id
        if self._open is not None and self._open[0] == account_id:
            return self._open[1]
        self._close_file()
        connection = search_format.open_writer(self._places.file(account_id), account_id)
        self._open = (account_id, connection)
        self._forget_deleted_mailboxes(account_id, connection)
        return connection

    def _forget_deleted_mailboxes(
        self, account_id: AccountId, search_file: sqlite3.Connection
    ) -> None:
        for mailbox_id in self._marks.load(account_id, search_file):
            writing.forget_mailbox(search_file, mailbox_id)

    def _close_file(self) -> None:
        if self._open is not None:
            connection, self._open = self._open[1], None
            connection.close()

    def make_again(self, account_id: AccountId) -> None:
        """Forget all that is indexed of an account. Raises: OSError."""
        if self._open is not None and self._open[0] == account_id:
            self._close_file()
        self._places.remove(self._places.file(account_id))
        self._marks.forget(account_id)
        if account_id not in self._waiting:
            self._waiting.append(account_id)

    def _do_requests(self) -> None:
        for path, account_id in self._places.requested():
            self.log.info("the search index of account {id} is made again", id=account_id)
            self.make_again(account_id)
            path.unlink(missing_ok=True)

    def _take_care(self) -> None:
        """Remove what belongs to nobody, rewrite what is mostly about expunged messages."""
        now = self._monotonic()
        if now < self._care_at:
            return
        if self._care_at == float("-inf"):
            self._remove_strangers()
        self._care_at = now + CARE_EVERY_S
        for account_id in self._marks.accounts_of_deleted_mailboxes():
            if self._places.file(account_id).exists():
                self._forget_deleted_mailboxes(account_id, self._file_of(account_id))
        self._marks.forget_deleted_mailboxes()
        for account_id, mailbox in self._marks.mailboxes_with_garbage():
            search_file = self._file_of(account_id)
            missing = self._gone_of(mailbox)
            writing.leave_out_missing(search_file, mailbox.mailbox_id, missing)
            self._marks.note_documents(search_file, mailbox.mailbox_id)
            if writing.is_mostly_dead(search_file):
                self.make_again(account_id)

    def _remove_strangers(self) -> None:
        for path in self._places.files():
            try:
                if self._marks.is_account(search_format.account_of(path)):
                    continue
            except search_format.NotOurs:
                self.log.warn("search file {name} is damaged, foreign or old: it is made again",
                              name=path.name)  # fmt: skip
            except FileNotFoundError:
                continue
            except sqlite3.Error as error:
                self.log.error("search file {name}: {error}", name=path.name, error=str(error))
                continue
            self._places.remove(path)

    # -- trouble

    def _recover(self, error: Exception) -> None:
        """Make a damaged file again; after anything else, wait.

        Raises:
            sqlite3.Error: the store's index fails as well, which is for our parent to hear.
        """
        if isinstance(error, sqlite3.Error):
            self._index.execute("SELECT count(*) FROM counters").fetchone()
        account_id = self._at_work
        self._close_file()
        if (
            account_id is not None
            and account_id != self._damaged
            and search_format.is_damage(error)
        ):
            self._damaged = account_id
            self.log.error(
                "the search index of account {id} is damaged or old, and is made again: {error}",
                id=account_id,
                error=repr(error),
            )
            try:
                self.make_again(account_id)
            except OSError as failure:
                error = failure
            else:
                return
        rests_until = self._monotonic() + PAUSE_S
        if account_id is not None and self._free_octets() >= FREE_OCTETS:
            self._resting[account_id] = rests_until  # the others' need not wait
        else:
            self._marks.look_again()
            self._not_before = rests_until
        self.log.error(
            "the search index of account {id} waits {pause} s after an error: {error}",
            id=account_id or "any",
            pause=int(PAUSE_S),
            error=repr(error),
        )

    def _end_rests(self) -> bool:
        """Let accounts whose time has come have another try; whether there were any."""
        now = self._monotonic()
        over = [account_id for account_id, until in self._resting.items() if until <= now]
        for account_id in over:
            del self._resting[account_id]
        return bool(over)

    def _has_room(self) -> bool:
        short = self._free_octets() < FREE_OCTETS
        if short and not self._room_was_short:
            self.log.warn(
                "the search index stands still: less than {mib} MiB are free on the store's disk",
                mib=FREE_OCTETS // 1024 // 1024,
            )
        elif self._room_was_short and not short:
            self.log.info("the search index goes on")
        self._room_was_short = short
        if short:
            self._not_before = self._monotonic() + PAUSE_S
        return not short

    def _disk_has_left(self) -> int:
        status = os.statvfs(self._places.root)
        return status.f_bavail * status.f_frsize
