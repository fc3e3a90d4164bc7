"""The words of one message, by column.

Owns what of a message is indexed, with the very texts that the exact search looks at, and the
bounds of it. What passes a bound is not lost: such a message is always looked at itself.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from twisted.logger import Logger

from gateway.core.errors import MessageGone, StoreDamaged
from gateway.core.ids import BlobId
from gateway.core.messages import MessageSummary
from gateway.store import engine
from gateway.store.blobs import StoredOctets
from gateway.store.candidate import HEADER_LIMIT, body_of
from gateway.store.search_index.format import BODY, CC, FROM, HEADER, SUBJECT, TO
from gateway.store.search_index.words import words_of
from gateway.wire.mime.summary import decode, summarise
from gateway.wire.mime.text import header_lines, text_octets

log = Logger()

OWN_COLUMNS = {b"subject": SUBJECT, b"from": FROM, b"to": TO, b"cc": CC}
"""Fields with a column of their own; the words of all others, and all names, share one."""

TEXT_OCTETS = 4 * 1024 * 1024
DISTINCT_WORDS = 50_000


@dataclass(frozen=True, slots=True)
class Words:
    """What is indexed of one message; ``complete`` False: look at the message itself."""

    by_column: tuple[tuple[int, set[str]], ...]
    complete: bool


NOTHING_SURE = Words((), complete=False)


def words_of_message(stored: StoredOctets, blob_id: BlobId) -> Words:
    """Raises: MessageGone, sqlite3.Error. A damaged message may be whole when it is searched."""
    try:
        return _words(stored, blob_id)
    except StoreDamaged:
        return NOTHING_SURE
    except (MessageGone, sqlite3.Error):
        raise
    except Exception:  # one bad message must never keep the others out (SECURITY M6)
        log.failure("message {id} cannot be indexed", id=blob_id)
        return NOTHING_SURE


def _words(stored: StoredOctets, blob_id: BlobId) -> Words:
    at = stored.locate(blob_id)
    message: bytes | None = None
    summary = _kept_summary(stored, blob_id)
    if summary is None or not at.file_name:
        message = stored.read_whole(blob_id)
        summary = summary or summarise(message)
    if text_octets(summary) > TEXT_OCTETS:
        return NOTHING_SURE
    header = (
        message[:HEADER_LIMIT] if message is not None else stored.read(blob_id, 0, HEADER_LIMIT)
    )
    texts: dict[int, list[str]] = {HEADER: []}
    for name, value in header_lines(header):
        texts[HEADER].append(name.decode("latin-1"))
        texts.setdefault(OWN_COLUMNS.get(name, HEADER), []).append(value)
    texts[BODY] = [body_of(stored, blob_id, summary, message)]
    by_column: list[tuple[int, set[str]]] = []
    count = octets = 0
    for column, pieces in texts.items():
        text = "\n".join(pieces)
        octets += len(text)
        if octets > TEXT_OCTETS:
            return NOTHING_SURE
        words = words_of(text.casefold())
        count += len(words)
        by_column.append((column, words))
    if count > DISTINCT_WORDS:
        return NOTHING_SURE
    return Words(tuple(by_column), complete=True)


def _kept_summary(stored: StoredOctets, blob_id: BlobId) -> MessageSummary | None:
    rows = engine.rows_of(
        stored.connection, "SELECT data FROM summaries WHERE blob_id IN ({ids})", [blob_id]
    )
    try:
        return decode(rows[0][0]) if rows else None
    except ValueError:
        return None  # of an older gateway
