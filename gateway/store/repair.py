"""Puts a damaged store in order, and says line by line what it did.

Owns the order: the engine's own file, then the octets (``repair_octets``), then the rows
(``repair_rows``), then files nobody points to, and a check of everything at the end. Nothing that
holds octets is deleted; what belongs nowhere goes into quarantine. Each step is durable before the
next, so it may be stopped anywhere and run again; when all is done, another run finds nothing.

Needs the store for itself. Refuses where the rows are whole but most octets are missing, as that is
a disk that is not there and not a damage, and where the index itself is beyond what it can do.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.clock import WallClock
from gateway.core.ports.progress import Progress
from gateway.store import engine, octets
from gateway.store.exclusive import only_user
from gateway.store.files import OsFiles
from gateway.store.layout import Layout
from gateway.store.migrations import migrate
from gateway.store.quarantine import KEEP_DAYS, Quarantine
from gateway.store.repair_octets import OctetRepair
from gateway.store.repair_rows import Lost, RowRepair
from gateway.store.rules import OF_OCTETS
from gateway.store.segments import HEADER
from gateway.store.trace_check import unreadable_rows
from gateway.store.transaction import Transaction
from gateway.store.verify import Report, verify_layout

# Fewer may be lost without being asked.
MOST_MISSING = 100
MOST_MISSING_PERCENT = 5


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    Args:
        done: each thing in words.
        lost: messages of which nothing is left.
        report: the check afterwards.
    """

    done: tuple[str, ...]
    lost: tuple[Lost, ...]
    report: Report


def repair(
    state_dir: Path,
    *,
    wall_clock: WallClock,
    progress: Progress,
    say: Callable[[str], None],
    accept_loss: bool = False,
) -> Repaired:
    """Repair the store below ``state_dir``.

    Args:
        say: told each thing that was done, as it is done.
        accept_loss: go on although many messages are missing altogether.

    Raises:
        StoreUnavailable: no store, in use, or beyond repair; the text says what to do.
        SchemaTooNew: a newer gateway has written this store.
    """
    layout = Layout(state_dir)
    done: list[str] = []

    def note(text: str) -> None:
        done.append(text)
        say(text)

    try:
        layout.refuse_lost_index()
        if not layout.index.exists():
            raise StoreUnavailable(f"there is no mail store in {state_dir}")
        with only_user(layout):
            lost = _repair(layout, wall_clock, progress, note, accept_loss)
            report = verify_layout(layout, progress)
    except OSError as error:
        raise StoreUnavailable(f"{error.filename or layout.root}: {error.strerror}") from error
    except sqlite3.Error as error:
        if engine.is_damage(error):
            raise StoreUnavailable(_beyond_repair(layout, str(error))) from error
        raise StoreUnavailable(
            f"{layout.index} cannot be used: {error}; what was said to be done so far may have "
            "been undone, and the repair can be run again"
        ) from error
    return Repaired(tuple(done), tuple(lost), report)


def _repair(
    layout: Layout,
    wall_clock: WallClock,
    progress: Progress,
    note: Callable[[str], None],
    accept_loss: bool,
) -> list[Lost]:
    with contextlib.ExitStack() as stack:
        connection = engine.open_writer(layout.index)
        stack.callback(connection.close)
        _mend_engine(connection, layout, progress, note)
        migrate(connection)
        if not accept_loss:
            _refuse_missing_disk(connection, layout)
        now = int(wall_clock())
        tx = Transaction(connection)
        repairing = OctetRepair(tx, layout, note)
        stack.callback(repairing.close)
        reading = engine.open_reader(layout.index)
        stack.callback(reading.close)
        (total,) = connection.execute("SELECT total(size_octets) FROM blobs").fetchone()
        rows = RowRepair(tx, repairing, note)
        with _transaction(tx, now):
            rows.run(OF_OCTETS)
        for damage in octets.damages(reading, layout, progress, int(total)):
            with _transaction(tx, now):
                repairing.handle(damage)
        progress("repairing the index", 0, 0)
        with _transaction(tx, now):
            rows.run()
        for trace in unreadable_rows(reading, progress):
            with _transaction(tx, now):
                tx.execute("DELETE FROM traces WHERE trace_row = ?", (trace.row,))
            note(f"trace row {trace.row}: {trace.what}; removed")
        quarantine = Quarantine(OsFiles(), layout, now)
        layout.quarantine.mkdir(mode=0o700, exist_ok=True)
        for path in octets.strays(connection, layout, math.inf):
            quarantine.take_in(path)
            note(f"{path}: nothing points to it; in quarantine for {KEEP_DAYS} days")
        return rows.lost


@contextlib.contextmanager
def _transaction(tx: Transaction, now: int) -> Iterator[None]:
    tx.begin(now)
    try:
        yield
        tx.commit()
    except BaseException:
        tx.roll_back()
        raise


def _mend_engine(
    connection: sqlite3.Connection,
    layout: Layout,
    progress: Progress,
    note: Callable[[str], None],
) -> None:
    """What the engine can make again from its tables, it does; damaged tables are beyond repair."""
    progress("checking the index", 0, 0)
    if not engine.integrity(connection):
        return
    engine.rebuild_indexes(connection)
    found = engine.integrity(connection)
    if found:
        raise StoreUnavailable(_beyond_repair(layout, found[0][0]))
    note("the tables' indexes were damaged, and are made again")


def _beyond_repair(layout: Layout, why: str) -> str:
    return (
        f"{layout.index} itself is damaged ({why}), which cannot be repaired without guessing; "
        "restore the last backup with `gateway restore --force`: it keeps this store aside, whose "
        "segments still hold the mail that came since"
    )


def _refuse_missing_disk(connection: sqlite3.Connection, layout: Layout) -> None:
    missing = 0
    (blobs,) = connection.execute("SELECT count(*) FROM blobs").fetchone()
    for (segment_id,) in connection.execute(
        "SELECT DISTINCT segment_id FROM blobs WHERE file_name = '' AND segment_id > 0"
        " AND typeof(segment_id) = 'integer'"
    ).fetchall():
        path = layout.segment(segment_id)
        size = path.stat().st_size if path.exists() else 0
        (beyond,) = connection.execute(
            "SELECT count(*) FROM blobs WHERE segment_id = ? AND segment_offset + ? >= ?",
            (segment_id, HEADER.size, size),
        ).fetchone()
        missing += beyond
    for (name,) in connection.execute(
        "SELECT file_name FROM blobs WHERE file_name <> '' AND typeof(file_name) = 'text'"
    ):
        missing += not (layout.large / name).exists()
    if missing > MOST_MISSING and missing * 100 > blobs * MOST_MISSING_PERCENT:
        raise StoreUnavailable(
            f"of {missing} of {blobs} messages nothing is there: this looks like a disk or a "
            f"directory that is missing below {layout.root}, and nothing was changed. Bring it "
            "back, or restore a backup, or give these messages up with --accept-loss"
        )
