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
from gateway.store.files import PRIVATE
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
FORGET_EVERY_S = 24 * 3600.0
"""So long a search file may hold words of messages that were expunged."""
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
        wall_clock: for what has to happen every day, across restarts.
    """

    log = Logger()

    def __init__(
        self,
        layout: Layout,
        *,
        appetite: Appetite = Appetite(),
        free_octets: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises: StoreInUse (another process indexes), StoreUnavailable."""
        self._places = Places(layout)
        self._free_octets = free_octets or self._disk_has_left
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        try:
            self._places.prepare()
            self._lock = self._places.take_lock()
        except OSError as error:
            raise StoreUnavailable(
                f"{error.filename or self._places.root} cannot be used: {error.strerror}"
            ) from error
        try:
            self._index = engine.open_foreign(layout.index)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise engine.store_error(error) from error
        try:
            self._stored = StoredOctets(self._index, layout)
            self._marks = Marks(self._index, appetite.messages, appetite.octets)
        except sqlite3.Error as error:
            self._index.close()
            os.close(self._lock)
            raise engine.store_error(error) from error
        self._waiting: deque[AccountId] = deque()
        self._to_tidy: deque[AccountId] = deque()
        self._forgetting = False
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
            self._do_a_request()
            self._take_care()
            self._tidy_one()
            if not self._waiting and (self._marks.has_changed() or self._end_rests()):
                news = self._marks.accounts_with_news()
                self._waiting.extend(each for each in news if each not in self._resting)
            if not self.has_room():
                return False
            if not self._waiting:
                return bool(self._to_tidy)
            account_id = self._waiting.popleft()
            if self.index_some(account_id, stop):
                self._waiting.append(account_id)
        except (OSError, *search_format.BROKEN) as error:
            self._recover(error)
            return self._monotonic() >= self._not_before  # others may have work
        return bool(self._waiting or self._to_tidy)

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
        missing = self._gone_of(mailbox.mailbox_id)
        while not stop() and writing.join(search_file, mailbox.mailbox_id, missing):
            pass
        self._marks.note(account_id, mailbox, watermark)
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

    def _gone_of(self, mailbox_id: int) -> Callable[[Sequence[int]], frozenset[int]]:
        def missing(uids: Sequence[int]) -> frozenset[int]:
            there = self._index.execute(
                "SELECT uid FROM messages WHERE mailbox_id = ? AND uid BETWEEN ? AND ?",
                (mailbox_id, uids[0], uids[-1]),
            )
            return frozenset(uids).difference(uid for (uid,) in there)

        return missing

    # -- files

    def _file_of(self, account_id: AccountId) -> sqlite3.Connection:
        self._at_work = account_id
        path = self._places.file(account_id)
        if self._open is not None and self._open[0] == account_id and path.exists():
            return self._open[1]
        self._close_file()
        connection = search_format.open_writer(path, account_id)
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

    def _do_a_request(self) -> None:
        """One at a time, or all people who search would have to wait for the last one's turn."""
        for path, account_id in self._places.requested():
            if account_id in self._resting:
                continue
            self._at_work = account_id
            self.log.info("the search index of account {id} is made again", id=account_id)
            self.make_again(account_id)
            path.unlink(missing_ok=True)
            return

    # -- what is gone

    def _take_care(self) -> None:
        """Find out whose files know what is gone."""
        now = self._monotonic()
        if now < self._care_at:
            return
        self._care_at = now + CARE_EVERY_S
        self._remove_strangers()
        if not self._forgetting and self._is_time_to_forget():
            self._forgetting = True
            self._to_tidy.extend(self._marks.accounts())
        else:
            self._to_tidy.extend(self._marks.accounts_of_deleted_mailboxes())

    def _is_time_to_forget(self) -> bool:
        try:
            before = self._places.forgotten.stat().st_mtime
        except FileNotFoundError:
            self._note_forgotten()
            return False
        return not before <= self._wall_clock() < before + FORGET_EVERY_S

    def _note_forgotten(self) -> None:
        now = self._wall_clock()
        self._places.forgotten.touch(mode=PRIVATE)
        os.utime(self._places.forgotten, (now, now))

    def _tidy_one(self) -> None:
        """Forget what is gone of one account: mailboxes, and once a day messages and words."""
        if self._to_tidy:
            account_id = self._to_tidy.popleft()
            self._marks.forget_deleted_mailboxes(account_id)
            self._at_work = account_id
            if account_id not in self._resting and self._places.file(account_id).exists():
                search_file = self._file_of(account_id)
                self._forget_deleted_mailboxes(account_id, search_file)
                if self._forgetting:
                    self._forget_messages(search_file)
            self._at_work = None
        if self._forgetting and not self._to_tidy:
            self._forgetting = False
            self._note_forgotten()

    def _forget_messages(self, search_file: sqlite3.Connection) -> None:
        for mailbox_id in writing.mailboxes_of(search_file):
            writing.leave_out_missing(search_file, mailbox_id, self._gone_of(mailbox_id))
        writing.forget_words(search_file)

    def _remove_strangers(self) -> None:
        for path in self._places.strangers(self._marks.accounts()):
            try:
                self._places.remove(path)
            except OSError as error:
                self.log.error("search file {name} belongs to nobody, and cannot be removed: "
                               "{error}", name=path.name, error=str(error))  # fmt: skip

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

    def has_room(self) -> bool:
        """Whether the disk has room for more index than there is."""
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
