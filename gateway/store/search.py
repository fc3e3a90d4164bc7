"""Finds the messages that match a search key (RFC 3501 section 6.4.4), in reader threads.

Conditions on UID, flags, size and internal date are left to the index. Texts are looked up in the
account's search file, as far as it goes: a mailbox of any size is one job then, with the messages
left over that have to be looked at themselves. Those, and all that is not indexed, are tested one
by one, cheap tests first; a message's octets are read only when a test needs them. A message that
cannot be read does not match. What is found is the same with and without a search file.

Looking at messages goes by pieces, each a job of its own: however many people search large
mailboxes, the readers serve everyone in between, and a search whose client has gone ends with its
piece. No transaction stays open while messages are read.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError, MessageGone, StoreDamaged
from gateway.core.ids import AccountId, MailboxId, Uid
from gateway.core.search import And, SearchKey
from gateway.store.blobs import StoredOctets
from gateway.store.candidate import Candidate
from gateway.store.readers import Pool
from gateway.store.search_conditions import Condition, condition_of, join, uids_meeting
from gateway.store.search_index import format as search_format
from gateway.store.search_index.lookup import MailboxAt
from gateway.store.search_index.places import Places
from gateway.store.search_tests import Test, test_of
from gateway.store.search_triage import Sorted, asks_for_text, triage
from gateway.store.summaries import Summaries

PIECE_MESSAGES = 100
PIECE_OCTETS = 4 * 1024 * 1024  # a tenth of a second or so, if every octet has to be looked at
ASKING_S = 2.0
"""The search index has so long for its answer; what it has not told then is looked at."""
ASKING_STEPS = 100_000


class Search:
    """The search of the port MailboxStore."""

    log = Logger()

    def __init__(self, readers: Pool[StoredOctets], summaries: Summaries) -> None:
        self._readers = readers
        self._summaries = summaries
        self._asking = DeferredSemaphore(max(1, readers.threads // 2))

    async def search(self, mailbox_id: MailboxId, key: SearchKey) -> Sequence[Uid]:
        parts = key.keys if isinstance(key, And) else (key,)
        conditions: list[Condition] = []
        left: list[SearchKey] = []
        for part in parts:
            condition = condition_of(part)
            if condition is not None:
                conditions.append(condition)
            else:
                left.append(part)
        where = join(conditions)
        if not left:
            uids = await self._readers.run(
                lambda stored: uids_meeting(stored.connection, mailbox_id, where)
            )
            return _as_uids(uids)
        sorted_out: Sorted | None = None
        if any(map(asks_for_text, left)):
            sorted_out = await self._ask(
                partial(self._ask_index, mailbox_id=mailbox_id, keys=left, where=where)
            )
        found: list[int] = []
        after = 0
        if sorted_out is not None:
            found += sorted_out.sure
            after = sorted_out.watermark
            if sorted_out.doubtful:
                tests = _tests(left, sorted_out)
                found += await self._look_at(mailbox_id, sorted_out.doubtful, where, tests)
                found.sort()
        found += await self._look_through(mailbox_id, after, where, _tests(left, None))
        return _as_uids(found)

    # -- what is indexed

    def _ask(self, job: Callable[[StoredOctets], Sorted | None]) -> Deferred[Sorted | None]:
        """The job's result. It cannot be cut in pieces, so half of the readers do no such job.

        One whose client has gone counts until it ends, or leaving early would let in more.
        """
        answer: Deferred[Sorted | None] = Deferred()

        def begin() -> Deferred[Sorted | None] | None:
            return None if answer.called else self._readers.run(job)

        def end(result: Sorted | Failure | None) -> None:
            if answer.called:
                return
            if isinstance(result, Failure):
                answer.errback(result)
            else:
                answer.callback(result)

        self._asking.run(begin).addBoth(end)
        return answer

    def _ask_index(
        self, stored: StoredOctets, mailbox_id: MailboxId, keys: Sequence[SearchKey],
        where: Condition,
    ) -> Sorted | None:  # fmt: skip
        """None where there is nothing to ask. Whatever is wrong there, it fails no search."""
        of_mailbox = "SELECT account_id, uid_validity, uid_next FROM mailboxes WHERE mailbox_id = ?"
        row = stored.connection.execute(of_mailbox, (mailbox_id,)).fetchone()
        if row is None:
            return None
        account_id, places = AccountId(row[0]), Places(stored.layout)
        try:
            with places.opening():
                search_file = search_format.open_reader(places.file(account_id))
        except (OSError, search_format.NotOurs):
            return None  # not made yet; or of another version, which its writer knows itself
        except sqlite3.Error as error:
            self.log.info("search file cannot be opened: {error}", error=str(error))
            return None
        # A text that is part of very many words must not keep a reader for ever.
        end = time.monotonic() + ASKING_S
        search_file.set_progress_handler(lambda: time.monotonic() > end, ASKING_STEPS)
        try:
            # Asked again: the file may know messages that came since.
            row = stored.connection.execute(of_mailbox, (mailbox_id,)).fetchone() or row
            mailbox = MailboxAt(mailbox_id, *row[1:])
            return triage(stored.connection, search_file, mailbox, keys, where)
        except search_format.BROKEN as error:
            if not search_format.is_damage(error):
                self.log.info("search file cannot be read: {error}", error=str(error))
                return None
            self.log.error(
                "a search file is damaged and will be made again: {error}", error=str(error)
            )
            self._ask_for_another(places, account_id)
            return None
        finally:
            search_file.close()

    def _ask_for_another(self, places: Places, account_id: AccountId) -> None:
        try:
            places.request(account_id)
        except OSError as error:
            self.log.error("cannot ask for a new search file: {error}", error=str(error))

    # -- what is looked at

    async def _look_at(
        self, mailbox_id: MailboxId, uids: Sequence[int], where: Condition, tests: Sequence[Test]
    ) -> list[int]:
        """Those of the messages that match."""
        found: list[int] = []
        position = 0
        while position < len(uids):
            piece = uids[position : position + PIECE_MESSAGES]
            chosen = f"uid IN ({', '.join('?' * len(piece))})"
            condition = join((Condition(chosen, tuple(piece)), where))
            matching, last = await self._readers.run(
                partial(self._piece, mailbox_id=mailbox_id, after=0, where=condition, tests=tests)
            )
            found += matching
            # A piece of large messages ends early.
            position += len(piece) if last is None else piece.index(last) + 1
        return found

    async def _look_through(
        self, mailbox_id: MailboxId, after: int, where: Condition, tests: Sequence[Test]
    ) -> list[int]:
        """All messages above a UID that match."""
        found: list[int] = []
        last: int | None = after
        while last is not None:
            matching, last = await self._readers.run(
                partial(self._piece, mailbox_id=mailbox_id, after=last, where=where, tests=tests)
            )
            found += matching
        return found

    def _piece(
        self, stored: StoredOctets, mailbox_id: MailboxId, after: int, where: Condition,
        tests: Sequence[Test],
    ) -> tuple[list[int], int | None]:  # fmt: skip
        """The matching ones of the next messages, and the last UID looked at; None at the end."""
        rows = stored.connection.execute(
            "SELECT uid, flags, keywords, internal_date, size_octets, blob_id"  # noqa: S608 - own names only
            f" FROM {where.table} WHERE mailbox_id = ? AND uid > ?{where.and_sql}"
            " ORDER BY uid LIMIT ?",
            (mailbox_id, after, *where.values, PIECE_MESSAGES),
        ).fetchall()
        found: list[int] = []
        octets = 0
        for row in rows:
            candidate = Candidate(row, stored, self._summaries)
            try:
                if all(test.matches(candidate) for test in tests):
                    found.append(candidate.uid)
            except (MessageGone, StoreDamaged):
                pass
            except (GatewayError, OSError, sqlite3.Error):
                raise
            except Exception:  # one bad message must never hide the others (SECURITY M6)
                self.log.failure("message {id} cannot be searched", id=candidate.blob_id)
            octets += candidate.size_octets
            if octets >= PIECE_OCTETS:
                return found, candidate.uid
        return found, rows[-1][0] if len(rows) == PIECE_MESSAGES else None


def _tests(keys: Iterable[SearchKey], sorted_out: Sorted | None) -> list[Test]:
    known = sorted_out.known if sorted_out is not None else {}
    return sorted((test_of(key, known) for key in keys), key=lambda test: test.cost)


def _as_uids(numbers: Sequence[int]) -> Sequence[Uid]:
    return cast(Sequence[Uid], numbers)  # no call for each of a million
