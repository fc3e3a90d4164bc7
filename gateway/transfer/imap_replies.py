"""Replies of an IMAP server as Python's imaplib hands them over, understood.

Owns the grammar (RFC 3501 section 9) as far as LIST, NAMESPACE and FETCH need it. imaplib gives a
reply with literals as pairs of (text that ends in ``{n}``, octets) and the text behind the last.
What is not understood is ReplyNotUnderstood, never half a value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Piece = bytes | tuple[bytes, bytes]
Value = None | bytes | list["Value"]

_TOKEN = re.compile(
    rb'(?P<blank>[ \r\n]+)|(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    rb"|(?P<atom>(?:[^\s()\"{\[\]]{0,99}\[[^\]\r\n]{0,999}\](?:<\d+>)?)|\\?[^\s()\"{]+)",
    re.DOTALL,
)
_LITERAL = re.compile(rb"~?\{\d+\+?\}\Z")
MAX_DEPTH = 50


class ReplyNotUnderstood(ValueError):
    """The server's reply is not IMAP."""


class Literal(bytes):
    """Octets that came as a literal, or a quoted string."""


def values_of(pieces: Sequence[Piece]) -> list[Value]:
    """The values of one reply, nested as its parentheses.

    Raises: ReplyNotUnderstood.
    """
    stack: list[list[Value]] = [[]]
    for piece in pieces:
        if isinstance(piece, tuple):
            _read(_LITERAL.sub(b"", piece[0]), stack)
            stack[-1].append(Literal(piece[1]))
        else:
            _read(piece, stack)
    if len(stack) != 1:
        raise ReplyNotUnderstood("parentheses do not balance")
    return stack[0]


def _read(text: bytes, stack: list[list[Value]]) -> None:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ReplyNotUnderstood(repr(text[position : position + 40]))
        position = found.end()
        match found.lastgroup:
            case "open":
                if len(stack) > MAX_DEPTH:
                    raise ReplyNotUnderstood("too many parentheses")
                stack.append([])
            case "close":
                if len(stack) < 2:
                    raise ReplyNotUnderstood("parentheses do not balance")
                inner = stack.pop()
                stack[-1].append(inner)
            case "quoted":
                stack[-1].append(Literal(re.sub(rb"\\(.)", rb"\1", found["quoted"])))
            case "atom":
                stack[-1].append(None if found[0].upper() == b"NIL" else found[0])
            case _:
                continue


def replies_of(data: Sequence[Piece | None]) -> list[list[Piece]]:
    """imaplib's flat list parted into replies: one ends with the piece that is no literal."""
    replies: list[list[Piece]] = []
    current: list[Piece] = []
    for piece in data:
        if piece is None:
            continue
        current.append(piece)
        if not isinstance(piece, tuple):
            replies.append(current)
            current = []
    if current:
        replies.append(current)
    return replies


def fetched(pieces: Sequence[Piece]) -> dict[bytes, Value]:
    """The items of one FETCH reply, ``12 (UID 5 FLAGS (...))``, by upper-case name.

    Raises: ReplyNotUnderstood.
    """
    values = values_of(pieces)
    items = values[1] if len(values) == 2 else None
    if not isinstance(items, list) or len(items) % 2:
        raise ReplyNotUnderstood("a FETCH reply without a list of items")
    return {
        name.upper(): value
        for name, value in zip(items[::2], items[1::2], strict=True)
        if isinstance(name, bytes)
    }


def words_of(value: Value) -> frozenset[str]:
    """A list of flags or attributes as text."""
    if not isinstance(value, list):
        return frozenset()
    return frozenset(one.decode("ascii", "replace") for one in value if isinstance(one, bytes))
