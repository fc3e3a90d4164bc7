"""COPY, MOVE and their UID forms (RFC 3501 section 6.4.7, RFC 6851, COPYUID of RFC 4315).

Owns the replies; the store copies all messages or none, and never an octet of them. What MOVE takes
away is told as news of the mailbox, like every EXPUNGE.
"""

from __future__ import annotations

from gateway.core.errors import NoSuchMailbox
from gateway.core.messages import CopyResult
from gateway.edge.imap.append import try_create
from gateway.edge.imap.errors import Reply, no, ok
from gateway.edge.imap.session import Session
from gateway.wire.imap.commands import Copy, Move
from gateway.wire.imap.replies import copy_uid, untagged_status


async def copy(session: Session, command: Copy) -> Reply:
    result = await _carry(session, command, move=False)
    if isinstance(result, Reply):
        return result
    return ok("Copied", copy_uid(result.uid_validity, result.source_uids, result.uids))


async def move(session: Session, command: Move) -> Reply:
    """The EXPUNGE lines follow as news; COPYUID has to come before them (RFC 6851 section 4.3)."""
    result = await _carry(session, command, move=True)
    if isinstance(result, Reply):
        return result
    code = copy_uid(result.uid_validity, result.source_uids, result.uids)
    if code:
        session.peer.send(untagged_status("OK", "Moved", code))
    return ok("Moved")


async def _carry(session: Session, command: Copy | Move, *, move: bool) -> CopyResult | Reply:
    view = session.selected
    spans = view.spans_of(command.numbers, uid=command.uid)
    if not spans:
        return ok("No messages to take")
    try:
        place = await session.places.find(command.mailbox, "i")
        result = await session.store.copy(
            view.mailbox_id, view.uid_ranges(spans), place.account_id, place.name, move=move
        )
    except NoSuchMailbox:
        return try_create()
    if not result.uids and not command.uid:
        # All were expunged before the client could hear of it (RFC 2180 section 4.4).
        return no("The messages no longer exist", "EXPUNGEISSUED")
    return result
