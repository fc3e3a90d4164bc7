"""The items of FETCH (RFC 3501 section 6.4.5, ``fetch-att`` in section 9).

Owns their grammar and the item names for replies, which are built anew from checked tokens and
never copied from the client's octets (SECURITY I16).

Limits: number of items and header field names from the reader's limits; 100 levels in a part path;
128 octets a header field name.
"""

from __future__ import annotations

import re

from gateway.wire.imap.fetch_items import BodySection, FetchAttribute, FetchItem, SectionText
from gateway.wire.imap.lexer import Cursor, Refusal
from gateway.wire.imap.sequence import MAX_NUMBER

MAX_PART_LEVELS = 100
MAX_FIELD_NAME_OCTETS = 128

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PART = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+")
_TEXT = re.compile(rb"[A-Za-z][A-Za-z.]*")
# partial: "<" number "." nz-number ">"
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([1-9][0-9]{0,9})>")
# RFC 5322 section 3.6.8, ftext: a name with other octets is in no message.
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,%d}" % MAX_FIELD_NAME_OCTETS)
_PLAIN_FIELD_NAME = re.compile(rb'[^(){%*"\\]+')

_ATTRIBUTES = {attribute.value: attribute for attribute in FetchAttribute}
_A = FetchAttribute

_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": (_A.FLAGS, _A.INTERNALDATE, _A.RFC822_SIZE),
    b"ALL": (_A.FLAGS, _A.INTERNALDATE, _A.RFC822_SIZE, _A.ENVELOPE),
    b"FULL": (_A.FLAGS, _A.INTERNALDATE, _A.RFC822_SIZE, _A.ENVELOPE, _A.BODY),
}

# RFC 3501 section 6.4.5: the same as sections of BODY, under their own names.
_RFC822: dict[bytes, BodySection] = {
    b"RFC822": BodySection("", SectionText.WHOLE, (), None, peek=False, label=b"RFC822"),
    b"RFC822.HEADER": BodySection(
        "", SectionText.HEADER, (), None, peek=True, label=b"RFC822.HEADER"
    ),
    b"RFC822.TEXT": BodySection("", SectionText.TEXT, (), None, peek=False, label=b"RFC822.TEXT"),
}

_FIELD_TEXTS = (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


def parse(cursor: Cursor, *, uid: bool) -> tuple[FetchItem, ...]:
    """What follows the set, up to the command's end. With ``uid``, UID is asked for anyway."""
    items: dict[FetchItem, None] = {}  # keeps the order, drops repeats (SECURITY I8)
    if uid:
        items[FetchAttribute.UID] = None  # RFC 3501 section 6.4.8
    if cursor.skip(b"("):
        budget = cursor.limits.fetch_items
        while True:
            item = _item(cursor)
            budget -= 1 + (len(item.fields) if isinstance(item, BodySection) else 0)
            if budget < 0:
                raise Refusal("too many items", "LIMIT", "NO")
            items[item] = None
            if not cursor.skip(b" "):
                break
        cursor.expect(b")", "list of items is broken")
    else:
        start = cursor.position
        macro = _MACROS.get(_word(cursor))
        if macro is not None:
            items.update(dict.fromkeys(macro))
        else:
            cursor.position = start
            items[_item(cursor)] = None
    cursor.end()
    return tuple(items)


def _word(cursor: Cursor) -> bytes:
    match = _NAME.match(cursor.data, cursor.position)
    if match is None:
        raise Refusal("an item is missing")
    cursor.position = match.end()
    return match[0].upper()


def _item(cursor: Cursor) -> FetchItem:
    word = _word(cursor)
    if cursor.peek(b"["):
        if word not in (b"BODY", b"BODY.PEEK"):
            raise Refusal("item not known")
        return _section(cursor, peek=word == b"BODY.PEEK")
    item = _ATTRIBUTES.get(word) or _RFC822.get(word)
    if item is None:
        raise Refusal("item not known")
    return item


def _section(cursor: Cursor, *, peek: bool) -> BodySection:
    """``"[" [section-spec] "]" ["<" number "." nz-number ">"]``"""
    cursor.position += 1
    part = ""
    match = _PART.match(cursor.data, cursor.position)
    if match is not None:
        cursor.position = match.end()
        part = _part_path(match[0])
    what = SectionText.WHOLE
    names: list[bytes] = []
    if not cursor.peek(b"]") and (not part or cursor.skip(b".")):
        what = _section_text(cursor, part)
        if what in _FIELD_TEXTS:
            cursor.space()
            names = _field_names(cursor)
    cursor.expect(b"]", "section is broken")
    partial = _partial(cursor) if cursor.peek(b"<") else None
    return BodySection(
        part,
        what,
        tuple({name.lower(): name.decode("ascii") for name in names}.values()),
        partial,
        peek,
        _label(part, what, names, partial),
    )


def _part_path(text: bytes) -> str:
    numbers = text.split(b".", MAX_PART_LEVELS)
    if len(numbers) > MAX_PART_LEVELS or any(int(number) > MAX_NUMBER for number in numbers):
        raise Refusal("part number is broken")
    return text.decode("ascii")


def _section_text(cursor: Cursor, part: str) -> SectionText:
    match = _TEXT.match(cursor.data, cursor.position)
    word = match[0].upper().decode("ascii") if match else ""
    try:
        what = SectionText(word)
    except ValueError:
        raise Refusal("section is broken") from None
    # RFC 3501 section 6.4.5: MIME needs a part number before it.
    if match is None or (what is SectionText.MIME and not part):
        raise Refusal("section is broken")
    cursor.position = match.end()
    return what


def _field_names(cursor: Cursor) -> list[bytes]:
    cursor.expect(b"(", "a list of header fields is missing")
    names: list[bytes] = []
    while True:
        name = cursor.astring()
        if not _FIELD_NAME.fullmatch(name):
            raise Refusal("header field name is broken")
        names.append(name)
        if len(names) > cursor.limits.fetch_items:
            raise Refusal("too many header fields", "LIMIT", "NO")
        if not cursor.skip(b" "):
            break
    cursor.expect(b")", "list of header fields is broken")
    return names


def _partial(cursor: Cursor) -> tuple[int, int]:
    match = _PARTIAL.match(cursor.data, cursor.position)
    if match is None:
        raise Refusal("partial range is broken")
    origin, count = int(match[1]), int(match[2])
    if origin > MAX_NUMBER or count > MAX_NUMBER:
        raise Refusal("partial range is broken")
    cursor.position = match.end()
    return origin, count


def _label(
    part: str, what: SectionText, names: list[bytes], partial: tuple[int, int] | None
) -> bytes:
    """``BODY[section]`` with ``<origin>`` for a partial one (RFC 3501 section 7.4.2)."""
    section = ".".join(piece for piece in (part, what.value) if piece).encode("ascii")
    if names:
        section += b" (%b)" % b" ".join(map(_field_name_label, names))
    return b"BODY[%b]" % section + (b"<%d>" % partial[0] if partial else b"")


def _field_name_label(name: bytes) -> bytes:
    if _PLAIN_FIELD_NAME.fullmatch(name):
        return name
    return b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
