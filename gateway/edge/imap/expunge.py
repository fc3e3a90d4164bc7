"""EXPUNGE, UID EXPUNGE and CLOSE (RFC 3501 sections 6.4.2 and 6.4.3, RFC 4315 section 2.1).

Owns which messages are removed; the EXPUNGE lines are news of the mailbox like those of others.
"""

from __future__ import annotations

from gateway.edge.imap.errors import Reply, ok
from gateway.edge.imap.session import Session
from gateway.wire.imap.commands import Close, Expunge


async def expunge(session: Session, command: Expunge) -> Reply:
    view = session.selected
    ranges = None
    if command.uids is not None:
        ranges = view.uid_ranges(view.spans_of(command.uids, uid=True))
        if not ranges:
            return ok("No messages to remove")
    await session.store.expunge(view.mailbox_id, ranges, only_deleted=True)
    return ok("Removed")


async def close(session: Session, command: Close) -> Reply:
    """Remove without telling, and leave the mailbox; after EXAMINE only leave it."""
    view = session.selected
    if not view.read_only:
        await session.store.expunge(view.mailbox_id, None, only_deleted=True)
    session.deselect()
    return ok("Left the mailbox")
