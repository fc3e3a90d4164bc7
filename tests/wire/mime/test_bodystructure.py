"""BODY and BODYSTRUCTURE, exactly as sent (RFC 3501 section 7.4.2)."""

from __future__ import annotations

from gateway.wire.mime.summary import summarise
from tests.wire.mime import imap_data


def rendered(text: bytes) -> tuple[bytes, bytes]:
    summary = summarise(text.replace(b"\n", b"\r\n"))
    assert summary.note == ""
    imap_data.check_body(imap_data.read(summary.body), extended=False)
    imap_data.check_body(imap_data.read(summary.body_structure), extended=True)
    return summary.body, summary.body_structure


def test_a_simple_text() -> None:
    assert rendered(b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\none\ntwo\n") == (
        b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 10 2)',
        b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 10 2 NIL NIL NIL NIL)',
    )


def test_no_header_and_no_body() -> None:
    expected = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
    assert rendered(b"")[0] == rendered(b"\n")[0] == rendered(b"Subject: x\n")[0] == expected


def test_the_two_part_example_of_rfc_3501() -> None:
    first, second = b"x\n" * 23, b"YWJj\n" * 73
    message = (
        b"Content-Type: MULTIPART/MIXED; BOUNDARY=b\n\n--b\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n" + first + b"\n--b\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\n"
        b"Content-ID: <960723163407.20117h@cac.washington.edu>\n"
        b"Content-Description: Compiler diff\n"
        b"Content-Transfer-Encoding: BASE64\n\n" + second + b"\n--b--\n"
    )
    assert rendered(message)[0] == (
        b'(("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 69 23)'
        b'("text" "plain" ("charset" "US-ASCII" "name" "cc.diff") '
        b'"<960723163407.20117h@cac.washington.edu>" "Compiler diff" "base64" 438 73) "mixed")'
    )


def test_extension_data() -> None:
    message = b"""\
Content-Type: multipart/alternative; boundary="b"; x=y
Content-Disposition: inline
Content-Language: en
Content-Location: http://example.com/
Content-MD5: ignored

--b
Content-Type: image/png; name="a b.png"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="a b.png"; size=3
Content-Language: en, de (German), fr-CA
Content-Location: pic.png
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==

YWJj
--b--
"""
    assert rendered(message) == (
        b'(("image" "png" ("name" "a b.png") NIL NIL "base64" 4) "alternative")',
        b'(("image" "png" ("name" "a b.png") NIL NIL "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" '
        b'("attachment" ("filename" "a b.png" "size" "3")) ("en" "de" "fr-CA") "pic.png") '
        b'"alternative" ("boundary" "b" "x" "y") ("inline" NIL) ("en") "http://example.com/")',
    )


def test_a_forwarded_message_carries_envelope_body_and_lines() -> None:
    message = b"""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/rfc822
Content-Description: fwd

From: Ann <ann@example.com>
Subject: inner
Content-Type: text/html

<p>
--b--
"""
    envelope = (
        b'(NIL "inner" (("Ann" NIL "ann" "example.com")) (("Ann" NIL "ann" "example.com")) '
        b'(("Ann" NIL "ann" "example.com")) NIL NIL NIL NIL NIL)'
    )
    assert rendered(message) == (
        b'(("message" "rfc822" NIL NIL "fwd" "7bit" 75 ' + envelope + b" "
        b'("text" "html" NIL NIL NIL "7bit" 3 0) 4) "mixed")',
        b'(("message" "rfc822" NIL NIL "fwd" "7bit" 75 ' + envelope + b" "
        b'("text" "html" NIL NIL NIL "7bit" 3 0 NIL NIL NIL NIL) 4 NIL NIL NIL NIL) '
        b'"mixed" ("boundary" "b") NIL NIL NIL)',
    )


def test_nested_multiparts() -> None:
    message = b"""\
Content-Type: multipart/mixed; boundary=o

--o
Content-Type: multipart/alternative; boundary=i

--i

a
--i
Content-Type: text/html; charset=utf-8

<b>
--i--

--o
Content-Type: application/octet-stream

x
--o--
"""
    assert rendered(message)[0] == (
        b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0)'
        b'("text" "html" ("charset" "utf-8") NIL NIL "7bit" 3 0) "alternative")'
        b'("application" "octet-stream" NIL NIL NIL "7bit" 1) "mixed")'
    )


def test_message_types_that_are_no_messages_are_leaves() -> None:
    message = b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\n"
    assert rendered(message)[0] == b'("message" "delivery-status" NIL NIL NIL "7bit" 41)'


def test_eight_bit_and_nul_octets_in_parameters() -> None:
    body, _ = rendered(b'Content-Type: image/png; name="\xfc\0"\nContent-ID: a\0b\n\n')
    assert body == b'("image" "png" ("name" {2}\r\n\xfc?) "a?b" NIL "7bit" 0)'


def test_unknown_transfer_encoding_is_shown() -> None:
    assert b'"x-uuencode" 0 0' in rendered(b"Content-Transfer-Encoding: X-UUencode\n\n")[0]
