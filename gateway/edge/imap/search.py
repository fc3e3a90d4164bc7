"""SEARCH and UID SEARCH (RFC 3501 section 6.4.4).

Owns the translation of sequence numbers to UIDs before the search and back after it; the store
evaluates. Answers only with messages that the client knows of.
"""

from __future__ import annotations

from bisect import bisect_right

from gateway.core.uidset import Ranges
from gateway.edge.imap.errors import Reply, ok
from gateway.edge.imap.session import Session
from gateway.wire.imap.commands import Search
from gateway.wire.imap.replies import search_line
from gateway.wire.imap.search import resolve
from gateway.wire.imap.sequence import MAX_NUMBER, SequenceSet


async def search(session: Session, command: Search) -> Reply:
    view = session.selected

    def to_uids(numbers: SequenceSet, uid: bool) -> Ranges:
        return view.uid_ranges(view.spans_of(numbers, uid=uid))

    key = resolve(command.key, to_uids, ((view.recent_from, MAX_NUMBER),))
    found = await session.store.search(view.mailbox_id, key)
    # Newer messages than the client was told of come with the next EXISTS.
    known = found[: bisect_right(found, view.uids.last)]
    session.peer.send(search_line(known if command.uid else view.seqs_of(known)))
    await session.peer.writable()
    return ok("Searched")
