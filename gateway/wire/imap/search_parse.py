"""The SEARCH command's keys (RFC 3501 section 6.4.4 and ``search-key`` in section 9).

Owns the grammar. Works on a stack of its own, so that depth costs no recursion (SECURITY I6).
Sequence sets stay unresolved and ranges unexpanded.

Limits: nesting and number of keys from the reader's limits. Charsets: US-ASCII and UTF-8. Without
CHARSET, UTF-8 is taken as well (deliberate leniency: clients leave it out).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.core import search as core
from gateway.wire.imap import dates, flags
from gateway.wire.imap.lexer import Cursor, Refusal
from gateway.wire.imap.search import And, InSet, Not, Or, Recent, WireKey

CHARSETS = ("US-ASCII", "UTF-8")

_SET_START = tuple(b"*123456789"[i : i + 1] for i in range(10))

_SIMPLE: dict[str, WireKey] = {
    "ALL": core.All(),
    "ANSWERED": core.HasFlag("\\Answered"),
    "DELETED": core.HasFlag("\\Deleted"),
    "DRAFT": core.HasFlag("\\Draft"),
    "FLAGGED": core.HasFlag("\\Flagged"),
    "SEEN": core.HasFlag("\\Seen"),
    "UNANSWERED": Not(core.HasFlag("\\Answered")),
    "UNDELETED": Not(core.HasFlag("\\Deleted")),
    "UNDRAFT": Not(core.HasFlag("\\Draft")),
    "UNFLAGGED": Not(core.HasFlag("\\Flagged")),
    "UNSEEN": Not(core.HasFlag("\\Seen")),
    "RECENT": Recent(),
    "NEW": And((Recent(), Not(core.HasFlag("\\Seen")))),
    "OLD": Not(Recent()),
}


def _date(
    field: Literal["internal", "sent"], comparison: Literal["<", "=", ">="]
) -> Callable[[Cursor], WireKey]:
    def parse(cursor: Cursor) -> WireKey:
        text = cursor.string() if cursor.peek(b'"') else cursor.atom("a date is missing")
        day = dates.parse_date(text)
        if day is None:
            raise Refusal("a date is broken")
        return core.DateIs(field, comparison, day)

    return parse


def _header(name: str) -> Callable[[Cursor], WireKey]:
    return lambda cursor: core.HeaderHas(name, _text(cursor))


def _any_header(cursor: Cursor) -> WireKey:
    name = _text(cursor)
    cursor.space()
    return core.HeaderHas(name, _text(cursor))


def _size(comparison: Literal["<", ">"]) -> Callable[[Cursor], WireKey]:
    return lambda cursor: core.SizeIs(comparison, cursor.number())


_WITH_ARGUMENT: dict[str, Callable[[Cursor], WireKey]] = {
    "BCC": _header("Bcc"),
    "CC": _header("Cc"),
    "FROM": _header("From"),
    "SUBJECT": _header("Subject"),
    "TO": _header("To"),
    "HEADER": _any_header,
    "BODY": lambda cursor: core.TextHas(_text(cursor), with_header=False),
    "TEXT": lambda cursor: core.TextHas(_text(cursor), with_header=True),
    "BEFORE": _date("internal", "<"),
    "ON": _date("internal", "="),
    "SINCE": _date("internal", ">="),
    "SENTBEFORE": _date("sent", "<"),
    "SENTON": _date("sent", "="),
    "SENTSINCE": _date("sent", ">="),
    "LARGER": _size(">"),
    "SMALLER": _size("<"),
    "KEYWORD": lambda cursor: core.HasFlag(flags.parse_keyword(cursor)),
    "UNKEYWORD": lambda cursor: Not(core.HasFlag(flags.parse_keyword(cursor))),
    "UID": lambda cursor: InSet(cursor.sequence_set(), uid=True),
}


def _text(cursor: Cursor) -> str:
    try:
        return cursor.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("search text is not UTF-8") from None


class _Open:
    """A key that still waits for inner keys: a list, NOT or OR."""

    __slots__ = ("keys", "kind")

    def __init__(self, kind: Literal["(", "NOT", "OR"]) -> None:
        self.kind = kind
        self.keys: list[WireKey] = []

    def complete(self) -> WireKey | None:
        """The finished key of a NOT or OR that has all it needs; a list is closed by ``)``."""
        if self.kind == "NOT" and self.keys:
            return Not(self.keys[0])
        if self.kind == "OR" and len(self.keys) == 2:
            return Or(self.keys[0], self.keys[1])
        return None


def parse(cursor: Cursor) -> WireKey:
    """``["CHARSET" SP astring SP] search-key *(SP search-key)`` up to the command's end."""
    _charset(cursor)
    limits = cursor.limits
    bottom = _Open("(")
    stack = [bottom]
    count = 0
    while True:
        count += 1
        if count > limits.search_keys:
            raise Refusal("too many search keys", "LIMIT", "NO")
        opened = _opening(cursor)
        if opened is not None:
            if len(stack) > limits.nesting:
                raise Refusal("search keys are nested too deeply")
            stack.append(opened)
            continue
        _add(stack, _leaf(cursor))
        while len(stack) > 1 and stack[-1].kind == "(" and cursor.skip(b")"):
            _add(stack, _all_of(stack.pop().keys))
        if cursor.at_end():
            break
        cursor.space()
    if len(stack) > 1:
        raise Refusal("search key is incomplete")
    return _all_of(bottom.keys)


def _charset(cursor: Cursor) -> None:
    start = cursor.position
    if not cursor.peek(b"(") and cursor.data[start : start + 8].upper() == b"CHARSET ":
        cursor.position = start + 8
        if cursor.astring().decode("latin-1").upper() not in CHARSETS:
            raise Refusal("charset not known", f"BADCHARSET ({' '.join(CHARSETS)})", "NO")
        cursor.space()


def _opening(cursor: Cursor) -> _Open | None:
    if cursor.skip(b"("):
        return _Open("(")
    start = cursor.position
    if cursor.data[start : start + 4].upper() == b"NOT ":
        cursor.position = start + 4
        return _Open("NOT")
    if cursor.data[start : start + 3].upper() == b"OR ":
        cursor.position = start + 3
        return _Open("OR")
    return None


def _add(stack: list[_Open], key: WireKey) -> None:
    """Give a finished key to the innermost open one, and so on outwards while that completes."""
    stack[-1].keys.append(key)
    while (finished := stack[-1].complete()) is not None:
        stack.pop()
        stack[-1].keys.append(finished)


def _all_of(keys: list[WireKey]) -> WireKey:
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def _leaf(cursor: Cursor) -> WireKey:
    if cursor.data.startswith(_SET_START, cursor.position):
        return InSet(cursor.sequence_set(), uid=False)
    word = cursor.keyword("a search key is missing")
    simple = _SIMPLE.get(word)
    if simple is not None:
        return simple
    argument = _WITH_ARGUMENT.get(word)
    if argument is None:
        raise Refusal("search key not known")
    cursor.space()
    return argument(cursor)
