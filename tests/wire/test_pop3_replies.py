"""Status lines, and messages on the wire by the state of the stream."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.pop3_replies import MessageWriter, err, listing, ok

LINE_BREAKERS = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"x", b"Subject: y", b"\0", b"\xe4"]),
    max_size=60,
)


def wire(*chunks: bytes, body_lines: int | None = None) -> bytes:
    writer = MessageWriter(body_lines)
    return b"".join([*map(writer.feed, chunks), writer.finish()])


def read_back(octets: bytes) -> bytes:
    """What a client makes of a multi-line reply: RFC 1939 section 3."""
    assert octets.endswith(b".\r\n")
    lines = octets[:-3].split(b"\r\n")[:-1]
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)


def normalised(message: bytes) -> bytes:
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return text if not text or text.endswith(b"\r\n") else text + b"\r\n"


def test_status_lines() -> None:
    assert ok() == b"+OK\r\n"
    assert ok("2 320") == b"+OK 2 320\r\n"
    assert err("in use", "IN-USE") == b"-ERR [IN-USE] in use\r\n"
    assert len(ok("x" * 2000)) == 512
    assert err("a\r\n+OK b\0é") == b"-ERR a??+OK b??\r\n"


def test_listing() -> None:
    assert listing(ok("2"), [b"1 10", b"2 20"]) == b"+OK 2\r\n1 10\r\n2 20\r\n.\r\n"
    assert listing(ok(), []) == b"+OK\r\n.\r\n"


@pytest.mark.parametrize(
    ("message", "octets"),
    [
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\n..b\r\n", b"a\r\n...b\r\n.\r\n"),
        (b"no end", b"no end\r\n.\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\r\n.", b"a\r\n\r\n..\r\n.\r\n"),
    ],
)
def test_P3_wire_form(message: bytes, octets: bytes) -> None:
    assert wire(message) == octets
    assert wire(*(message[i : i + 1] for i in range(len(message)))) == octets


@given(LINE_BREAKERS)
def test_S7_stuffing_by_stream_state(pieces: list[bytes]) -> None:
    """Every chunking gives the same octets, they read back as the normalised message, and the end
    comes once, at the end."""
    message = b"".join(pieces)
    octets = wire(*pieces)
    assert octets == wire(message)
    assert read_back(octets) == normalised(message)
    assert (b"\r\n" + octets).find(b"\r\n.\r\n") == len(octets) - 3
    assert b"\r" not in octets.replace(b"\r\n", b"") and b"\n" not in octets.replace(b"\r\n", b"")


def top(message: bytes, count: int) -> bytes:
    lines = normalised(message).split(b"\r\n")[:-1]
    end = lines.index(b"") + 1 + count if b"" in lines else len(lines)
    return b"".join(line + b"\r\n" for line in lines[:end])


@given(LINE_BREAKERS, st.integers(0, 6))
def test_top_under_every_chunking(pieces: list[bytes], count: int) -> None:
    message = b"".join(pieces)
    octets = wire(*pieces, body_lines=count)
    assert octets == wire(message, body_lines=count)
    assert read_back(octets) == top(message, count)


def test_P2_top_0_and_beyond() -> None:
    message = b"A: b\r\n\r\none\r\ntwo\r\n"
    assert wire(message, body_lines=0) == b"A: b\r\n\r\n.\r\n"
    assert wire(message, body_lines=1) == b"A: b\r\n\r\none\r\n.\r\n"
    assert wire(message, body_lines=999_999_999_999) == message + b".\r\n"


def test_top_says_when_it_has_enough() -> None:
    writer = MessageWriter(1)
    writer.feed(b"A: b\r\n\r\none\r\ntw")
    assert writer.done
    assert writer.feed(b"o\r\nthree\r\n") == b""
    assert writer.finish() == b".\r\n"
