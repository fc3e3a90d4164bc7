"""What a process has of a store besides its nouns: its place among others, connections, threads.

Owns the order in which these are made and ended. Knows nothing of mail. ``Machinery`` blocks while
it is made; the reactor's thread closes it, a thread of its own waits for the end.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypedDict

from gateway.core.ids import AccountId, MailboxId
from gateway.core.ports.clock import CallFromThread, WallClock
from gateway.core.ports.queue import DestinationOf
from gateway.core.trace import TraceRecord
from gateway.store import engine
from gateway.store.blobs import StoredOctets
from gateway.store.bodies import Bodies
from gateway.store.committer import Aftermath, Committer
from gateway.store.compaction import Compactor, Pace
from gateway.store.files import Files, OsFiles
from gateway.store.housekeeping import Housekeeping
from gateway.store.layout import Layout
from gateway.store.log_length import LogLength
from gateway.store.migrations import check_current
from gateway.store.opening import clear_predecessor, usable
from gateway.store.payloads import Nothing, Payloads
from gateway.store.presence import Presence
from gateway.store.queue_lease import free_leases
from gateway.store.readers import Closable, Pool
from gateway.store.reserve import Reserve
from gateway.store.segments import ROLL_OCTETS, SegmentWriter
from gateway.store.summaries import Summarise
from gateway.store.trace import LOST, note_of
from gateway.store.trace_care import TraceCare
from gateway.store.trace_notes import Notes
from gateway.store.transaction import Transaction
from gateway.store.turn import Turn

READER_THREADS = 4
SEALER_THREADS = 2  # large messages whose files are being synced at the same time
COMPACTION = Pace()
KEEP_TRACES_S = 30 * 86_400
TRACE_OCTETS = 2 * 1024**3


class Options(TypedDict, total=False):
    """What may be said about how a store works in a process; each has a default."""

    reader_threads: int
    destination_of: DestinationOf
    configuration: str
    files: Files | None
    summarise: Summarise
    roll_octets: int
    compaction: Pace
    keep_deleted_s: int
    keep_traces_s: int
    trace_octets: int
    keep_passwords_s: int
    monotonic: Callable[[], float]


class Machinery:
    """One process's connections and threads at a store that is held and in order."""

    def __init__(
        self,
        layout: Layout,
        *,
        name: str,
        care: bool,
        runs_queue: bool,
        reserve: Reserve,
        aftermath: Aftermath,
        inboxes: dict[AccountId, MailboxId],
        housekeeping: Sequence[Callable[[Transaction], object]],
        relief: Callable[[sqlite3.Connection, int], Callable[[Transaction], None] | None],
        call_from_thread: CallFromThread,
        wall_clock: WallClock,
        options: Options,
    ) -> None:
        """
        Raises:
            StoreUnavailable: there is no store, it is not in order, or its disk refuses.
            SchemaTooNew: written by a newer gateway.
        """
        files = options.get("files") or OsFiles()
        monotonic = options.get("monotonic", time.monotonic)
        layout.check_joinable()
        with ExitStack() as stack, usable(layout):
            self._presence = presence = Presence(layout, name)
            stack.callback(presence.close)
            if care:
                presence.take_care()
            turn = Turn(layout, monotonic=monotonic)
            stack.callback(turn.close)
            writer = engine.open_writer(layout.index)
            stack.callback(writer.close)
            check_current(writer)
            clear_predecessor(writer, files, layout, name, int(wall_clock()))
            if runs_queue:
                tx = Transaction(writer)
                with turn.transaction(tx, int(wall_clock())):
                    free_leases(tx)
            self.readers = Pool(
                "store-reader",
                [
                    StoredOctets(engine.open_reader(layout.index), layout)
                    for _ in range(options.get("reader_threads", READER_THREADS))
                ],
                call_from_thread,
            )
            sealing: list[Closable] = [Nothing() for _ in range(SEALER_THREADS)]
            self._sealers = Pool("store-sealer", sealing, call_from_thread)
            self.payloads = Payloads(
                Bodies(files, layout, name, lambda read: self._sealers.run(lambda _: read())),
                self._sealers,
                lambda: self.committer.relieve(),
            )
            reserve.hold()
            segments = SegmentWriter(
                files,
                layout,
                lambda: turn.claim_segment(writer),
                options.get("roll_octets", ROLL_OCTETS),
            )
            pace = options.get("compaction", COMPACTION)
            self.notes = Notes(
                monotonic,
                lambda lost: note_of(
                    TraceRecord(f"lost-{name}", wall_clock(), LOST, fields={"records": lost})
                ),
            )
            self.trace_care = TraceCare(
                self.readers,
                lambda run: self.committer.write(run, uses_reserve=True),
                keep_s=options.get("keep_traces_s", KEEP_TRACES_S),
                max_octets=options.get("trace_octets", TRACE_OCTETS),
                call_from_thread=call_from_thread,
                wall_clock=wall_clock,
                monotonic=monotonic,
            )
            self.committer = Committer(
                connection=writer,
                segments=segments,
                files=files,
                layout=layout,
                reserve=reserve,
                turn=turn,
                compactor=Compactor(writer, segments, files, layout, reserve, monotonic, pace),
                log_length=LogLength(writer, layout.index, monotonic),
                aftermath=aftermath,
                inboxes=inboxes,
                housekeeping=Housekeeping(housekeeping),
                notes=self.notes,
                trace_care=self.trace_care,
                relief=relief,
                cares=care,
                call_from_thread=call_from_thread,
                wall_clock=wall_clock,
            )
            stack.pop_all()
        self._ends: list[Callable[[], None]] = [turn.close, presence.close]
        self._pools = (self._sealers, self.readers, self.committer)

    def start(self) -> None:
        for pool in self._pools:
            pool.start()

    def take_care(self) -> None:
        """Follow the process that did so and has ended. Raises: StoreUnavailable."""
        self._presence.take_care()
        self.committer.take_care()

    def at_end(self, function: Callable[[], None]) -> None:
        """Call it when nothing of the store is open any more."""
        self._ends.append(function)

    def close(self, ended: Callable[[], None]) -> None:
        """Take nothing more, end what was handed in; ``ended`` is called in another thread."""
        # Sealed bodies go on to the committer from the reactor's thread, as this is called, so
        # that they are refused: their senders get a temporary error and keep the message.
        for pool in self._pools:
            pool.close()

        def stop() -> None:
            # The committer is the last, and its connection closed behind those of the readers: two
            # that are closed at once leave the log to each other. The last of all processes folds
            # it into the index.
            for pool in self._pools:
                pool.join()
            for end in self._ends:
                end()
            ended()

        threading.Thread(target=stop, name="store-closer", daemon=True).start()
