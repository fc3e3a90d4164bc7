"""Content-Type, Content-Disposition and their parameters (RFC 2045, 2183, 2231)."""

from __future__ import annotations

import pytest

from gateway.wire.mime.parameters import (
    MESSAGE_RFC822,
    TEXT_PLAIN,
    MediaType,
    parse_disposition,
    parse_media_type,
    parse_token,
)


def media(value: bytes) -> MediaType:
    return parse_media_type(value, TEXT_PLAIN)


def test_default_and_unreadable_types() -> None:
    assert parse_media_type(None, MESSAGE_RFC822) == MESSAGE_RFC822
    for value in (
        b"",
        b"text",
        b"/",
        b"text/",
        b"te xt/plain",
        b"text/plain/x",
        b"\xff/\xff",
        b";",
    ):
        assert parse_media_type(value, MESSAGE_RFC822) == TEXT_PLAIN


def test_case_blanks_and_comments() -> None:
    # RFC 2045 section 5.1: these two are equal
    one = media(b"text/plain; charset=us-ascii (Plain text)")
    assert one == media(b'Text / PLAIN ; CHARSET = "us-ascii"') == TEXT_PLAIN


def test_text_plain_without_charset_names_the_default() -> None:
    assert media(b"text/plain; format=flowed").parameters == (
        (b"format", b"flowed"),
        (b"charset", b"us-ascii"),
    )
    assert media(b"text/html").parameters == ()


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (b'a="x; y=z"', ((b"a", b"x; y=z"),)),
        (b'a="q\\"b\\\\"', ((b"a", b'q"b\\'),)),
        (b"a=b c.pdf ; d=e", ((b"a", b"b c.pdf"), (b"d", b"e"))),
        (b'a="unclosed; b=c', ((b"a", b"unclosed"), (b"b", b"c"))),
        (b'a="b"junk; c=d', ((b"a", b"b"), (b"c", b"d"))),
        (b"a=file(1).pdf", ((b"a", b"file(1).pdf"),)),
        (b";;; ; a=b;;", ((b"a", b"b"),)),
        (b"a; b; c=d; =e", ((b"c", b"d"),)),
        (b"a=", ((b"a", b""),)),
        (b'a=""', ((b"a", b""),)),
        (b"a=1; A=2", ((b"a", b"1"), (b"a", b"2"))),
        (b"a=b=c", ((b"a", b"b=c"),)),
    ],
)
def test_tolerant_parameters(parameters: bytes, expected: tuple[tuple[bytes, bytes], ...]) -> None:
    assert media(b"application/x; " + parameters).parameters == expected
    assert parse_disposition(b"attachment; " + parameters) == (b"attachment", expected)


def test_rfc2231_continuations_are_joined() -> None:
    # RFC 2231 section 3 and 4.1
    value = b'message/external-body; URL*1="pub/moore/x"; URL*0="ftp://cs.utk.edu/"; z=1'
    assert media(value).parameters == ((b"url", b"ftp://cs.utk.edu/pub/moore/x"), (b"z", b"1"))
    value = (
        b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20;"
        b' title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"'
    )
    assert media(value).parameters == (
        (b"title*", b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!"),
    )


def test_rfc2231_extended_values_are_decoded_for_our_own_use() -> None:
    value = b"multipart/x; boundary*=us-ascii'en'a%20b; charset*0*=''utf-; charset*1=8; x=%41"
    found = media(value)
    assert found.parameter(b"boundary") == b"a b"
    assert found.parameter(b"charset") == b"utf-8"
    assert found.parameter(b"x") == b"%41"
    assert media(b"text/plain; charset*=''utf-8").parameters == ((b"charset*", b"''utf-8"),)


def test_F5_M2_at_most_128_parameters() -> None:
    assert len(media(b"a/b" + b"; x=y" * 100_000).parameters) == 128
    assert len(media(b"a/b" + b"; x" * 127 + b"; a=b; c=d").parameters) == 1
    many = b"".join(b"; n*%d*=x" % index for index in range(100_000))
    assert media(b"a/b" + many).parameters == ((b"n*", b"x" * 128),)
    assert parse_disposition(b"attachment" + b";" * 100_000) == (b"attachment", ())


def test_dispositions() -> None:
    assert parse_disposition(b"INLINE") == (b"inline", ())
    assert parse_disposition(b'"attachment"; filename=x') == (b"attachment", ((b"filename", b"x"),))
    assert parse_disposition(b"") is None
    assert parse_disposition(b"; filename=x") is None


def test_transfer_encoding_tokens() -> None:
    assert parse_token(b" Base64 ") == b"base64"
    assert parse_token(b'"quoted-printable"') == b"quoted-printable"
    assert parse_token(b"(a comment) 8BIT; x") == b"8bit"
    assert parse_token(None) == parse_token(b"") == parse_token(b"\xff") == b""
