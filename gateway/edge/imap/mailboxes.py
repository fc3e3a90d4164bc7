"""SELECT, EXAMINE, UNSELECT, STATUS, NAMESPACE, and what makes, names and removes mailboxes.

Owns the replies of these commands; LIST and LSUB are ``listing``'s. Names come parsed and
normalised (``wire.imap.names``), and the store decides which of them are possible.
"""

from __future__ import annotations

from gateway.core.errors import MailboxNameRefused
from gateway.core.mailboxes import MailboxStatus
from gateway.core.shared_mailboxes import ROOT
from gateway.edge.imap.errors import Reply, ok
from gateway.edge.imap.news import flags_lines
from gateway.edge.imap.places import INBOX
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
    # Section 6.3.1: the old mailbox is left even if the new one cannot be opened.
    session.deselect()
    place = await session.places.find(command.mailbox, "r")
    read_only = isinstance(command, Examine) or place.is_read_only
    selection = await session.store.select(place.account_id, place.name, claim_recent=not read_only)
    view = session.show(selection, place, read_only=read_only)
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
    place = await session.places.find(command.mailbox, "r")
    found = await session.store.status(place.account_id, place.name)
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
    """One personal namespace without a prefix, none of other people, and one for what is shared
    where anything is (RFC 2342)."""
    shared = ROOT if session.places.has_shared else ""
    session.peer.send(replies.namespace_line(shared))
    return ok("Namespaces told")


async def create(session: Session, command: Create) -> Reply:
    place = await session.places.new(command.mailbox, "k")
    await session.store.create_mailbox(place.account_id, place.name)
    return ok("Mailbox created")


async def delete(session: Session, command: Delete) -> Reply:
    place = await session.places.find(command.mailbox, "x")
    selected = session.view.mailbox_id if session.view is not None else None
    mailbox_id = None
    if selected is not None:
        mailbox_id = (await session.store.find_mailbox(place.account_id, place.name)).mailbox_id
    await session.store.delete_mailbox(place.account_id, place.name)
    if mailbox_id is not None and mailbox_id == selected:
        session.deselect()  # we know; a session of somebody else hears BYE
    return ok("Mailbox deleted")


async def rename(session: Session, command: Rename) -> Reply:
    """RFC 4314 section 4: the right to remove the old name, and to make the new one."""
    old = await session.places.find(command.old, "x")
    new = await session.places.new(command.new, "k")
    if old.account_id != new.account_id:
        raise MailboxNameRefused("a mailbox cannot be given to somebody else; its messages can")
    if old.shared is not None and old.name == INBOX:
        raise MailboxNameRefused("this name is the directory's")
    await session.store.rename_mailbox(old.account_id, old.name, new.name)
    return ok("Mailbox renamed")


async def subscribe(session: Session, command: Subscribe) -> Reply:
    """Each person has their own subscriptions, also to what is shared."""
    place = await session.places.find(command.mailbox, "l")
    # RFC 3501 section 6.3.6 allows the check; without it names could be piled up without end.
    await session.store.find_mailbox(place.account_id, place.name)
    await session.store.set_subscribed(session.account_id, command.mailbox, True)
    return ok("Subscribed")


async def unsubscribe(session: Session, command: Unsubscribe) -> Reply:
    await session.store.set_subscribed(session.account_id, command.mailbox, False)
    return ok("Unsubscribed")
