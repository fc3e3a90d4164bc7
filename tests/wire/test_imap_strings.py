"""NIL, quoted, literal (RFC 3501 section 4.3)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.imap_strings import MAX_QUOTED_OCTETS, nstring, quoted_or_literal
from tests.wire.mime import imap_data


def test_plain_text_is_quoted() -> None:
    assert quoted_or_literal(b"Hello world") == b'"Hello world"'
    assert quoted_or_literal(b"") == b'""'


def test_quotes_and_backslashes_are_escaped() -> None:
    assert quoted_or_literal(b'a"b\\c') == b'"a\\"b\\\\c"'


def test_what_a_quoted_string_cannot_hold_is_a_literal() -> None:
    assert quoted_or_literal(b"a\r\nb") == b"{4}\r\na\r\nb"
    assert quoted_or_literal("ü".encode()) == b"{2}\r\n\xc3\xbc"
    assert quoted_or_literal(b"\0") == b"{1}\r\n\0"
    long = b"x" * (MAX_QUOTED_OCTETS + 1)
    assert quoted_or_literal(long) == b"{%d}\r\n" % len(long) + long


def test_absent_is_nil_and_empty_is_not() -> None:
    assert nstring(None) == b"NIL"
    assert nstring(b"") == b'""'
    assert nstring(b"NIL") == b'"NIL"'


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_every_string_reads_back(octets: bytes) -> None:
    octets = octets.replace(b"\0", b"")
    assert imap_data.read(b"(%b)" % quoted_or_literal(octets)) == [octets]
