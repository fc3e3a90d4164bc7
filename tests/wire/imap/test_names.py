"""SECURITY I9: one spelling per mailbox, and no name that is a trap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.imap import mutf7, names


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"", ""),
        (b"INBOX", "INBOX"),
        (b"a&-b", "a&b"),
        (b"&-&-", "&&"),
        (b"&Jjo-", "\u263a"),
        (b"&Jjo-&-", "\u263a&"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e"),
        (b"&2D3eAA-", "\U0001f600"),
    ],
)
def test_modified_utf7_both_ways(wire: bytes, text: str) -> None:
    assert mutf7.decode(wire) == text
    assert mutf7.encode(text) == wire


@pytest.mark.parametrize(
    "wire",
    [
        b"&AC8-",  # an encoded slash
        b"&AC4AL-",
        b"&AGE-",  # needless
        b"a&AGE-b",
        b"&Jjo",  # open
        b"&Jjo!",
        b"&",
        b"&YQ-",  # an odd number of octets
        b"&A-",
        b"&Jjp-",  # other bits where there should be none
        b"&JjoA-",
        b"&Jjo=-",
        b"&Jj/o-",
        b"&2D0-",  # a lone high surrogate
        b"&3gA-",  # a lone low surrogate
        b"&3gDYPQ-",  # swapped
        b"&Jjo-&Jjo-",  # one text in two shifts
        b"&JjoALw-",  # an encoded slash behind something else
        b"\xe9",
        b"\xc3\xa9",
        b"a\0b",
        b"a\rb",
        b"a\nb",
        b"a\x7fb",
        b"&Jjo-\xff",
    ],
)
def test_I9_modified_utf7_is_strict(wire: bytes) -> None:
    with pytest.raises(mutf7.BadEncoding):
        mutf7.decode(wire)
    with pytest.raises(names.NameRefused) as refused:
        names.decode(wire)
    assert refused.value.syntax


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_modified_utf7_round_trip(text: str) -> None:
    wire = mutf7.encode(text)
    assert wire.isascii() and wire.decode().isprintable()
    assert mutf7.decode(wire) == text


@given(st.binary(max_size=40) | st.text("&-AJjo,/+a", max_size=12).map(str.encode))
def test_I9_what_decodes_has_no_other_spelling(wire: bytes) -> None:
    try:
        text = mutf7.decode(wire)
    except mutf7.BadEncoding:
        return
    assert mutf7.encode(text) == wire


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"inBOX", "INBOX"),
        (b"inBOX/x", "INBOX/x"),
        (b"x/inbox", "x/inbox"),
        (b"inboxes", "inboxes"),
        (b"~root", "~root"),
        (b"cur", "cur"),
        (b".x", ".x"),
        (b"a.b", "a.b"),
        (b"a\\b", "a\\b"),
        (b"a b ", "a b "),
        (b"x" * 250, "x" * 250),
        (b"/".join([b"x"] * 30), "/".join(["x"] * 30)),
        (b"e&AwE-", "\u00e9"),  # NFD becomes NFC, so twins are one
        (b"&AOk-", "\u00e9"),
        (b"&ATE-NBOX", "\u0131NBOX"),  # a dotless i does not make an INBOX
    ],
)
def test_names(wire: bytes, name: str) -> None:
    assert names.decode(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"/",
        b".",
        b"..",
        b"/etc",
        b"a//b",
        b"a/",
        b"../../etc/passwd",
        b"a/../b",
        b"INBOX/..",
        b"a/.",
        b"#news",
        b"a%",
        b"*",
        b"x" * 251,
        b"&" + b"AOkA6QDp" * 42 + b"-",  # 126 letters of two octets
        b"/".join([b"x"] * 31),
        b"/".join([b"x"] * 1000),
        b"/".join([b"x" * 200] * 6),
        b"x" * 100_000,
        b"&ICg-",  # U+2028
        b"&AH8-",  # DEL
        b"&AAo-",  # LF
        b"&AAA-",  # NUL
        b"&AIU-",  # NEL
        b"&,,8-",  # U+FFFF
    ],
)
def test_I9_names_that_are_not_possible(wire: bytes) -> None:
    with pytest.raises(names.NameRefused) as refused:
        names.decode(wire)
    assert not refused.value.syntax
    assert refused.value.text.isascii()


def test_a_trailing_separator_is_dropped_when_creating() -> None:
    assert names.decode(b"a/", creating=True) == "a"
    assert names.decode(b"inbox/", creating=True) == "INBOX"
    for wire in (b"a//", b"/"):
        with pytest.raises(names.NameRefused):
            names.decode(wire, creating=True)


def test_names_are_sent_quoted() -> None:
    assert names.encode('a"b\\c') == b'"a\\"b\\\\c"'
    assert names.encode("Entw\u00fcrfe & mehr") == b'"Entw&APw-rfe &- mehr"'
