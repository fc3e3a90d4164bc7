"""The PROXY protocol's header: read whole, exactly, bounded."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.proxy import MAX_OCTETS, NotProxied, ProxyHeader, parse_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\r\n"
SOURCE, TARGET = ("192.0.2.1", 40000), ("198.51.100.2", 25)


def v2(form: int, body: bytes, *, first: int = 0x21) -> bytes:
    return SIGNATURE + struct.pack(">BBH", first, form, len(body)) + body


V2 = v2(0x11, bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack(">HH", 40000, 25))


@pytest.mark.parametrize("header", [V1, V2])
def test_a_header_is_read_whatever_its_pieces(header: bytes) -> None:
    for end in range(len(header)):
        assert parse_header(header[:end]) is None
    for rest in (b"", b"EHLO a\r\n", b"\x16\x03\x01"):
        assert parse_header(header + rest) == ProxyHeader(len(header), SOURCE, TARGET)


def test_ipv6_in_both_versions() -> None:
    expected = ("2001:db8::1", 40000), ("::1", 25)
    line = b"PROXY TCP6 2001:db8::1 ::1 40000 25\r\n"
    assert parse_header(line) == ProxyHeader(len(line), *expected)
    body = bytes.fromhex("20010db8" + "0" * 23 + "1") + bytes(15) + b"\1"
    header = v2(0x21, body + struct.pack(">HH", 40000, 25) + b"\x01\x00\x02h2")
    assert parse_header(header) == ProxyHeader(len(header), *expected)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n",
        v2(0x11, V2[16:], first=0x20),  # LOCAL
        v2(0x00, b""),
        v2(0x31, bytes(216)),  # a Unix socket
    ],
)
def test_the_proxy_may_speak_for_itself(header: bytes) -> None:
    assert parse_header(header) == ProxyHeader(len(header))


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.test\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25 x\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 40000 25\r\n",
        b"PROXY TCP4 192.0.2.999 198.51.100.2 40000 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n",
        b"PROXY TCP4 192.0.2.1\xff 198.51.100.2 1 25\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 25\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 25\nEHLO a\r\n" + b"x" * 100,
        v2(0x11, V2[16:-1]),
        v2(0x11, V2[16:], first=0x31),
        v2(0x11, V2[16:], first=0x22),
        v2(0x11, bytes(MAX_OCTETS)),
        b"\r\n\r\nQUIT",
        b"\x16\x03\x01",
    ],
)
def test_anything_else_is_no_header(octets: bytes) -> None:
    with pytest.raises(NotProxied):
        parse_header(octets)


@given(
    st.one_of(st.binary(), st.binary().map(lambda b: SIGNATURE + b), st.binary().map(V1.__add__))
)
def test_any_octets_give_a_header_a_wait_or_a_refusal(octets: bytes) -> None:
    try:
        header = parse_header(octets)
    except NotProxied:
        return
    assert header is None or 0 < header.size_octets <= len(octets)
    assert header is not None or len(octets) < MAX_OCTETS
