"""Who a From field names: read in one way only, or refused (SECURITY S32)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.submission.originators import (
    MAX_OCTETS,
    MAX_ORIGINATORS,
    OriginatorSyntax,
    parse_originators,
)


def names(value: bytes) -> list[str]:
    return [str(address) for address in parse_originators(value)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" alice@example.test\r\n", ["alice@example.test"]),
        (b" Alice <alice@Example.TEST>\r\n", ["alice@example.test"]),
        (b' "ceo@example.test" <alice@example.test>', ["alice@example.test"]),
        (b'"a \\" <ceo@x.test>" <alice@example.test>', ["alice@example.test"]),
        (b" (ceo@x.test) alice@example.test (x (y) z)", ["alice@example.test"]),
        (b" John Q. Public [Ltd] <a@b.test>", ["a@b.test"]),
        (b" alice@example.test <Alice@example.test>", ["Alice@example.test"]),
        (b" J\xfcrgen <j@b.test>", ["j@b.test"]),
        (b" =?utf-8?q?J=C3=BCrgen?=\r\n <j@b.test>", ["j@b.test"]),
        (b' a . b @ c . test, "x y"@d.test,,\r\n E <e@f.test>',
         ["a.b@c.test", '"x y"@d.test', "e@f.test"]),
        ("jürgen@bücher.test".encode(), ["jürgen@xn--bcher-kva.test"]),
    ],
)  # fmt: skip
def test_what_has_one_meaning_is_read(value: bytes, expected: list[str]) -> None:
    assert names(value) == expected


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "no address"),
        (b" ,, \r\n", "no address"),
        (b" alice", "without a domain"),
        (b" <>", "without a domain"),
        (b" a@b.test <c@d.test>", "must stand in quotes"),
        (b" a@b.test c@d.test", "malformed"),
        (b" <a@b.test> <c@d.test>", "a comma is missing"),
        (b" <a@b.test> c@d.test", "text behind"),
        (b" <a@b.test", "angle bracket"),
        (b" a@b.test>", "angle bracket"),
        (b" <<a@b.test>>", "angle bracket"),
        (b" Friends: a@b.test;", "groups"),
        (b" a@b.test; c@d.test", "commas"),
        (b' "a <a@b.test>', "quotation mark"),
        (b" (a <a@b.test>", "bracket"),
        (b" <@x.test:a@b.test>", "malformed"),
        (b" a@b@c.test", "malformed"),
        (b" a\x00b@c.test", "malformed"),
        (b" a@b.test, \xff@c.test", "malformed"),
        (b" " + b"a@b.test," * (MAX_ORIGINATORS + 1), "more than 50"),
    ],
)
def test_S32_what_two_readers_could_read_differently_is_refused(value: bytes, why: str) -> None:
    with pytest.raises(OriginatorSyntax, match=why):
        parse_originators(value)


@given(
    st.binary(max_size=60) | st.text(alphabet='a@b.<>"(),;: \\\r\n', max_size=40).map(str.encode)
)
def test_F5_anything_is_read_or_refused(value: bytes) -> None:
    with contextlib.suppress(OriginatorSyntax):
        assert parse_originators(value)


def test_F5_long_values_are_linear() -> None:
    for piece in (b"(", b'"', b"<", b"a@b.test ", b", ", b"\\", b"x.", b"[("):
        with pytest.raises(OriginatorSyntax):
            parse_originators(piece * (MAX_OCTETS // len(piece)))
    with pytest.raises(OriginatorSyntax, match="too long"):
        parse_originators(b"a@b.test" + b" " * MAX_OCTETS)
