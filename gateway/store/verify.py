"""Checks a store against itself: index, segments, checksums, counters, UIDs, references.

Only reads, and may run while a gateway uses the store: everything is looked at in one snapshot of
the index, and a message deleted or moved meanwhile is not a problem. Takes time and reads every
octet.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import GatewayError, StoreUnavailable
from gateway.store import engine
from gateway.store.blobs import LOCATE, Location, SegmentFiles
from gateway.store.bodies import BLOCK_OCTETS
from gateway.store.flags import SEEN
from gateway.store.layout import Layout
from gateway.store.migrations import version_of
from gateway.store.schema import STEPS

MAX_PROBLEMS = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; no ``problems`` means that the store is sound."""

    problems: tuple[str, ...]
    mailboxes: int
    messages: int
    queued: int
    blobs: int
    octets: int

    @property
    def sound(self) -> bool:
        return not self.problems


# Each finds what contradicts one rule of ``schema``; the columns fill the text.
_RULES: tuple[tuple[str, str], ...] = (
    (
        "mailbox {} counts {} messages, {} unseen, {} octets; it has {}, {}, {}",
        "SELECT b.mailbox_id, b.messages, b.unseen, b.size_octets, count(m.uid),"
        " count(CASE WHEN (m.flags & {seen}) = 0 THEN 1 END), coalesce(sum(m.size_octets), 0)"
        " FROM mailboxes AS b LEFT JOIN messages AS m ON m.mailbox_id = b.mailbox_id"
        " GROUP BY b.mailbox_id, b.messages, b.unseen, b.size_octets"
        " HAVING b.messages <> count(m.uid) OR b.size_octets <> coalesce(sum(m.size_octets), 0)"
        " OR b.unseen <> count(CASE WHEN (m.flags & {seen}) = 0 THEN 1 END)",
    ),
    (
        "mailbox {}: message {} is not below the next UID {}",
        "SELECT m.mailbox_id, m.uid, b.uid_next FROM messages AS m"
        " JOIN mailboxes AS b ON b.mailbox_id = m.mailbox_id WHERE m.uid >= b.uid_next",
    ),
    (
        "mailbox {}: message {} has MODSEQ {} above the mailbox's {} or below its own first",
        "SELECT m.mailbox_id, m.uid, m.modseq, b.highest_modseq FROM messages AS m"
        " JOIN mailboxes AS b ON b.mailbox_id = m.mailbox_id"
        " WHERE m.modseq > b.highest_modseq OR m.modseq < m.created_modseq",
    ),
    (
        "mailbox {}: message {} is older by MODSEQ than one before it",
        "SELECT mailbox_id, uid FROM (SELECT mailbox_id, uid, created_modseq,"
        " max(created_modseq) OVER (PARTITION BY mailbox_id ORDER BY uid"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM messages) AS ordered"
        " WHERE created_modseq < before",
    ),
    (
        "mailbox {}: message {} is there although it was expunged",
        "SELECT m.mailbox_id, m.uid FROM messages AS m"
        " JOIN expunged AS e ON e.mailbox_id = m.mailbox_id"
        " AND m.uid BETWEEN e.first_uid AND e.last_uid",
    ),
    (
        "message {} lies in mailbox {}, which does not exist",
        "SELECT uid, mailbox_id FROM messages"
        " WHERE mailbox_id NOT IN (SELECT mailbox_id FROM mailboxes)",
    ),
    (
        "mailbox {}: message {} points to octets {}, which do not exist",
        "SELECT mailbox_id, uid, blob_id FROM messages"
        " WHERE blob_id NOT IN (SELECT blob_id FROM blobs)",
    ),
    (
        "mailbox {}: message {} has {} octets, but {} are stored",
        "SELECT m.mailbox_id, m.uid, m.size_octets, b.size_octets FROM messages AS m"
        " JOIN blobs AS b ON b.blob_id = m.blob_id WHERE m.size_octets <> b.size_octets",
    ),
    (
        "octets {} count {} references; there are {}",
        "SELECT b.blob_id, b.refs, coalesce(r.refs, 0) FROM blobs AS b LEFT JOIN"
        " (SELECT blob_id, count(*) AS refs FROM (SELECT blob_id FROM messages UNION ALL"
        " SELECT blob_id FROM queue UNION ALL SELECT blob_id FROM vault) AS pointers"
        " GROUP BY blob_id) AS r ON r.blob_id = b.blob_id"
        " WHERE b.refs <> coalesce(r.refs, 0) OR b.refs = 0",
    ),
    (
        "segment {} counts {} live messages of {} octets; there are {} of {}",
        "SELECT s.segment_id, s.live_blobs, s.live_octets, count(b.blob_id),"
        " coalesce(sum(b.size_octets), 0) FROM segments AS s"
        " LEFT JOIN blobs AS b ON b.segment_id = s.segment_id"
        " GROUP BY s.segment_id, s.live_blobs, s.live_octets"
        " HAVING s.live_blobs <> count(b.blob_id)"
        " OR s.live_octets <> coalesce(sum(b.size_octets), 0)",
    ),
    (
        "queued message {} points to octets {}, which do not exist",
        "SELECT queue_id, blob_id FROM queue WHERE blob_id NOT IN (SELECT blob_id FROM blobs)",
    ),
    (
        "queued message {} has no recipients",
        "SELECT queue_id FROM queue WHERE queue_id NOT IN (SELECT queue_id FROM queue_recipients)",
    ),
    (
        "queued recipient {} of {} belongs to no message",
        "SELECT number, queue_id FROM queue_recipients"
        " WHERE queue_id NOT IN (SELECT queue_id FROM queue)",
    ),
    (
        "account {} counts {} messages of {} octets; its mailboxes hold {} of {}",
        "SELECT a.account_id, a.messages, a.size_octets, coalesce(sum(b.messages), 0),"
        " coalesce(sum(b.size_octets), 0) FROM accounts AS a"
        " LEFT JOIN mailboxes AS b ON b.account_id = a.account_id"
        " GROUP BY a.account_id, a.messages, a.size_octets"
        " HAVING a.messages <> coalesce(sum(b.messages), 0)"
        " OR a.size_octets <> coalesce(sum(b.size_octets), 0)",
    ),
    (
        "deleted message {} points to octets {}, which do not exist",
        "SELECT vault_id, blob_id FROM vault WHERE blob_id NOT IN (SELECT blob_id FROM blobs)",
    ),
    (
        "account {} has no INBOX",
        "SELECT account_id FROM accounts"
        " WHERE inbox_id NOT IN (SELECT mailbox_id FROM mailboxes WHERE name = 'INBOX')",
    ),
)


