"""Whose turn it is to write: one write transaction at a time over all processes, in fair order.

Two locked files make a turnstile. Who wants to write takes ``next``, then ``write``, gives ``next``
back, writes, and gives ``write`` back; so whoever has just written queues behind who waits already.
The locks are flocks: the kernel wakes the one who waits at once, and takes them from a process that
dies. SQLite's own lock is never waited for, as its waiting is a polling that may starve.

An flock cannot be waited for with a time limit. So a watcher looks once a second, in processes that
have had to wait at all: after DEADLINE_S (a process with the turn is stopped, or its disk hangs) it
gives up for the one who waits. The waiting thread stays where it is until the turn comes, and hands
it straight back; until then whoever wants to write is refused at once.

Used by one thread at a time: before there is a committer by who opens the store, then by it alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.core.errors import StoreUnavailable
from gateway.store import engine
from gateway.store.files import PRIVATE
from gateway.store.layout import Layout
from gateway.store.transaction import Transaction

DEADLINE_S = 30.0
WATCH_S = 1.0
_HELD_UP = "another process holds up the mail store, try again later"


class Turn:
    """The turns of one process at one store."""

    def __init__(
        self,
        layout: Layout,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Raises: StoreUnavailable."""
        self._monotonic = monotonic
        self._deadline_s = deadline_s
        self.given_up = False
        """Somebody else has had the turn for too long; it has not come since."""
        self._since: float | None = None
        self._state = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self._on_late: Callable[[], None] | None = None
        self._next = _open(layout.turn_next)
        try:
            self._write = _open(layout.turn_write)
        except BaseException:
            os.close(self._next)
            raise

    def watch(self, on_late: Callable[[], None]) -> None:
        """From now on the committer takes the turns. ``on_late`` is called in another thread, while
        the committer cannot go on; what it has in hand will not be written."""
        self._on_late = on_late

    def take(self) -> None:
        """Wait for the turn.

        Raises:
            StoreUnavailable: it did not come in time. A committer is told when it has come after
                all; at start this is raised at the deadline.
        """
        try:
            fcntl.flock(self._next, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._wait(has_next=False)
            return
        try:
            fcntl.flock(self._write, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._wait(has_next=True)
            return
        fcntl.flock(self._next, fcntl.LOCK_UN)

    def give_back(self) -> None:
        fcntl.flock(self._write, fcntl.LOCK_UN)

    @contextmanager
    def transaction(self, tx: Transaction, now: int) -> Iterator[None]:
        """One whole transaction in one turn; rolled back when the block raises.

        Raises: StoreUnavailable, sqlite3.Error.
        """
        self.take()
        try:
            tx.begin(now)
            yield
            tx.commit()
        except BaseException:
            tx.roll_back()
            raise
        finally:
            self.give_back()

    def claim_segment(self, connection: sqlite3.Connection) -> int:
        """A segment id never given before, durably taken. Raises: StoreUnavailable."""
        tx = Transaction(connection)
        with engine.errors_of_the_house(), self.transaction(tx, 0):
            row = tx.fetch_one(
                "UPDATE counters SET value = value + 1 WHERE name = 'segment' RETURNING value"
            )
            assert row is not None
        return int(row[0])

    def close(self) -> None:
        """The files stay open where a thread may still be waiting for them."""
        self._closed.set()
        if not self.given_up:
            os.close(self._next)
            os.close(self._write)

    # -- waiting

    def _wait(self, *, has_next: bool) -> None:
        with self._state:
            self._since = self._monotonic()
        if self._on_late is None:
            self._wait_bounded(has_next)
            return
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="store-watcher", daemon=True)
            self._watcher.start()
        self._block(has_next)

    def _wait_bounded(self, has_next: bool) -> None:
        """At start: in a thread of its own, which is left behind at the deadline."""
        errors: list[StoreUnavailable] = []

        def wait() -> None:
            try:
                self._block(has_next)
            except StoreUnavailable as error:
                errors.append(error)

        waiter = threading.Thread(target=wait, name="store-turn", daemon=True)
        waiter.start()
        waiter.join(self._deadline_s)
        if self._give_up():
            raise StoreUnavailable(_HELD_UP)
        waiter.join()
        if errors:
            raise errors[0]

    def _block(self, has_next: bool) -> None:
        try:
            if not has_next:
                fcntl.flock(self._next, fcntl.LOCK_EX)
            fcntl.flock(self._write, fcntl.LOCK_EX)
            fcntl.flock(self._next, fcntl.LOCK_UN)
        except OSError as error:
            with contextlib.suppress(OSError):
                fcntl.flock(self._next, fcntl.LOCK_UN)
            raise StoreUnavailable(turn=error.strerror) from error
        finally:
            with self._state:
                self._since = None
                late, self.given_up = self.given_up, False
        if late:
            self.give_back()
            raise StoreUnavailable(_HELD_UP)

    def _give_up(self, overdue_s: float = 0.0) -> bool:
        """Give up for the thread that waits; False when none does any more, or not for so long."""
        with self._state:
            if self._since is None or self.given_up:
                return False
            if self._monotonic() - self._since < overdue_s:
                return False
            self.given_up = True
            # Before the waiting thread can go on: what it has in hand is what is refused.
            if self._on_late is not None:
                self._on_late()
            return True

    def _watch(self) -> None:
        while not self._closed.wait(min(WATCH_S, self._deadline_s)):
            self._give_up(self._deadline_s)


def _open(path: os.PathLike[str]) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}") from error
