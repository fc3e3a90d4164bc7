"""Hostile messages: the work for each is bounded, and each is served (SECURITY F5, M1 to M6).

A quadratic or recursive scanner does not finish these within the timeout of all tests; a linear one
takes few seconds of a processor for the longest, and far below one for each of the others.
"""

from __future__ import annotations

import pytest

from gateway.core.messages import MessageSummary
from gateway.wire.mime.budget import MAX_DEPTH, MAX_PARTS
from gateway.wire.mime.octets import Windows
from gateway.wire.mime.summary import decode, encode, summarise
from gateway.wire.mime.text import body_text, header_text, header_values
from tests.wire.mime.checks import check_summary


def serve(message: bytes) -> MessageSummary:
    """All that is ever done with a message."""
    summary = summarise(message)
    check_summary(message, summary)
    assert decode(encode(summary)) == summary
    body_text(message, summary)
    header_text(message)
    header_values(message, "to")
    return summary


def nested(depth: int) -> bytes:
    level = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    return b"".join(level % (index, index) for index in range(depth)) + b"\r\ncore\r\n"


def wrapped(depth: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: core\r\n\r\ncore\r\n"


def test_F5_a_hundred_thousand_semicolons() -> None:
    for name in (b"Content-Disposition: attachment", b"Content-Type: text/plain"):
        summary = serve(name + b";" * 100_000 + b"\r\n\r\nx")
        assert summary.note == "" and len(summary.body_structure) < 200


def test_F5_twenty_thousand_addresses() -> None:
    assert serve(b"To: " + b"a@b.example, " * 20_000 + b"\r\n\r\n").note == ""


def test_M2_a_hundred_thousand_addresses_of_every_kind() -> None:
    for entry in (
        b"a@b,",
        b'"a \\" b" <a@b>,',
        b"g:a@b;,",
        b"<@x,@y:a@b>,",
        b"a@b (c(d)e),",
        b"a b@c",
    ):
        assert serve(b"From: " + entry * 100_000 + b"\r\n\r\n").note == ""
    assert serve(b"To: a@b\r\n" * 50_000 + b"\r\n").note == ""


@pytest.mark.parametrize("octet", list(b'"([<@:;,.\\ )>]='))
def test_F5_M2_floods_of_one_mark(octet: int) -> None:
    flood = bytes([octet]) * 40_000
    for value in (flood, b"a" + flood + b"a", bytes([octet, 0x5C]) * 20_000):
        assert serve(
            b"From: " + value + b"\r\nDate: " + value + b"\r\nContent-Type: text/plain; x=" + value
            + b"\r\nContent-Disposition: " + value + b"\r\nContent-Language: " + value + b"\r\n\r\n"
        ).note == ""  # fmt: skip


def test_M2_nested_comments() -> None:
    for depth in (500, 100_000):
        comment = b"(" * depth + b")" * depth
        header = b"From: %b a@b\r\nContent-Type: %b text/html\r\n\r\n" % (comment, comment)
        summary = serve(header)
        assert summary.note == "" and b'"html"' in summary.body


def test_M2_one_huge_field_and_a_million_small_ones() -> None:
    assert serve(b"Subject: " + b"x" * 20_000_000 + b"\r\n\r\n").note == ""
    assert serve(b"Subject: " + b"x\r\n " * 300_000 + b"\r\n\r\n").note == ""
    summary = serve(b"Subject: first\r\n" + b"a:\r\n" * 210_000 + b"\r\nbody")
    assert summary.note == "more than 200000 header fields"
    assert b'"first"' in summary.envelope and b'"8bit" 4 0)' in summary.body


def test_M2_rfc2231_sections() -> None:
    sections = b"".join(b"; n*%d*=x" % index for index in range(100_000))
    assert serve(b"Content-Type: text/plain" + sections + b"\r\n\r\n").note == ""


@pytest.mark.parametrize("make", [nested, wrapped])
def test_M1_depth(make: object) -> None:
    assert callable(make)
    summary = serve(make(MAX_DEPTH))
    assert summary.note == "" and len(summary.parts) > MAX_DEPTH
    for depth in (MAX_DEPTH + 1, 2_000, 100_000):
        message = make(depth)
        summary = serve(message)
        assert summary.note == f"nested deeper than {MAX_DEPTH} parts"
        assert list(summary.parts) == ["", "1"]


def test_M1_number_of_parts() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    summary = serve(head + b"--b\r\n\r\n" * (MAX_PARTS - 1) + b"--b--\r\n")
    assert summary.note == "" and len(summary.parts) == MAX_PARTS
    summary = serve(head + b"--b\r\n\r\n" * (MAX_PARTS + 1))
    assert summary.note == f"more than {MAX_PARTS} parts"


def test_M1_parts_that_open_and_close_multiparts() -> None:
    head = b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n"
    part = b"--outer\r\nContent-Type: multipart/mixed; boundary=" + b"i" * 900 + b"\r\n\r\n"
    part += b"--" + b"i" * 900 + b"\r\n\r\n"
    assert serve(head + part * 2_000).note == ""


def test_M3_lines_that_are_nearly_delimiters() -> None:
    head = b"Content-Type: multipart/mixed; boundary=" + b"-" * 900 + b"b\r\n\r\n"
    serve(head + b"\n" + b"-" * 5_000_000)
    serve(head + (b"-" * 902 + b"\n") * 10_000)
    two = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    two += b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"
    assert serve(two + b"--\r\n" * 200_000).note == ""
    assert "boundary delimiters" in serve(two + b"--\r\n" * 1_000_001).note


def test_M4_floods_of_encoded_words_and_soft_line_ends() -> None:
    assert serve(b"Subject: " + b"=?utf-8?q??=" * 10_000 + b"\r\n\r\n").note == ""
    assert serve(b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\r\n\r\n").note == ""
    qp = b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    for flood in (b"=\r\n" * 1_000_000, b"=" * 1_000_000, b"=\r" * 500_000, b" " * 1_000_000):
        assert serve(qp + flood).note == ""
    assert serve(b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=\r\n" * 500_000).note == ""


def test_M4_codecs_a_message_must_not_choose() -> None:
    for charset in (b"unicode_escape", b"idna", b"utf-7", b"zlib_codec", b"\xff\0", b"x" * 5_000):
        message = (
            b"Subject: =?" + charset + b"?q?a?=\r\nContent-Type: text/plain; charset=" + charset
            + b"\r\n\r\nbody \xff\r\n"
        )  # fmt: skip
        summary = serve(message)
        assert summary.note == "" and "body ÿ" in body_text(message, summary)


def test_M5_nul_octets_everywhere() -> None:
    message = (
        b"From: \0 <\0@\0>\r\nTo: g\0:;\r\nSubject: \0\r\n\0: \0\r\n"
        b'Content-Type: multipart/mixed; boundary="\0"\r\n\r\n--\0\r\n\0\r\n--\0--\r\n\0'
    )
    assert b"\0" not in serve(message).envelope
    typed = b"Content-Type: image/png; \0=\0\r\nContent-ID: \0\r\nContent-Language: \0\r\n\r\n\0"
    assert b"\0" not in serve(typed).body_structure
    assert serve(b"\0" * 1_000_000).note == ""


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Type: message/rfc822\r\n\r\nSubject: " + b"x" * 250_000 + b"\r\n\r\n",
        b'Content-Type: text/html; a="' + b"y" * 200_000 + b'"\r\n\r\n',
        b"Content-Location: " + b"z" * 200_000 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=c; a=" + b"y" * 200_000 + b"\r\n\r\n--c\r\n\r\n",
    ],
)
def test_M6_what_is_kept_of_a_message_is_bounded(part: bytes) -> None:
    head = b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    summary = serve(head + b"--b\r\n" + part)
    assert summary.note == "" and len(summary.parts) > 1
    summary = serve(head + (b"--b\r\n" + part + b"\r\n") * 50)
    assert summary.note == "more than 4194304 octets to say of its parts"
    assert len(encode(summary)) < 1_000 and b'"s"' in summary.envelope


def test_M2_sixteen_million_fields() -> None:
    message = b"Subject: first\r\n" + b"a:\n" * 16_000_000 + b"\nbody"
    for octets in (message, Windows(lambda start, end: message[start:end], len(message))):
        summary = summarise(octets)
        assert summary.note == "more than 200000 header fields"
        assert b'"first"' in summary.envelope and summary.parts["1"].body_start == len(message) - 4
