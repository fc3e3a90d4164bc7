"""APPEND: a message that streams into the store while it arrives (RFC 3501 section 6.3.11).

Owns the decision before the first octet (the mailbox exists, the size is allowed: no ``+`` for a
message that will be refused, SECURITY I12) and the store's call after the last. The octets between
go from the reader to the session's ``Upload``; what is not finished leaves nothing behind.
"""

from __future__ import annotations

from gateway.core.errors import NoSuchMailbox, OverQuota
from gateway.core.messages import AppendMessage
from gateway.edge.imap.errors import Reply, no, ok
from gateway.edge.imap.session import Session
from gateway.wire.imap.commands import Append
from gateway.wire.imap.events import AppendStarted
from gateway.wire.imap.replies import append_uid


async def examine_append(session: Session, started: AppendStarted) -> Reply | None:
    """Why the message is not wanted, or None.

    Raises: the store's errors; the mailbox's absence is a reply, as it carries TRYCREATE.
    """
    if started.size_octets > session.services.limits.message_octets:
        return no("The message is larger than allowed here", "TOOBIG")
    try:
        place = await session.places.find(started.command.mailbox, "i")
        await session.store.find_mailbox(place.account_id, place.name)
    except NoSuchMailbox:
        return try_create()
    if session.services.quota is not None:
        usage = await session.services.quota.usage(place.account_id)
        if not usage.has_room_for(started.size_octets):
            raise OverQuota((place.account_id,))
    return None


async def append(session: Session, command: Append) -> Reply:
    """The message is complete: store it and tell its UID (RFC 4315 section 3)."""
    upload = session.upload
    assert upload is not None, "the reader finishes only what was started"
    internal_date = command.internal_date
    if internal_date is None:
        internal_date = int(session.services.wall_clock())
    message = AppendMessage(upload.body, command.flags, internal_date)
    try:
        place = await session.places.find(command.mailbox, "i")
        result = await session.store.append(place.account_id, place.name, [message])
    except NoSuchMailbox:
        return try_create()
    return ok("Message stored", append_uid(result.uid_validity, result.uids))


def try_create() -> Reply:
    return no("There is no such mailbox", "TRYCREATE")
