"""STORE and UID STORE (RFC 3501 section 6.4.6).

Owns what the client hears of its own change: every message's flags, or with .SILENT nothing, as
long as nobody else changed the same message.

Limits: with .SILENT, if a change of somebody else commits between our last look and our own commit
and ours changes nothing, their change of a message in the set can stay untold until the next one.
"""

from __future__ import annotations

from typing import Literal

from gateway.core.mailboxes import ChangedFlags
from gateway.core.messages import Flags
from gateway.core.uids import Spans
from gateway.edge.imap.errors import Reply, no, ok
from gateway.edge.imap.news import keyword_lines
from gateway.edge.imap.session import Session
from gateway.wire.imap import fetch_replies
from gateway.wire.imap.commands import Store, StoreMode

_MODES: dict[StoreMode, Literal["set", "add", "remove"]] = {
    StoreMode.REPLACE: "set",
    StoreMode.ADD: "add",
    StoreMode.REMOVE: "remove",
}


async def store_flags(session: Session, command: Store) -> Reply:
    view = session.selected
    spans = view.spans_of(command.numbers, uid=command.uid)
    if not spans:
        return ok("No messages to change")
    if command.silent:
        # What others did before must not be taken for ours and left out.
        await session.refresh()
        await session.tell(may_expunge=False)
    before = view.highest_modseq
    mode = _MODES[command.mode]
    modseq = await session.store.store_flags(
        view.mailbox_id, view.uid_ranges(spans), mode, command.flags
    )
    if not command.silent:
        return await _tell_flags(session, command, spans)
    await session.refresh(now=True)

    def ours(change: ChangedFlags) -> bool:
        if mode == "set":
            return change.flags == command.flags
        # One commit since we looked: that was ours.
        if change.modseq != modseq or modseq != before + 1:
            return False
        return _agrees(change.flags, command)

    view.mute(spans, ours)
    return ok("Flags changed")


def _agrees(flags: Flags, command: Store) -> bool:
    if command.mode is StoreMode.ADD:
        return command.flags <= flags
    return command.flags.isdisjoint(flags)


async def _tell_flags(session: Session, command: Store, spans: Spans) -> Reply:
    """FETCH responses for all messages named, whether they changed or not."""
    view = session.selected
    missing = 0
    for batch in view.batches(spans, session.services.limits.fetch_rows):
        rows = await session.store.rows(view.mailbox_id, view.uid_ranges(batch))
        missing += sum(end - start for start, end in batch) - len(rows)
        session.peer.send(keyword_lines(view, {row.flags for row in rows}))
        numbered = view.numbered(batch, rows)
        for _, row in numbered:
            view.told(row.uid, row.flags)
        session.peer.send(
            fetch_replies.flag_lines(
                (seq, row.uid if command.uid else None, row.flags, row.uid >= view.recent_from)
                for seq, row in numbered
            )
        )
        await session.peer.writable()
    if missing and not command.uid:
        return no("Some of the messages no longer exist", "EXPUNGEISSUED")  # RFC 2180 4.2.2
    return ok("Flags changed")
