"""Group commit: the one thread through which everything is written.

Operations that arrive while a commit runs form the next batch; no timer makes one wait. A batch is
(1) its message octets to the segment with one write and one fdatasync, (2) one transaction in the
index, (3) only then the results, in one hand-over to the reactor (SECURITY D1). How the operations
run inside the transaction is in ``execution``.

Other processes write to the same store: the octets are written beside theirs, and only the
transaction takes a turn (``turn``). While a turn has not come for too long, everything is refused.

Limits: those of ``waiting``. On a full disk what adds is refused with StoreFull and what
``uses_reserve`` (deletes, flags, the queue's results) still works. After a failed write nothing is
repeated on the same file.
Steps of the compaction run between batches: while nothing waits, or now and then between full ones.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import StoreFull, StoreUnavailable
from gateway.core.ids import AccountId, MailboxId
from gateway.core.mailboxes import MailboxEvent
from gateway.core.ports.clock import CallFromThread, WallClock
from gateway.core.quota import Usage
from gateway.store import engine
from gateway.store.bodies import Payload
from gateway.store.compaction import LOOK_S, Compactor
from gateway.store.execution import execute
from gateway.store.files import Files
from gateway.store.housekeeping import Housekeeping
from gateway.store.layout import Layout
from gateway.store.log_length import LogLength
from gateway.store.operations import Operation
from gateway.store.pins import Removals
from gateway.store.placing import Placing
from gateway.store.reserve import Reserve
from gateway.store.segments import SegmentWriter
from gateway.store.trace import insert_row
from gateway.store.trace_care import TraceCare
from gateway.store.trace_notes import Note, Notes
from gateway.store.transaction import Transaction
from gateway.store.turn import Turn
from gateway.store.waiting import Sign, WaitingLine

T = TypeVar("T")

JOIN_S = 1.0


class Aftermath(Protocol):
    """What happens on the reactor after a commit; kept by ``feed``."""

    def committed(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None: ...

    def filling(self, accounts: Sequence[tuple[AccountId, Usage]]) -> None: ...


class Committer:
    """Takes operations from any thread and commits them in its own."""

    log = Logger()

    def __init__(
        self,
        *,
        connection: sqlite3.Connection,
        segments: SegmentWriter,
        files: Files,
        layout: Layout,
        reserve: Reserve,
        turn: Turn,
        compactor: Compactor,
        log_length: LogLength,
        aftermath: Aftermath,
        inboxes: dict[AccountId, MailboxId],
        housekeeping: Housekeeping,
        notes: Notes,
        trace_care: TraceCare,
        relief: Callable[[sqlite3.Connection, int], Callable[[Transaction], None] | None],
        cares: bool,
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
    ) -> None:
        """
        Args:
            relief: on a full disk, what to run (if anything) so that less of it is needed.
        """
        self._tx = Transaction(connection)
        self._segments = segments
        self._placing = Placing(segments, files, layout, reserve)
        self._removals = Removals(files, layout, connection)
        self._reserve = reserve
        self._turn = turn
        self._compactor = compactor
        self._log_length = log_length
        self._aftermath = aftermath
        self._inboxes = inboxes
        self._housekeeping = housekeeping
        self._notes = notes
        self._trace_care = trace_care
        self._relief = relief
        self._is_full = False
        self._call_from_thread = call_from_thread
        self._wall_clock = wall_clock
        self._waiting = WaitingLine()
        self._batch: list[Operation[Any]] = []
        self._cares = cares
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="store-committer", daemon=True)

    # -- any thread

    def start(self) -> None:
        self._turn.watch(self._refuse_all)
        self._thread.start()

    def take_care(self) -> None:
        """From now on compact and keep house, which one process alone does."""
        self._cares = True
        self._waiting.wake()

    def relieve(self) -> None:
        """The disk had no room for a large message, whose file is not the committer's business."""
        self._is_full = True
        self._waiting.wake()

    def wake(self) -> None:
        """Something besides operations waits: notes for the trace."""
        self._waiting.wake()

    def submit(self, operation: Operation[Any]) -> None:
        """Queue an operation; the large files of one that is not taken are removed.

        Raises: StoreUnavailable (closed, or too many are waiting).
        """
        try:
            if self._closed:
                raise StoreUnavailable("the mail store is closed")
            if self._turn.given_up:
                raise StoreUnavailable(turn="has not come")
            self._waiting.add(operation)
        except StoreUnavailable:
            self._placing.forget([operation])
            raise

    def write(
        self,
        run: Callable[[Transaction], T],
        *,
        payloads: Sequence[Payload] = (),
        uses_reserve: bool = False,
    ) -> Deferred[T]:
        """Queue work; the result comes after its commit. Reactor thread only."""
        deferred: Deferred[T] = Deferred()
        self.submit(Operation(run, payloads, uses_reserve, deferred=deferred))
        return deferred

    def close(self) -> None:
        """Take nothing more; what is waiting is still committed. ``join`` waits for it."""
        if not self._closed:
            self._closed = True
            self._waiting.end()

    def join(self) -> None:
        """Not for a thread whose turn does not come: the end of the process is its end. Then close
        the connection: whoever has none open beside it any more has the log folded by that."""
        while self._thread.is_alive() and not self._turn.given_up:
            self._thread.join(JOIN_S)
        if not self._thread.is_alive():
            self._tx.connection.close()

    # -- the committer's thread

    def _loop(self) -> None:
        last = False
        while not last and (operation := self._next()) is not None:
            batch, last = self._waiting.batch(operation)
            self._serve(batch)
            if self._is_full:
                self._relieve()
            if self._cares and not last:
                self._trace_care.committed()
                self._trace_care.look()
                self._compactor.look_at_foreign()
                if self._compactor.is_overdue():
                    self._compactor.step(self._serve_alone)
        self._keep_notes()
        self._refuse(self._waiting.take_all(), StoreUnavailable("the mail store is closed"))
        self._compactor.close()
        self._segments.close()
        self._remove_dead()
        self._removals.close()

    def _next(self) -> Operation[Any] | None:
        """The first operation of a batch, None at the end; what can wait is done while waiting."""
        compactor = self._compactor
        while True:
            found = self._waiting.next(self._patience_s())
            if isinstance(found, Operation):
                return found
            if found is Sign.END:
                return None
            if self._is_full:
                self._relieve()
            if self._notes.wait_s() == 0:
                self._keep_notes()
            if not self._cares:
                continue
            self._trace_care.look()
            if found is None and compactor.wait_s() == 0:
                compactor.step(self._serve_alone)
            elif self._housekeeping.is_due(self._wall_clock()):
                self._serve_alone(Operation(lambda _: None, uses_reserve=True))
            compactor.look_at_foreign()

    def _patience_s(self) -> float | None:
        """How long to wait for an operation before something else is to be done."""
        waits = [self._notes.wait_s()]
        if self._cares:
            waits += [self._compactor.wait_s(), self._trace_care.wait_s(), LOOK_S]
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def _keep_notes(self) -> None:
        """Commit them, as no mail has come to take them along."""
        if self._notes.wait_s() is not None:
            self._serve_alone(Operation(lambda _: None))

    def _serve_alone(self, operation: Operation[Any]) -> None:
        self._serve([operation])

    def _refuse_all(self) -> None:
        """The turn does not come: whoever waits is told so. Called in the turn's own thread.

        The batch in hand is not run when it comes after all.
        """
        self.log.error("another process has had the turn to write for too long")
        waiting = self._waiting.take_all()
        self._placing.forget(waiting)
        self._refuse(self._batch + waiting, StoreUnavailable(turn="has not come"))

    def _refuse(self, operations: list[Operation[Any]], error: StoreUnavailable) -> None:
        for operation in operations:
            operation.error = error
        if operations:
            self._call_from_thread(partial(self._hand_over, operations, (), False))

    def _serve(self, batch: list[Operation[Any]]) -> None:
        tx = self._tx
        tx.reset()
        self._batch = batch
        try:
            self._commit(batch)
        except Exception as error:
            self.log.failure("a batch of the store failed")
            for operation in batch:
                operation.error = operation.error or StoreUnavailable(reason=type(error).__name__)
        self._batch = []
        events = tuple(tx.events.values())
        if any(operation.deferred for operation in batch) or events:
            self._call_from_thread(partial(self._hand_over, batch, events, tx.queue_grew))
        if tx.filling:
            self._call_from_thread(partial(self._aftermath.filling, tuple(tx.filling)))
        self._remove_dead()
        self._compactor.look_at(tx.shrunk_segments)

    def _remove_dead(self) -> None:
        """What the last transaction left, and segments others emptied while they grew here."""
        tx = self._tx
        self._removals.remove(tx.dead_files, (*tx.dead_segments, *self._segments.take_finished()))
        tx.dead_files.clear()
        tx.dead_segments.clear()

    def _commit(self, batch: list[Operation[Any]]) -> None:
        adding = [operation for operation in batch if operation.payloads]
        ready = batch
        try:
            self._placing.place(adding)
        except StoreUnavailable as error:
            self._fail(adding, error)
            ready = [one for one in batch if not one.payloads and one.error is None]
        if not ready:
            return
        try:
            self._transact(ready)
            return
        except StoreUnavailable as error:
            self._fail(ready, error)
            if not isinstance(error, StoreFull):
                return
        saving = [operation for operation in ready if operation.uses_reserve]
        if saving and self._reserve.give_up():
            for operation in saving:
                operation.error = None
            try:
                self._transact(saving)
            except StoreUnavailable as error:
                self._fail(saving, error)

    def _relieve(self) -> None:
        self._is_full = False
        try:
            run = self._relief(self._tx.connection, int(self._wall_clock()))
        except sqlite3.Error:
            self.log.failure("the store could not look for what a full disk can do without")
            return
        if run is not None:
            self._serve_alone(Operation(run, uses_reserve=True))

    def _fail(self, operations: Sequence[Operation[Any]], error: StoreUnavailable) -> None:
        if isinstance(error, StoreFull):
            self._is_full = True
        self.log.error("the store failed {n} operations: {error}", n=len(operations), error=error)
        for operation in operations:
            operation.error = error

    def _transact(self, operations: Sequence[Operation[Any]]) -> None:
        """Raises: StoreUnavailable when the transaction as a whole failed."""
        tx = self._tx
        now = self._wall_clock()
        committing = False
        notes = self._notes.take()
        try:
            self._turn.take()
        except StoreUnavailable:
            self._placing.forget(operations)
            self._notes.lose(len(notes))
            raise
        try:
            tx.begin(int(now))
            execute(tx, operations)
            if tx.traced or notes:
                self._add_traces(tx, notes)
            if self._cares:
                self._housekeeping.keep_house(tx, now)
            if tx.blobs_freed:
                tx.sweep(self._segments.current_id)
            committing = True
            tx.commit()
            self._log_length.look()
        except sqlite3.Error as error:
            failure = engine.store_error(error)
            self._give_up(notes)
            # A COMMIT that failed half-way may yet be found after a power cut: its large files
            # stay until the next start knows. One that ran out of space has no commit record.
            if not committing or isinstance(failure, StoreFull):
                self._placing.forget(operations)
            raise failure from error
        except BaseException:
            self._give_up(notes)
            raise
        finally:
            self._turn.give_back()
        self._inboxes.update(tx.new_inboxes)
        self._placing.forget([operation for operation in operations if operation.error])

    def _add_traces(self, tx: Transaction, notes: list[Note]) -> None:
        if self._reserve.held:
            insert_row(tx, [*tx.traced, *notes])
        else:  # the last of the disk is for the mail
            self._notes.lose(len(notes))
            notes.clear()

    def _give_up(self, notes: Sequence[Note]) -> None:
        self._notes.lose(len(notes))
        self._tx.reset()
        try:
            self._tx.roll_back()
        except sqlite3.Error:
            self.log.failure("the store could not roll back")

    # -- the reactor

    def _hand_over(
        self, batch: list[Operation[Any]], events: Sequence[MailboxEvent], queue_grew: bool
    ) -> None:
        for operation in batch:
            deferred = operation.deferred
            if deferred is None or deferred.called:  # refused while its turn did not come
                continue
            if operation.error is None:
                deferred.callback(operation.result)
            else:
                deferred.errback(Failure(operation.error))
        self._aftermath.committed(events, queue_grew)
