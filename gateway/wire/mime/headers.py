"""A header block: where it ends, its fields, their values unfolded.

Owns the split of octets into fields (RFC 5322 section 2.2, obsolete syntax of 4.5 accepted) and
never decodes or changes octets. A header ends at the first empty line, which belongs to it, or
before the first line that is neither a field nor a continuation: that line opens the body, so no
octet is ever lost. Lines end with LF (CRLF or bare); a bare CR is an ordinary octet. A leading
mbox ``From `` line is skipped. Every function is linear in the octets of the header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

from gateway.wire.mime.budget import MAX_FIELD_OCTETS, Budget
from gateway.wire.mime.octets import Octets

HEADER_STEP_OCTETS = 1024  # what most headers of parts fit into

# field = field-name ":" unstructured CRLF; obs-optional = field-name *WSP ":" unstructured CRLF
_FIELD = re.compile(rb"([!-9;-~]*+)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*)(?:\n|\Z)")
# All of them in one search, ten times as fast where only their end is asked for.
_FIELDS = re.compile(rb"(?:[!-9;-~]*+[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z))*+")
_MBOX_LINE = re.compile(rb">?From [^\n]*+(?:\n|\Z)")

# Fields whose repetition is read as one longer list, so that no reader sees a sender that another
# one has not checked.
_MERGED = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: ``start`` to ``end`` with its line end, raw value in between."""

    name: bytes
    start: int
    value_start: int
    value_end: int
    end: int


def unfold(value: bytes) -> bytes:
    """A raw value without its line ends and outer blanks (RFC 5322 section 2.2.3)."""
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip(b" \t\r")


def iter_fields(octets: bytes) -> Iterator[Field]:
    """The fields of the header that the octets begin with, names in lower case."""
    position = _after_mbox_line(octets, 0)
    while (found := _FIELD.match(octets, position)) is not None:
        value_start, value_end = found.span(2)
        yield Field(found[1].lower(), position, value_start, value_end, found.end())
        position = found.end()


def pick_fields(
    octets: bytes, names: Container[bytes], *, exclude: bool
) -> tuple[list[bytes], int]:
    """The fields of these names (lower case), or with ``exclude`` all others, and the empty line.

    The offset is that of the body, as from ``header_end``. This is ``iter_fields`` without a value
    made for each field: a mailbox is listed by the million of them.
    """
    picked: list[bytes] = []
    match = _FIELD.match
    position = _after_mbox_line(octets, 0)
    while (found := match(octets, position)) is not None:
        if (found[1].lower() in names) is not exclude:
            picked.append(found[0])
        position = found.end()
    end = _after_empty_line(octets, position)
    if end > position:
        picked.append(octets[position:end])
    return picked, end


def header_end(octets: bytes) -> int:
    """The offset of the body: behind the empty line, or where the fields stop."""
    fields = _FIELDS.match(octets, _after_mbox_line(octets, 0))
    assert fields is not None, "it also matches nothing"
    return _after_empty_line(octets, fields.end())


def header_end_at(message: Octets) -> int:
    """As ``header_end``, of a message that need not be in memory."""
    length = HEADER_STEP_OCTETS
    while True:
        piece = message[:length]
        end = header_end(piece)
        if length >= len(message) or _is_whole(piece, end):
            return end
        length *= 4


def ends_within(start: bytes, end: int) -> bool:
    """Whether the header of a message surely ends at ``end``, going by its first octets alone.

    ``end`` is what ``header_end`` says of them. Behind it must be a whole line, since one that is
    cut off could still turn out to be a field or a continuation.
    """
    return start.find(b"\n", end) >= 0


def read_header(
    message: bytes,
    start: int,
    wanted: Container[bytes],
    budget: Budget,
    is_delimiter: Callable[[int], bool] | None = None,
) -> tuple[dict[bytes, bytes], int]:
    """Unfolded values of the wanted fields, and the offset of the body.

    The first field of a name counts; address fields that are repeated are joined.

    Args:
        wanted: names in lower case.
        is_delimiter: tells whether a boundary delimiter begins at an offset; it ends the header
            even when it looks like a field (a boundary may hold a colon).

    Raises:
        Overrun: more fields than the budget has left.
    """
    fields: dict[bytes, bytes] = {}
    repeated: dict[bytes, list[bytes]] = {}
    match = _FIELD.match
    position = _after_mbox_line(message, start)
    count = 0
    while (found := match(message, position)) is not None:
        if (
            is_delimiter is not None
            and message.startswith(b"--", position)
            and is_delimiter(position)
        ):
            budget.spend_fields(count)
            return _joined(fields, repeated), position
        name = found[1].lower()
        if name in wanted:
            value_start, value_end = found.span(2)
            value = unfold(message[value_start : min(value_end, value_start + MAX_FIELD_OCTETS)])
            if value_end - value_start > MAX_FIELD_OCTETS and name in _MERGED:
                value = value[: value.rfind(b",") + 1]  # no half address
            if name not in fields:
                fields[name] = value
            elif name in _MERGED:
                repeated.setdefault(name, [fields[name]]).append(value)
        position = found.end()
        count += 1
        if count > budget.fields:
            break
    budget.spend_fields(count)
    return _joined(fields, repeated), _after_empty_line(message, position)


def read_header_at(
    message: Octets,
    start: int,
    wanted: Container[bytes],
    budget: Budget,
    is_delimiter: Callable[[int], bool] | None = None,
) -> tuple[dict[bytes, bytes], int]:
    """As ``read_header``, of a message that need not be in memory.

    So much of it is read at once that the header surely ends there; four times as much each time,
    so that a long header is read a bounded number of times.
    """
    if isinstance(message, bytes):
        return read_header(message, start, wanted, budget, is_delimiter)
    length = HEADER_STEP_OCTETS
    while True:
        piece = message[start : start + length]
        left = Budget(fields=budget.fields)
        fields, end = read_header(
            piece,
            0,
            wanted,
            left,
            None if is_delimiter is None else lambda at: is_delimiter(start + at),
        )
        if start + length >= len(message) or _is_whole(piece, end):
            budget.fields = left.fields
            return fields, start + end
        length *= 4


def _is_whole(piece: bytes, end: int) -> bool:
    """Whether the header surely ends at ``end``, whatever follows the piece."""
    return ends_within(piece, end) or piece[:end].endswith((b"\n\r\n", b"\n\n"))


def _joined(fields: dict[bytes, bytes], repeated: dict[bytes, list[bytes]]) -> dict[bytes, bytes]:
    for name, values in repeated.items():
        fields[name] = b", ".join(values)[:MAX_FIELD_OCTETS]
    return fields


def _after_mbox_line(octets: bytes, position: int) -> int:
    found = _MBOX_LINE.match(octets, position)
    return found.end() if found is not None else position


def _after_empty_line(octets: bytes, position: int) -> int:
    if octets.startswith(b"\r\n", position):
        return position + 2
    if octets.startswith(b"\n", position):
        return position + 1
    return position
