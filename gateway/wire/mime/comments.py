"""Comments of structured fields (RFC 5322 section 3.2.2), found without recursion.

Owns finding and removing them; never judges what is around. Nesting is only counted, so its depth
costs nothing (SECURITY F5). A comment that is never closed is not one: its ``(`` is ordinary text.
"""

from __future__ import annotations

import re

_MARK = re.compile(rb"\\.|[()]", re.DOTALL)
# Text, quoted-pair, quoted-string, anything else alone. A quote that never closes is met at most
# once, because quoted pairs are stepped over in the same places behind it.
_TOKEN = re.compile(rb'[^"()\\]++|\\.|"[^"\\]*+(?:\\.[^"\\]*+)*"|[()"\\]', re.DOTALL)


def comment_end(value: bytes, start: int) -> int:
    """The offset behind the comment that opens at ``start``; -1 if it never closes."""
    depth = 0
    for found in _MARK.finditer(value, start):
        mark = found[0]
        if mark == b"(":
            depth += 1
        elif mark == b")":
            depth -= 1
            if depth == 0:
                return found.end()
    return -1


def strip_comments(value: bytes, *, after_blank_only: bool = False) -> bytes:
    """The value with each comment replaced by a blank; quoted-strings stay as they are.

    Args:
        after_blank_only: leave ``name(1).pdf`` alone, which is what senders who forget the quotes
            mean, and take only a ``(`` behind a blank, a semicolon or nothing for a comment.
    """
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    position = 0
    closable = True
    while (found := _TOKEN.match(value, position)) is not None:
        token = found[0]
        if (
            token == b"("
            and closable
            and (not after_blank_only or position == 0 or value[position - 1] in b" \t;")
        ):
            end = comment_end(value, position)
            if end >= 0:
                kept.append(b" ")
                position = end
                continue
            closable = False  # looked for once: searching again for each one would be quadratic
        kept.append(token)
        position = found.end()
    return b"".join(kept)
