"""SELECT, EXAMINE, UNSELECT, STATUS, NAMESPACE, and what makes, names and removes mailboxes.

Owns the replies of these commands; LIST and LSUB are ``listing``'s. Names come parsed and
normalised (``wire.imap.names``), and the store decides which of them are possible.
"""

from __future__ import annotations

from gateway.core.mailboxes import MailboxStatus
from gateway.edge.imap.errors import Reply, ok
from gateway.edge.imap.news import flags_lines
from gateway.edge.imap.session import Session
from gateway.wire.imap import replies
from gateway.wire.imap.commands import (
    Create,
    Delete,
    Examine,
    Namespace,
    Rename,
    Select,
    Status,
    StatusItem,
    Subscribe,
    Unselect,
    Unsubscribe,
)


async def select(session: Session, command: Select | Examine) -> Reply:
    """RFC 3501 sections 6.3.1 and 6.3.2."""
    read_only = isinstance(command, Examine)
    # Section 6.3.1: the old mailbox is left even if the new one cannot be opened.
    session.deselect()
    selection = await session.store.select(
        session.account_id, command.mailbox, claim_recent=not read_only
    )
    view = session.show(selection, read_only=read_only)
    lines = [
        flags_lines(view),
        replies.exists(view.exists),
        replies.recent(view.recent),
    ]
    mailbox = selection.mailbox
    codes = {f"UIDVALIDITY {mailbox.uid_validity}": "UIDs valid"}
    codes[f"UIDNEXT {mailbox.uid_next}"] = "Next UID"
    if selection.first_unseen:
        codes[f"UNSEEN {selection.first_unseen}"] = "First unseen"
    lines.extend(replies.untagged_status("OK", text, code) for code, text in codes.items())
    session.peer.send(b"".join(lines))
    if read_only:
        return ok("Opened for reading only", "READ-ONLY")
    return ok("Selected", "READ-WRITE")


async def unselect(session: Session, command: Unselect) -> Reply:
    session.deselect()
    return ok("Left the mailbox")


async def status(session: Session, command: Status) -> Reply:
    found = await session.store.status(session.account_id, command.mailbox)
    values = [(item, _value(item, found)) for item in command.items]
    session.peer.send(replies.status_line(command.mailbox, values))
    return ok("Status told")


def _value(item: StatusItem, found: MailboxStatus) -> int:
    match item:
        case StatusItem.MESSAGES:
            return found.messages
        case StatusItem.RECENT:
            return found.recent
        case StatusItem.UIDNEXT:
            return found.mailbox.uid_next
        case StatusItem.UIDVALIDITY:
            return found.mailbox.uid_validity
        case StatusItem.UNSEEN:
            return found.unseen


async def namespace(session: Session, command: Namespace) -> Reply:
    """One personal namespace without a prefix, none of other people, none shared (RFC 2342)."""
    session.peer.send(replies.namespace_line())
    return ok("Namespaces told")


async def create(session: Session, command: Create) -> Reply:
    await session.store.create_mailbox(session.account_id, command.mailbox)
    return ok("Mailbox created")


async def delete(session: Session, command: Delete) -> Reply:
    selected = session.view.mailbox_id if session.view is not None else None
    mailbox_id = None
    if selected is not None:
        mailbox_id = (
            await session.store.find_mailbox(session.account_id, command.mailbox)
        ).mailbox_id
    await session.store.delete_mailbox(session.account_id, command.mailbox)
    if mailbox_id is not None and mailbox_id == selected:
        session.deselect()  # we know; a session of somebody else hears BYE
    return ok("Mailbox deleted")


async def rename(session: Session, command: Rename) -> Reply:
    await session.store.rename_mailbox(session.account_id, command.old, command.new)
    return ok("Mailbox renamed")


async def subscribe(session: Session, command: Subscribe) -> Reply:
    # RFC 3501 section 6.3.6 allows the check; without it names could be piled up without end.
    await session.store.find_mailbox(session.account_id, command.mailbox)
    await session.store.set_subscribed(session.account_id, command.mailbox, True)
    return ok("Subscribed")


async def unsubscribe(session: Session, command: Unsubscribe) -> Reply:
    await session.store.set_subscribed(session.account_id, command.mailbox, False)
    return ok("Unsubscribed")
