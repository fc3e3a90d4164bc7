"""LIST and LSUB: which names are told with which attributes.

Owns the tree that follows from the names: parents that hold children but are no mailbox
(``\\Noselect``), ``\\HasChildren``, special uses (RFC 6154) of one's own mailboxes: no client is to
take a group's Sent for its owner's. Linear in the number of names. Who shares what is asked only
where a pattern could mean it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from gateway.core.errors import DirectoryUnavailable
from gateway.core.mailboxes import SEPARATOR, ListedMailbox
from gateway.core.shared_mailboxes import SharedMailbox
from gateway.edge.imap.errors import Reply, no, ok
from gateway.edge.imap.places import INBOX, may_mean_shared, shown_name
from gateway.edge.imap.session import Session
from gateway.wire.imap import replies
from gateway.wire.imap.commands import List
from gateway.wire.imap.listmatch import matching

Matches = Callable[[str], bool]


async def list_mailboxes(session: Session, command: List) -> Reply:
    if command.patterns == ("",):
        # RFC 3501 section 6.3.8: what separates levels, and the root's name.
        session.peer.send(replies.list_separator(subscribed=command.subscribed))
        return ok("Separator told")
    listed = await session.store.list_mailboxes(session.account_id)
    trouble = False
    if _wants_shared(session, command):
        try:
            listed = await _with_shared(session, listed)
        except DirectoryUnavailable:
            trouble = True
    patterns = matching(command.patterns, command.reference)

    def matches(name: str) -> bool:
        return any(pattern.matches(name) for pattern in patterns)

    if command.subscribed:
        lines = _subscribed_lines(listed, matches)
    else:
        lines = _lines(listed, matches, with_subscribed="SUBSCRIBED" in command.return_options)
    session.peer.send(b"".join(lines))
    if trouble:
        # Not OK: a client would forget what it has of mailboxes that seem to be gone.
        return no("Shared mailboxes cannot be told at the moment", "UNAVAILABLE")
    return ok("Mailboxes listed")


def _wants_shared(session: Session, command: List) -> bool:
    """Subscriptions are one's own, and need nobody's word."""
    return (
        session.places.has_shared
        and not command.subscribed
        and any(may_mean_shared(command.reference + each) for each in command.patterns)
    )


async def _with_shared(session: Session, own: Iterable[ListedMailbox]) -> Sequence[ListedMailbox]:
    """Raises: DirectoryUnavailable."""
    shared = await session.places.shared()
    names = {each.name: each for each in own}
    subscribed = {each.name for each in names.values() if each.subscribed}
    for mailbox in shared:
        if "l" not in mailbox.rights:
            continue
        top = shown_name(mailbox, INBOX)
        # Of the same name, and hidden by it; what is subscribed stays so.
        for name in [each for each in names if (each + SEPARATOR).startswith(top + SEPARATOR)]:
            names[name] = ListedMailbox(name, "", name in subscribed, exists=False)
        for name in await _names_in(session, mailbox):
            names[name] = ListedMailbox(name, "", name in subscribed)
    return list(names.values())


async def _names_in(session: Session, mailbox: SharedMailbox) -> list[str]:
    listed = await session.store.list_mailboxes(mailbox.account.account_id)
    return [shown_name(mailbox, each.name) for each in listed if each.exists]


def _lines(
    listed: Iterable[ListedMailbox], matches: Matches, *, with_subscribed: bool
) -> Iterator[bytes]:
    existing = {mailbox.name: mailbox for mailbox in listed if mailbox.exists}
    subscribed = {mailbox.name for mailbox in listed if mailbox.subscribed}
    parents = {parent for name in existing for parent in _parents(name)}
    for name in sorted(existing.keys() | parents):
        if not matches(name):
            continue
        attributes = ["\\HasChildren" if name in parents else "\\HasNoChildren"]
        mailbox = existing.get(name)
        if mailbox is None:
            attributes.append("\\Noselect")
        elif mailbox.special_use:
            attributes.append(mailbox.special_use)
        if with_subscribed and name in subscribed:
            attributes.append("\\Subscribed")  # RFC 5258 section 3.2
        yield replies.list_line(name, attributes)


def _subscribed_lines(listed: Iterable[ListedMailbox], matches: Matches) -> Iterator[bytes]:
    """RFC 3501 section 6.3.9: a parent stands in for subscribed children that ``%`` cut off."""
    subscribed = {mailbox.name for mailbox in listed if mailbox.subscribed}
    stand_ins = {
        parent
        for name in subscribed
        if not matches(name)
        for parent in _parents(name)
        if parent not in subscribed and matches(parent)
    }
    for name in sorted(subscribed | stand_ins):
        if name in stand_ins:
            yield replies.list_line(name, ["\\Noselect"], subscribed=True)
        elif matches(name):
            yield replies.list_line(name, [], subscribed=True)


def _parents(name: str) -> Iterator[str]:
    end = name.rfind(SEPARATOR)
    while end > 0:
        yield name[:end]
        end = name.rfind(SEPARATOR, 0, end)
