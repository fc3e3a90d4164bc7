"""Where a header ends and what its fields are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.mime.budget import Budget, Overrun
from gateway.wire.mime.headers import header_end, iter_fields, read_header, unfold


def names(octets: bytes) -> list[bytes]:
    return [field.name for field in iter_fields(octets)]


def test_fields_and_folded_values() -> None:
    message = b"Subject: one\r\n two\r\n\tthree\r\nX:\r\n\r\nbody: no\r\n"
    fields = list(iter_fields(message))
    assert [field.name for field in fields] == [b"subject", b"x"]
    value = message[fields[0].value_start : fields[0].value_end]
    assert unfold(value) == b"one two\tthree"
    assert message[fields[0].start : fields[0].end] == b"Subject: one\r\n two\r\n\tthree\r\n"
    assert message[header_end(message) :] == b"body: no\r\n"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\nA: b\r\n", b"A: b\r\n"),
        (b"A: b", b""),
        (b"A: b\r\n", b""),
        (b"A: b\r\n\r\n", b""),
        (b"A: b\n\nbody", b"body"),
        (b"A: b\nno field\n", b"no field\n"),
        (b"just text\r\n", b"just text\r\n"),
        (b" A: b\r\n", b" A: b\r\n"),
        (b"A: b\r\n \r\nB: c\r\n\r\nx", b"x"),  # a line of blanks continues the field
        (b"A: b\rB: c\r\n\r\nx", b"x"),  # a bare CR ends no line
        (b"A : b\r\n\r\nx", b"x"),  # obsolete blank before the colon
        (b"From alice Mon Jan  5 10:00:00 2026\r\nA: b\r\n\r\nx", b"x"),
        (b">From alice\r\nA: b\r\n\r\nx", b"x"),
    ],
)
def test_the_header_ends(message: bytes, body: bytes) -> None:
    assert message[header_end(message) :] == body
    assert message[read_header(message, 0, (), Budget())[1] :] == body


def test_first_of_repeated_fields_counts_but_address_fields_add_up() -> None:
    message = b"Subject: a\r\nTo: x@y\r\nSubject: b\r\nTo: z@y\r\nTo: w@y\r\n\r\n"
    fields, _ = read_header(message, 0, {b"subject", b"to"}, Budget())
    assert fields == {b"subject": b"a", b"to": b"x@y, z@y, w@y"}


def test_M2_more_fields_than_the_budget_are_refused() -> None:
    with pytest.raises(Overrun):
        read_header(b"A: b\r\n" * 11, 0, (), Budget(fields=10))
    read_header(b"A: b\r\n" * 10, 0, (), Budget(fields=10))


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"A: b", b" ", b":", b"\r\n", b"\n", b"\r", b"x", b"\0"])))
def test_all_octets_belong_to_fields_empty_line_or_body(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    fields = list(iter_fields(octets))
    end = fields[-1].end if fields else 0
    assert [field.start for field in fields] == [0, *(field.end for field in fields)][: len(fields)]
    assert octets[end : header_end(octets)] in (b"", b"\n", b"\r\n")
