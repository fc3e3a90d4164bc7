"""News of the selected mailbox as untagged replies (RFC 3501 sections 7.2.6, 7.3 and 7.4).

Owns their order: EXPUNGE, EXISTS, RECENT, then FLAGS and FETCH, so that every number is valid where
it stands. Rendering only; ``view`` decides what is news.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from gateway.core.messages import SYSTEM_FLAGS, Flags
from gateway.edge.imap.view import MailboxView, News
from gateway.wire.imap import fetch_replies, replies

PIECE_LINES = 1_000
"""Lines to a piece; between pieces the peer may fall behind (back-pressure)."""


def render_news(view: MailboxView, news: News) -> Iterator[bytes]:
    """The replies, in pieces."""
    expunged = chain.from_iterable(news.expunged)
    while some := tuple(islice(expunged, PIECE_LINES)):
        yield replies.expunged(some)
    if news.exists is not None:
        yield replies.exists(news.exists)
    if news.recent is not None:
        yield replies.recent(news.recent)
    for at in range(0, len(news.flags), PIECE_LINES):
        piece = news.flags[at : at + PIECE_LINES]
        yield keyword_lines(view, {change.flags for _, change in piece})
        yield fetch_replies.flag_lines(
            (seq, None, change.flags, change.uid >= view.recent_from) for seq, change in piece
        )


def keyword_lines(view: MailboxView, seen: set[Flags]) -> bytes:
    """FLAGS and PERMANENTFLAGS anew if a keyword appears that the client was not told of."""
    if not view.learn_keywords(frozenset().union(*seen)):
        return b""
    return flags_lines(view)


def flags_lines(view: MailboxView) -> bytes:
    """Which flags can occur, and which of them can be kept (RFC 3501 section 7.1)."""
    flags = frozenset(SYSTEM_FLAGS) | view.keywords
    kept = replies.permanent_flags(
        frozenset() if view.read_only else flags, new_keywords=not view.read_only
    )
    text = "Read-only mailbox" if view.read_only else "Flags kept"
    return replies.flags_line(flags) + replies.untagged_status("OK", text, kept)
