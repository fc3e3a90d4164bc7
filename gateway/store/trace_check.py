"""Whether what is kept in ``traces`` can be read: every row, every record, and the hashes of both.

Only reads; ``verify`` tells of it, and ``repair`` removes the rows. Memory: one row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from gateway.core.ports.progress import Progress
from gateway.store.trace_form import decode, key_hashes, unpack

ROWS_PER_STATEMENT = 100
_ROWS = (
    "SELECT trace_row, first_at, last_at, keys, records FROM traces WHERE trace_row > ?"
    " ORDER BY trace_row LIMIT ?"
)


class Unreadable(NamedTuple):
    """A row, and what is wrong with it."""

    row: int
    what: str


def unreadable_rows(connection: sqlite3.Connection, progress: Progress) -> Iterator[Unreadable]:
    """Rows from which records would be missing in a search."""
    (total,) = connection.execute("SELECT count(*) FROM traces").fetchone()
    done, after = 0, -(2**63)
    while True:
        rows = connection.execute(_ROWS, (after, ROWS_PER_STATEMENT)).fetchall()
        for row, *content in rows:
            what = _complaint(*content)
            if what:
                yield Unreadable(row, what)
        if not rows:
            return
        done, after = done + len(rows), rows[-1][0]
        progress("checking the trace", done, max(done, total), "rows")


def _complaint(first_at: object, last_at: object, keys: object, records: object) -> str:
    """Empty text for a sound row."""
    if not isinstance(first_at, int) or not isinstance(last_at, int) or first_at > last_at:
        return "its times cannot be"
    if not isinstance(keys, bytes) or not isinstance(records, bytes):
        return "it holds no octets"
    try:
        text = unpack(records)
        lines = text.split(b"\n")[1:]
        # What was packed has a checksum of its own (RFC 1950), and was read before.
        for line in lines[:1] if keys else lines:
            decode(line)
        if keys and keys != key_hashes(text):
            return "its hashes are those of other records"
    except (ValueError, TypeError) as error:
        return f"its records cannot be read ({error})"
    return "" if lines else "it holds no records"
