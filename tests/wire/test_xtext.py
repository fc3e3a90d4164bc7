"""xtext and UTF-8 addresses in parameters: what is encoded comes back, anything else is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.xtext import (
    decode_utf8_address,
    decode_xtext,
    encode_utf8_address,
    encode_xtext,
)


@given(st.binary())
def test_any_octets_come_back_from_xtext(octets: bytes) -> None:
    text = encode_xtext(octets)
    assert decode_xtext(text) == octets
    assert text.isascii() and not set(text) & set(b" =\r\n\0")


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.booleans())
def test_any_text_comes_back_from_both_forms_for_utf8(text: str, smtputf8: bool) -> None:
    encoded = encode_utf8_address(text, smtputf8=smtputf8)
    assert decode_utf8_address(encoded) == text
    assert not set(encoded) & set(b" +=\r\n\0")
    assert smtputf8 or encoded.isascii()


@given(st.binary(max_size=60))
def test_what_decodes_is_what_an_encoder_may_write(text: bytes) -> None:
    with suppress(ValueError):
        assert len(decode_xtext(text)) <= len(text)
    with suppress(ValueError):
        decode_utf8_address(text).encode()


@pytest.mark.parametrize("text", [b"+3", b"+", b"+3d", b"a b", b"a=b", b"+GG", b"\xff", b"\x7f"])
def test_what_is_no_xtext(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_xtext(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a+b",
        b"a=b",
        b"a b",
        b"\\",
        b"\\x{}",
        b"\\x{g1}",
        b"\\x{D800}",
        b"\\x{110000}",
        b"\xff",
    ],
)
def test_what_is_no_utf8_address(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_utf8_address(text)


def test_addresses_in_both_forms() -> None:
    assert encode_utf8_address("ö+x@d.test", smtputf8=True) == "ö\\x{2B}x@d.test".encode()
    assert encode_utf8_address("ö+x@d.test", smtputf8=False) == b"\\x{F6}\\x{2B}x@d.test"
    assert encode_xtext(b"a+b=c d@x") == b"a+2Bb+3Dc+20d@x"
