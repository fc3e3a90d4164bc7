"""BODY[...] sections and header subsets (RFC 3501 section 6.4.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.mime.sections import FieldFilter, What, header_of_start, span_of
from gateway.wire.mime.summary import summarise

# The tree of the example in RFC 3501 section 6.4.5, with a message inside part 4.2.
MESSAGE = b"""\
Subject: top
Content-Type: multipart/mixed; boundary=a

--a

text 1
--a
Content-Type: application/octet-stream

data 2
--a
Content-Type: message/rfc822
X: mime of 3

Subject: third
Content-Type: multipart/mixed; boundary=c

--c

text 3.1
--c
Content-Type: application/octet-stream

data 3.2
--c--
--a
Content-Type: multipart/mixed; boundary=d

--d
Content-Type: image/gif

gif 4.1
--d
Content-Type: message/rfc822
X: mime of 4.2

Subject: fourth

text 4.2.1
--d--
--a--
""".replace(b"\n", b"\r\n")


def section(message: bytes, path: tuple[int, ...], what: What) -> bytes | None:
    span = span_of(summarise(message), path, what)
    return None if span is None else message[span[0] : span[1]]


@pytest.mark.parametrize(
    ("path", "what", "expected"),
    [
        ((1,), "", b"text 1"),
        ((1,), "MIME", b"\r\n"),
        ((2,), "", b"data 2"),
        ((2,), "MIME", b"Content-Type: application/octet-stream\r\n\r\n"),
        ((3,), "MIME", b"Content-Type: message/rfc822\r\nX: mime of 3\r\n\r\n"),
        (
            (3,),
            "HEADER",
            b"Subject: third\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n",
        ),
        ((3, 1), "", b"text 3.1"),
        ((3, 2), "", b"data 3.2"),
        ((4, 1), "", b"gif 4.1"),
        ((4, 1), "MIME", b"Content-Type: image/gif\r\n\r\n"),
        ((4, 2), "", b"Subject: fourth\r\n\r\ntext 4.2.1"),
        ((4, 2), "HEADER", b"Subject: fourth\r\n\r\n"),
        ((4, 2), "TEXT", b"text 4.2.1"),
        ((4, 2), "MIME", b"Content-Type: message/rfc822\r\nX: mime of 4.2\r\n\r\n"),
        ((4, 2, 1), "", b"text 4.2.1"),
        ((4, 2, 1), "MIME", b"Subject: fourth\r\n\r\n"),
        ((), "HEADER", MESSAGE[: MESSAGE.index(b"--a")]),
        ((), "TEXT", MESSAGE[MESSAGE.index(b"--a") :]),
        ((), "", MESSAGE),
        # what the message does not have
        ((), "MIME", None),
        ((5,), "", None),
        ((0,), "", None),
        ((1, 1), "", None),
        ((1,), "HEADER", None),
        ((2,), "TEXT", None),
        ((4,), "HEADER", None),
        ((4, 2, 1), "TEXT", None),
        ((4, 2, 2), "", None),
    ],
)
def test_sections_of_the_standards_example(
    path: tuple[int, ...], what: What, expected: bytes | None
) -> None:
    assert section(MESSAGE, path, what) == expected


def test_part_1_of_a_message_that_is_no_multipart_is_its_text() -> None:
    message = b"A: b\r\n\r\nhello"
    assert section(message, (1,), "") == b"hello"
    assert section(message, (1,), "MIME") == b"A: b\r\n\r\n"
    assert section(message, (2,), "") is section(message, (1, 1), "") is None


def test_a_message_that_is_only_a_message() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhello"
    assert section(message, (1,), "") == b"Subject: in\r\n\r\nhello"
    assert section(message, (1,), "HEADER") == b"Subject: in\r\n\r\n"
    assert section(message, (1,), "TEXT") == section(message, (1, 1), "") == b"hello"


HEADER = b"From: a\r\nSubject: x\r\n folded\r\nTO : b\r\nReceived: 1\r\nsubject: y\r\n\r\n"


def test_named_fields_with_their_folding_and_the_empty_line() -> None:
    assert FieldFilter([b"SUBJECT", b"to", b"none"], exclude=False)(HEADER) == (
        b"Subject: x\r\n folded\r\nTO : b\r\nsubject: y\r\n\r\n"
    )
    assert FieldFilter([b"SUBJECT", b"to", b"none"], exclude=True)(HEADER) == (
        b"From: a\r\nReceived: 1\r\n\r\n"
    )
    assert FieldFilter([], exclude=False)(HEADER) == b"\r\n"
    assert FieldFilter([], exclude=True)(HEADER) == HEADER


def test_the_empty_line_is_there_only_if_the_header_has_it() -> None:
    assert FieldFilter([b"c"], exclude=False)(b"A: b\r\n") == b""
    assert FieldFilter([b"a"], exclude=False)(b"A: b") == b"A: b"
    assert FieldFilter([b"c"], exclude=False)(b"A: b\n\n") == b"\n"
    assert FieldFilter([b"c"], exclude=False)(b"\r\n") == b"\r\n"
    assert FieldFilter([b"c"], exclude=True)(b"") == b""


def test_an_mbox_line_is_no_field() -> None:
    header = b"From alice Mon Jan  5\r\nFrom: a\r\nX: y\r\n\r\n"
    assert FieldFilter([b"from"], exclude=False)(header) == b"From: a\r\n\r\n"
    assert FieldFilter([b"from"], exclude=True)(header) == b"X: y\r\n\r\n"


LINES = st.lists(
    st.sampled_from(
        [b"From: a\r\n", b"X: y\n", b" folded\r\n", b"\t\n", b"no field\r\n", b"\r\n", b"\n", b"\r",
         b"From alice Mon\r\n", b">From b\n", b"Content-Type: multipart/mixed; boundary=b\r\n",
         b"Content-Type: message/rfc822\r\n", b"--b\r\n", b"--b:\r\n", b"To ", b": c\r\n", b"N:"]
    ),
    max_size=12,
).map(b"".join)  # fmt: skip


@given(message=LINES, cut=st.integers(0, 120), exclude=st.booleans())
def test_M6_a_header_found_in_the_first_octets_is_the_one_of_the_summary(
    message: bytes, cut: int, exclude: bool
) -> None:
    span = span_of(summarise(message), (), "HEADER")
    assert span is not None
    header = message[: span[1]]
    some = FieldFilter([b"from", b"to"], exclude=exclude)
    assert header_of_start(message, whole=True) == header
    assert some.of_start(message, whole=True) == some(header)
    assert header_of_start(message[:cut], whole=False) in (None, header)
    assert some.of_start(message[:cut], whole=False) in (None, some(header))
    if header.endswith(b"\n\r\n"):
        assert header_of_start(message + b"A line behind it\r\n", whole=False) == header
