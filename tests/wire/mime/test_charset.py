"""Charsets from a fixed list, and encoded-words (RFC 2047)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.mime import charset
from gateway.wire.mime.charset import (
    codec_of,
    decode_base64,
    decode_octets,
    decode_unstructured,
)


@pytest.mark.parametrize(
    "name",
    [
        "unicode_escape",
        "idna",
        "utf-7",
        "zlib_codec",
        "rot13",
        "punycode",
        "hex",
        "raw_unicode_escape",
    ]
    + ["mbcs", "undefined", "../utf-8", "\0", "x" * 10_000],
)
def test_M4_charsets_outside_the_list_are_never_looked_up(name: str) -> None:
    assert codec_of(name) is None
    assert decode_octets(b"+AGEAYg- \xe9", name) == "+AGEAYg- é"


def test_every_listed_codec_exists_and_never_fails() -> None:
    every = bytes(range(256)) * 2 + b"\x1b$B\xff~{~"
    for name in charset._CODECS:
        assert isinstance(decode_octets(every, name), str), name


@pytest.mark.parametrize(
    ("octets", "name", "expected"),
    [
        ("Größe".encode(), "UTF-8", "Größe"),
        ("Größe".encode("latin-1"), "ISO-8859-1", "Größe"),
        ("Größe".encode("latin-1"), "us-ascii", "Größe"),
        ("Größe".encode("latin-1"), "x-unknown", "Größe"),
        ("Größe".encode(), "x-unknown", "Größe"),
        ("Größe".encode(), "us-ascii", "Größe"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),
        ("日本語".encode("iso2022-jp"), "ISO-2022-JP", "日本語"),
        ("日本語".encode("shift-jis"), "Shift_JIS", "日本語"),
        ("中文".encode("gbk"), "gb2312", "中文"),
        ("Привет".encode("koi8-r"), "koi8-r", "Привет"),
        ("zażółć".encode("iso8859-2"), "iso_8859-2", "zażółć"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
    ],
)
def test_charsets(octets: bytes, name: str, expected: str) -> None:
    assert decode_octets(octets, name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 2047 section 8
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  \t =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"),
        (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),  # RFC 2231 section 5
        (b"x =?utf-8?q?y?=z", "x yz"),
        (b"=?utf-8?q?=F0=9F?= =?utf-8?q?=99=82?=", "🙂"),
        (b"=?utf-8?b?8J+Z?= =?UTF-8?B?gg==?=", "🙂"),
        (b"=?x-unknown?q?=E9?=", "é"),
        (b"=?utf-8?q??=", ""),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?utf-8?b?YWJj?= =?utf-8?x?YQ?=", "abc =?utf-8?x?YQ?="),
        (b"=?utf-8?q?unclosed", "=?utf-8?q?unclosed"),
        ("raw Größe".encode(), "raw Größe"),
        ("raw Größe".encode("latin-1"), "raw Größe"),
    ],
)
def test_encoded_words(value: bytes, expected: str) -> None:
    assert decode_unstructured(value) == expected


def test_M4_floods_of_encoded_words() -> None:
    assert decode_unstructured(b"=?utf-8?q??=" * 10_000) == ""
    assert decode_unstructured(b"=?utf-8?q?a?= " * 10_000) == "a" * 10_000 + " "
    for flood in (b"=?utf-8?q?" * 100_000, b"=?" * 500_000, b"=?a?b?" + b"x" * 1_000_000):
        assert decode_unstructured(flood) == flood.decode()


def test_M4_broken_base64() -> None:
    assert decode_base64(b"YWJj\r\nZGVm\r\n") == b"abcdef"
    assert decode_base64(b"YWJjZA") == b"abcd"
    assert decode_base64(b"YWJjZ") == b"abc"
    assert decode_base64(b"Y-W*J\0j") == b"abc"
    assert decode_base64(b"====") == b""


@settings(deadline=None)
@given(st.binary(max_size=80), st.sampled_from(sorted(charset._CODECS)))
def test_any_octets_decode(octets: bytes, name: str) -> None:
    decode_octets(octets, name)
    decode_unstructured(octets)
    decode_base64(octets)
    decode_unstructured(b"=?" + name.encode() + b"?q?" + octets + b"?= =?utf-8?b?" + octets + b"?=")
