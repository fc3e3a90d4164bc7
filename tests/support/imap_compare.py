"""Two servers' answers about one message, brought to a form in which equal meanings are equal.

Owns the differences that hold for every message and mean nothing, each with its reason; what is
peculiar to some messages is the tests' own table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.support.imap_talk import Value

# Dovecot names what an address lacks; the grammar's empty string says the same.
_PLACEHOLDERS = (b"MISSING_MAILBOX", b"MISSING_DOMAIN", b"SYNTAX_ERROR")

_CHARSET_DEFAULT: list[Value] = [b"charset", b"us-ascii"]


def items(value: Value) -> list[Value]:
    assert isinstance(value, list), value
    return value


def text(value: Value) -> bytes:
    assert isinstance(value, bytes), value
    return bytes(value)


def envelope(value: Value) -> Value:
    """Header text with its blanks made one (RFC 5322 section 2.2.3 leaves room when unfolding)."""
    if isinstance(value, list):
        return [envelope(inner) for inner in value]
    if value is None or value in _PLACEHOLDERS:
        return value and b""
    return b" ".join(value.split())


def date(value: Value) -> datetime:
    """The moment of an INTERNALDATE, whatever its zone."""
    return datetime.strptime(text(value).decode().strip(), "%d-%b-%Y %H:%M:%S %z")


def body(value: Value) -> Value:
    """A BODY or BODYSTRUCTURE: words compare without case, a charset may be told or implied."""
    fields = items(value)
    if isinstance(fields[0], list):
        count = sum(1 for _ in _children(fields))
        rest = fields[count:]
        shown: list[Value] = [body(child) for child in fields[:count]]
        extension = [_parameters(value) for value in rest[1:2]]
        return [*shown, text(rest[0]).lower(), *extension, *map(_disposition, rest[2:])]
    main, sub, encoding = (text(fields[index]).lower() for index in (0, 1, 5))
    shown = [main, sub, _parameters(fields[2]), envelope(fields[3]), envelope(fields[4])]
    shown += [encoding, fields[6]]
    rest = fields[7:]
    if (main, sub) == (b"message", b"rfc822"):
        shown += [envelope(rest[0]), body(rest[1])]
        rest = rest[2:]
    return [*shown, *map(_disposition, rest)]


def _disposition(value: Value) -> Value:
    """The kind of a disposition in lower case; anything else as it is."""
    match value:
        case [bytes(kind), (None | list()) as parameters]:
            return [kind.lower(), _parameters(parameters)]
    return value


def _parameters(value: Value) -> Value:
    """Names in lower case, in the order sent; no charset means US-ASCII."""
    pairs = items(value or [])
    shown: list[Value] = []
    for name, setting in zip(pairs[::2], pairs[1::2], strict=True):
        pair: list[Value] = [text(name).lower(), envelope(setting)]
        if pair != _CHARSET_DEFAULT:
            shown += pair
    return shown


def _children(fields: list[Value]) -> Iterator[list[Value]]:
    for field in fields:
        if not isinstance(field, list):
            return
        yield field


def part_paths(structure: Value, path: str = "") -> Iterator[tuple[str, bool]]:
    """Every part number of a BODY, with whether the part is a message."""
    fields = items(structure)
    if not isinstance(fields[0], list):
        yield from _leaf(fields, f"{path}1")
        return
    for number, child in enumerate(_children(fields), 1):
        place = f"{path}{number}"
        if isinstance(child[0], list):
            yield place, False
            yield from part_paths(child, f"{place}.")
        else:
            yield from _leaf(child, place)


def _leaf(fields: list[Value], place: str) -> Iterator[tuple[str, bool]]:
    kind = (text(fields[0]).lower(), text(fields[1]).lower())
    is_message = kind == (b"message", b"rfc822")
    yield place, is_message
    if is_message:
        yield from part_paths(fields[8], f"{place}.")
