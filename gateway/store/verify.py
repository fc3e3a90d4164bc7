"""Checks a store against itself: index, counters, UIDs, references, files, checksums, trace.

Only reads, and may run while a gateway uses the store: the index is looked at in one snapshot, then
the octets page by page, and a message deleted or moved meanwhile is not a problem. Reads every
octet, so it takes as long as the disk does; memory does not grow with the store.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.core.ports.progress import Progress, silent
from gateway.store import engine, octets
from gateway.store.layout import Layout
from gateway.store.migrations import version_of
from gateway.store.octets import SegmentSpace
from gateway.store.rules import RULES
from gateway.store.schema import STEPS
from gateway.store.trace_check import unreadable_rows

MAX_PROBLEMS = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; no ``problems`` means that the store is sound.

    Args:
        deleted: messages in the vault.
        unreadable: messages that an earlier repair has found damaged and kept aside.
        segments: how much of each is dead, which compaction gives back in time.
        strays: files nothing points to. They do no harm: the next start puts them into quarantine.
    """

    problems: tuple[str, ...]
    mailboxes: int
    messages: int
    queued: int
    deleted: int
    blobs: int
    octets: int
    unreadable: int
    segments: tuple[SegmentSpace, ...]
    strays: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.problems

    @property
    def dead_octets(self) -> int:
        return sum(segment.dead_octets for segment in self.segments)


def verify(state_dir: Path, progress: Progress = silent) -> Report:
    """Check everything.

    Raises:
        StoreUnavailable: there is no store, or its index cannot be read at all.
    """
    layout = Layout(state_dir)
    try:
        layout.refuse_lost_index()
    except OSError as error:
        raise StoreUnavailable(f"{error.filename}: {error.strerror}") from error
    if not layout.index.exists():
        raise StoreUnavailable(f"there is no mail store in {state_dir}")
    return verify_layout(layout, progress)


def verify_layout(layout: Layout, progress: Progress) -> Report:
    """As ``verify``, of a store at any place. Raises: StoreUnavailable."""
    try:
        connection = engine.open_foreign(layout.index)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{layout.index} cannot be read: {error}") from error
    try:
        return _check(connection, layout, progress)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{layout.index} cannot be read: {error}") from error
    except OSError as error:
        raise StoreUnavailable(f"{error.filename}: {error.strerror}") from error
    finally:
        connection.close()


def _check(connection: sqlite3.Connection, layout: Layout, progress: Progress) -> Report:
    version = version_of(connection)
    if version != len(STEPS):
        raise StoreUnavailable(
            f"the store has schema version {version}; this program checks {len(STEPS)}: use the"
            " program that the gateway was started with"
        )
    problems: list[str] = []
    connection.execute("BEGIN")  # counts and rules look at the same state
    mailboxes, messages, queued, deleted, blobs = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - own names only
        for table in ("mailboxes", "messages", "queue", "vault", "blobs")
    )
    size, unreadable = connection.execute(
        "SELECT total(size_octets),"
        " count(CASE WHEN segment_id = 0 AND file_name = '' THEN 1 END) FROM blobs"
    ).fetchone()
    size = int(size)  # total() does not overflow, whatever the rows say
    _collect(problems, index_findings(connection, progress))
    connection.execute("COMMIT")
    if len(problems) < MAX_PROBLEMS:
        damaged = octets.damages(connection, layout, progress, size)
        _collect(problems, (f"octets {one.blob_id}: {one.error}" for one in damaged))
    if len(problems) < MAX_PROBLEMS:
        unreadable_traces = unreadable_rows(connection, progress)
        _collect(problems, (f"trace row {one.row}: {one.what}" for one in unreadable_traces))
    if len(problems) >= MAX_PROBLEMS:
        problems.append(f"stopped after {MAX_PROBLEMS} problems")
    return Report(
        problems=tuple(problems),
        mailboxes=mailboxes,
        messages=messages,
        queued=queued,
        deleted=deleted,
        blobs=blobs,
        octets=size,
        unreadable=unreadable,
        segments=tuple(octets.space(connection, layout)),
        strays=tuple(str(path) for path in octets.strays(connection, layout, time.time())),
    )


def _collect(problems: list[str], findings: Iterator[str]) -> None:
    for finding in findings:
        problems.append(finding)
        if len(problems) >= MAX_PROBLEMS:
            return


def index_findings(connection: sqlite3.Connection, progress: Progress) -> Iterator[str]:
    """What contradicts a rule, in words."""
    steps = len(RULES) + 1
    progress("checking the index", 0, steps, "rules")
    for (text,) in engine.integrity(connection):
        yield f"index: {text}"
    for number, rule in enumerate(RULES, start=1):
        progress("checking the index", number, steps, "rules")
        try:
            for row in connection.execute(rule.statement):
                yield rule.text.format(*row)
        except sqlite3.Error as error:
            if not engine.is_of_one_statement(error):
                raise
            yield f"{rule.name}: cannot be looked at ({error})"
    progress("checking the index", steps, steps, "rules")
