"""FETCH: each item's value and the name it gets in the reply."""

from __future__ import annotations

import pytest

from gateway.wire.imap.commands import Fetch
from gateway.wire.imap.fetch_items import BodySection, FetchAttribute, FetchItem, SectionText
from tests.wire.imap.drive import command, refusal

A = FetchAttribute
FAST = (A.FLAGS, A.INTERNALDATE, A.RFC822_SIZE)


def items_of(text: bytes) -> tuple[FetchItem, ...]:
    found = command(b"a FETCH 1 " + text)
    assert isinstance(found, Fetch)
    return found.items


def section(
    label: bytes,
    part: str = "",
    what: SectionText = SectionText.WHOLE,
    fields: tuple[str, ...] = (),
    partial: tuple[int, int] | None = None,
    peek: bool = False,
) -> BodySection:
    return BodySection(part, what, fields, partial, peek, label)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"FLAGS", (A.FLAGS,)),
        (b"fast", FAST),
        (b"ALL", (*FAST, A.ENVELOPE)),
        (b"FULL", (*FAST, A.ENVELOPE, A.BODY)),
        (b"(UID RFC822.SIZE BODYSTRUCTURE uid)", (A.UID, A.RFC822_SIZE, A.BODYSTRUCTURE)),
        (b"BODY", (A.BODY,)),
        (b"BODY[]", (section(b"BODY[]"),)),
        (b"body.peek[]", (section(b"BODY[]", peek=True),)),
        (b"BODY[TEXT]", (section(b"BODY[TEXT]", what=SectionText.TEXT),)),
        (b"BODY[1.2]", (section(b"BODY[1.2]", "1.2"),)),
        (b"BODY[2.mime]", (section(b"BODY[2.MIME]", "2", SectionText.MIME),)),
        (b"BODY[2.HEADER]", (section(b"BODY[2.HEADER]", "2", SectionText.HEADER),)),
        (b"BODY[]<0.2048>", (section(b"BODY[]<0>", partial=(0, 2048)),)),
        (
            b"BODY.PEEK[1]<4294967295.1>",
            (section(b"BODY[1]<4294967295>", "1", partial=(4294967295, 1), peek=True),),
        ),
        (
            b"BODY.PEEK[HEADER.FIELDS (From to FROM)]",
            (
                section(
                    b"BODY[HEADER.FIELDS (From to FROM)]",
                    what=SectionText.HEADER_FIELDS,
                    fields=("FROM", "to"),
                    peek=True,
                ),
            ),
        ),
        (
            b'BODY[1.HEADER.FIELDS.NOT ("X(" {2+}\r\nY")]',
            (
                section(
                    b'BODY[1.HEADER.FIELDS.NOT ("X(" "Y\\"")]',
                    "1",
                    SectionText.HEADER_FIELDS_NOT,
                    ("X(", 'Y"'),
                ),
            ),
        ),
        (b"RFC822", (section(b"RFC822"),)),
        (b"RFC822.HEADER", (section(b"RFC822.HEADER", what=SectionText.HEADER, peek=True),)),
        (b"RFC822.TEXT", (section(b"RFC822.TEXT", what=SectionText.TEXT),)),
    ],
)
def test_items(text: bytes, expected: tuple[FetchItem, ...]) -> None:
    assert items_of(text) == expected


def test_uid_fetch_always_tells_the_uid() -> None:
    found = command(b"a UID FETCH 1 (BODY[] UID)")
    assert isinstance(found, Fetch)
    assert found.items == (A.UID, section(b"BODY[]"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"()", "an item is missing"),
        (b"(FLAGS", "list of items is broken"),
        (b"FLAGS UID", "unexpected text after the command"),
        (b"(FAST)", "item not known"),
        (b"(FLAGS  UID)", "an item is missing"),
        (b"FROBNICATE", "item not known"),
        (b"MODSEQ", "item not known"),
        (b"BINARY[1]", "item not known"),
        (b"RFC822[]", "item not known"),
        (b"RFC822<0.1>", "unexpected text after the command"),
        (b"BODY[", "section is broken"),
        (b"BODY[MIME]", "section is broken"),
        (b"BODY[0]", "section is broken"),
        (b"BODY[1.]", "section is broken"),
        (b"BODY[1.0]", "section is broken"),
        (b"BODY[01]", "section is broken"),
        (b"BODY[1TEXT]", "section is broken"),
        (b"BODY[TEXT.1]", "section is broken"),
        (b"BODY[4294967296]", "part number is broken"),
        (b"BODY[%b]" % b".".join([b"1"] * 101), "part number is broken"),
        (b"BODY[HEADER.FIELDS]", "syntax error"),
        (b"BODY[HEADER.FIELDS ()]", "a string is missing"),
        (b"BODY[HEADER.FIELDS (a b]", "list of header fields is broken"),
        (b'BODY[HEADER.FIELDS ("a b")]', "header field name is broken"),
        (b'BODY[HEADER.FIELDS ("")]', "header field name is broken"),
        (b"BODY[HEADER.FIELDS (a:)]", "header field name is broken"),
        (b"BODY[HEADER.FIELDS ({4+}\r\na\r\nb)]", "header field name is broken"),
        (b"BODY[HEADER.FIELDS (%b)]" % (b"a" * 129), "header field name is broken"),
        (b"BODY[HEADER (a)]", "section is broken"),
        (b"BODY[]<0.0>", "partial range is broken"),
        (b"BODY[]<0>", "partial range is broken"),
        (b"BODY[]<-1.5>", "partial range is broken"),
        (b"BODY[]<0.4294967296>", "partial range is broken"),
        (b"BODY[]<99999999999.1>", "partial range is broken"),
    ],
)
def test_broken_items_are_bad(text: bytes, expected: str) -> None:
    assert refusal(b"a FETCH 1 " + text) == ("BAD", "", expected)


def test_I8_repeats_cost_once_and_many_items_are_refused() -> None:
    assert items_of(b"(%b)" % b" ".join([b"BODY[]"] * 500)) == (section(b"BODY[]"),)
    too_many = ("NO", "LIMIT", "too many items")
    assert refusal(b"a FETCH 1 (%b)" % b" ".join([b"BODY[]"] * 501)) == too_many
    halves = b" ".join(
        b"BODY[HEADER.FIELDS (%b)]" % b" ".join(b"%c%d" % (c, i) for i in range(300)) for c in b"xy"
    )
    assert refusal(b"a FETCH 1 (%b)" % halves) == too_many
    names = b" ".join(b"x%d" % i for i in range(9_000))
    assert refusal(b"a FETCH 1 BODY[HEADER.FIELDS (%b)]" % names) == (
        "NO",
        "LIMIT",
        "too many header fields",
    )