def verify(state_dir: Path) -> Report:
    """Check everything.

    Raises:
        StoreUnavailable: there is no store, or its index cannot be read at all.
    """
    layout = Layout(state_dir)
    if not layout.index.exists():
        raise StoreUnavailable(f"there is no mail store in {state_dir}")
    try:
        connection = engine.open_foreign(layout.index)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{layout.index} cannot be read: {error}") from error
    try:
        connection.execute("BEGIN")
        return _check(connection, layout)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{layout.index} cannot be read: {error}") from error
    finally:
        connection.close()


def _check(connection: sqlite3.Connection, layout: Layout) -> Report:
    version = version_of(connection)
    if version != len(STEPS):
        raise StoreUnavailable(
            f"the store has schema version {version}; this program checks {len(STEPS)}"
        )
    problems: list[str] = []
    for finding in _findings(connection, layout):
        problems.append(finding)
        if len(problems) >= MAX_PROBLEMS:
            problems.append(f"stopped after {MAX_PROBLEMS} problems")
            break
    mailboxes, messages, queued, blobs = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - own names only
        for table in ("mailboxes", "messages", "queue", "blobs")
    )
    octets = connection.execute("SELECT coalesce(sum(size_octets), 0) FROM blobs").fetchone()[0]
    return Report(tuple(problems), mailboxes, messages, queued, blobs, octets)


def _findings(connection: sqlite3.Connection, layout: Layout) -> Iterator[str]:
    for (text,) in engine.integrity(connection):
        yield f"index: {text}"
    for text, rule in _RULES:
        for row in connection.execute(rule.replace("{seen}", str(SEEN))):
            yield text.format(*row)
    files = SegmentFiles(layout)
    try:
        for row in connection.execute(
            "SELECT blob_id, size_octets, segment_id, segment_offset, file_name, head, checksums"
            " FROM blobs ORDER BY segment_id, segment_offset"
        ):
            yield from _octet_findings(files, layout, row[0], Location(*row[1:]))
    finally:
        files.close()


def _octet_findings(
    files: SegmentFiles, layout: Layout, blob_id: int, at: Location
) -> Iterator[str]:
    try:
        _read_all(files, at)
    except GatewayError as error:
        if not _is_gone_or_moved(layout, blob_id, at):
            yield f"octets {blob_id}: {error}"


def _read_all(files: SegmentFiles, at: Location) -> None:
    piece = 4 * BLOCK_OCTETS if at.file_name else 1 << 40
    for offset in range(0, at.size_octets, piece):
        files.read(at, offset, piece)


def _is_gone_or_moved(layout: Layout, blob_id: int, at: Location) -> bool:
    """Whether the running gateway has since deleted it, or put it where it is whole."""
    files = SegmentFiles(layout)
    connection = engine.open_foreign(layout.index)
    try:
        while True:
            row = connection.execute(LOCATE, (blob_id,)).fetchone()
            if row is None:
                return True
            before, at = at, Location(*row)
            if at == before:
                return False
            with contextlib.suppress(GatewayError):
                _read_all(files, at)
                return True
    finally:
        connection.close()
        files.close()
