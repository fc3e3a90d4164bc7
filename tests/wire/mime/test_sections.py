"""BODY[...] sections and header subsets (RFC 3501 section 6.4.5)."""

from __future__ import annotations

import pytest

from gateway.wire.mime.sections import What, filter_fields, span_of
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
    assert filter_fields(HEADER, [b"SUBJECT", b"to", b"none"], exclude=False) == (
        b"Subject: x\r\n folded\r\nTO : b\r\nsubject: y\r\n\r\n"
    )
    assert filter_fields(HEADER, [b"SUBJECT", b"to", b"none"], exclude=True) == (
        b"From: a\r\nReceived: 1\r\n\r\n"
    )
    assert filter_fields(HEADER, [], exclude=False) == b"\r\n"
    assert filter_fields(HEADER, [], exclude=True) == HEADER


def test_the_empty_line_is_there_only_if_the_header_has_it() -> None:
    assert filter_fields(b"A: b\r\n", [b"c"], exclude=False) == b""
    assert filter_fields(b"A: b", [b"a"], exclude=False) == b"A: b"
    assert filter_fields(b"A: b\n\n", [b"c"], exclude=False) == b"\n"
    assert filter_fields(b"\r\n", [b"c"], exclude=False) == b"\r\n"
    assert filter_fields(b"", [b"c"], exclude=True) == b""


def test_an_mbox_line_is_no_field() -> None:
    header = b"From alice Mon Jan  5\r\nFrom: a\r\nX: y\r\n\r\n"
    assert filter_fields(header, [b"from"], exclude=False) == b"From: a\r\n\r\n"
    assert filter_fields(header, [b"from"], exclude=True) == b"X: y\r\n\r\n"
