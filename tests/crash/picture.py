"""Everything a user of a store could tell apart, as one comparable value.

Read from the index and the octets' files beside the running store, so that nothing of the code
under test decides what is looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError
from gateway.store import engine
from gateway.store.blobs import StoredOctets
from gateway.store.layout import Layout

Picture = dict[str, list[list[Any]]]

_QUERIES = {
    "mailboxes": "SELECT account_id, name, uid_validity, uid_next, highest_modseq, messages,"
    " unseen, size_octets FROM mailboxes ORDER BY mailbox_id",
    "queue": "SELECT q.queue_id, q.sender_local, r.local_part, r.domain, r.attempts, r.reply,"
    " q.hold, q.options, r.options, r.next_hop, r.told_of_delay FROM queue AS q"
    " JOIN queue_recipients AS r ON r.queue_id = q.queue_id"
    " ORDER BY q.queue_id, r.number",
    "subscriptions": "SELECT account_id, name FROM subscriptions ORDER BY account_id, name",
    "expunged": "SELECT mailbox_id, modseq, first_uid, last_uid FROM expunged"
    " ORDER BY mailbox_id, modseq, first_uid",
    "accounts": "SELECT account_id, messages, size_octets, quota_octets FROM accounts"
    " ORDER BY account_id",
    "uidls": "SELECT mailbox_id, uid, uidl FROM uidls ORDER BY mailbox_id, uid",
    # What goes into the trace with a message is there with it, or not at all.
    "traces": "SELECT first_at, last_at, CAST(records AS TEXT) FROM traces ORDER BY trace_row",
    "imports": "SELECT account_id, origin, folder, message_key FROM imports"
    " ORDER BY account_id, origin, folder, message_key",
}
_MESSAGES = (
    "SELECT m.mailbox_id, m.uid, m.modseq, m.flags, m.keywords, m.internal_date, m.size_octets,"
    " m.blob_id FROM messages AS m ORDER BY m.mailbox_id, m.uid"
)
_OTHERS = (
    ("deleted", "SELECT account_id, mailbox_name, uid, size_octets, blob_id FROM vault"
     " ORDER BY account_id, mailbox_name, uid, vault_id"),
    ("queued", "SELECT queue_id, content_offset, sender_domain, size_octets + content_offset,"
     " blob_id FROM queue ORDER BY queue_id"),
)  # fmt: skip


def picture(state_dir: Path) -> Picture:
    """What is there now; octets as a digest, ``damaged`` where they cannot be read."""
    layout = Layout(state_dir)
    with contextlib.closing(engine.open_foreign(layout.index)) as connection:
        stored = StoredOctets(connection, layout)
        connection.execute("BEGIN")
        try:
            found: Picture = {
                name: [list(row) for row in connection.execute(query)]
                for name, query in _QUERIES.items()
            }
            found["messages"] = _with_digests(stored, connection, _MESSAGES)
            for name, query in _OTHERS:
                found[name] = _with_digests(stored, connection, query)
        finally:
            stored.files.close()
    return found


def _with_digests(
    stored: StoredOctets, connection: sqlite3.Connection, query: str
) -> list[list[Any]]:
    """The rows with the digest of their octets in place of the last two columns."""
    rows = []
    for *columns, size, blob_id in connection.execute(query).fetchall():
        try:
            octets = stored.read(blob_id, 0, size)
        except GatewayError:
            rows.append([*columns, "damaged"])
        else:
            rows.append([*columns, f"{len(octets)} {hashlib.sha256(octets).hexdigest()[:12]}"])
    return rows
