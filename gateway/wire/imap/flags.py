"""Flags in commands (RFC 3501 section 9, ``flag`` and ``flag-list``).

Owns their syntax and the one spelling of system flags. Keywords keep the client's spelling.

Limits: 128 octets a flag.
"""

from __future__ import annotations

from gateway.core.messages import SYSTEM_FLAGS, Flags
from gateway.wire.imap.lexer import Cursor, Refusal

MAX_FLAG_OCTETS = 128

_CANONICAL = {flag.upper(): flag for flag in SYSTEM_FLAGS}


def parse_flag(cursor: Cursor) -> str | None:
    """One flag; None for \\Recent.

    Deliberate leniency: \\Recent, which no client may set (section 2.3.2), is dropped rather than
    refused, because programs that copy mail put back what FETCH gave them.
    """
    if not cursor.skip(b"\\"):
        return parse_keyword(cursor)
    name = "\\" + cursor.keyword("a flag is missing")
    if name == "\\RECENT":
        return None
    flag = _CANONICAL.get(name)
    if flag is None:
        raise Refusal("no such system flag")
    return flag


def parse_keyword(cursor: Cursor) -> str:
    """flag-keyword = atom"""
    keyword = cursor.atom("a flag is missing")
    if len(keyword) > MAX_FLAG_OCTETS:
        raise Refusal("keyword too long", "LIMIT", "NO")
    return keyword.decode("ascii")


def parse_flag_list(cursor: Cursor) -> Flags:
    """flag-list = "(" [flag *(SP flag)] ")" """
    cursor.expect(b"(", "a list of flags is missing")
    if cursor.skip(b")"):
        return frozenset()
    return _flags(cursor, b")")


def parse_store_flags(cursor: Cursor) -> Flags:
    """STORE also takes flags without parentheses: flag-list / (flag *(SP flag))."""
    if cursor.peek(b"("):
        return parse_flag_list(cursor)
    return _flags(cursor, b"")


def _flags(cursor: Cursor, closing: bytes) -> Flags:
    flags = {parse_flag(cursor)}
    while cursor.skip(b" "):
        flags.add(parse_flag(cursor))
    if closing:
        cursor.expect(closing, "list of flags is broken")
    return frozenset(flag for flag in flags if flag is not None)
