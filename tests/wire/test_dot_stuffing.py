"""What leaves as DATA is the message, its line ends whole, and ends once (SECURITY S7)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.dot_stuffing import DotStuffer

# Octets that matter here come often.
TRICKY = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"a", b"\0", b"\xff"]), max_size=40
).map(b"".join)
MESSAGES = TRICKY | st.binary(max_size=200)


def stuff(chunks: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join([*(stuffer.feed(chunk) for chunk in chunks), stuffer.finish()])


def normalise(message: bytes) -> bytes:
    whole = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    return whole if not whole or whole.endswith(b"\r\n") else whole + b"\r\n"


def unstuff(wire: bytes) -> bytes:
    """A reference reader: lines by CRLF only, one leading dot off, ``.`` alone ends."""
    lines: list[bytes] = []
    rest = wire
    while True:
        line, _, rest = rest.partition(b"\r\n")
        if line == b".":
            assert rest == b"", "octets behind the end of data"
            return b"".join(line + b"\r\n" for line in lines)
        lines.append(line.removeprefix(b"."))


@given(st.lists(MESSAGES, max_size=6))
def test_S7_every_message_in_every_chunking_survives_and_ends_once(chunks: list[bytes]) -> None:
    wire = stuff(chunks)
    assert unstuff(wire) == normalise(b"".join(chunks))
    # The CRLF of the DATA command stands before the first octet.
    seen = b"\r\n" + wire
    assert seen.count(b"\r\n.\r\n") == 1 and seen.endswith(b"\r\n.\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", wire), "a bare CR or LF left"


@given(MESSAGES)
def test_S7_chunk_borders_change_nothing(message: bytes) -> None:
    octet_by_octet = [message[i : i + 1] for i in range(len(message))]
    assert stuff(octet_by_octet) == stuff([message])


@pytest.mark.parametrize(
    "chunks, wire",
    [
        ([], b".\r\n"),
        ([b".\r\n"], b"..\r\n.\r\n"),
        ([b"a\n", b".\nMAIL FROM:<x@y>"], b"a\r\n..\r\nMAIL FROM:<x@y>\r\n.\r\n"),
        ([b"a\r", b"\n.\r\n"], b"a\r\n..\r\n.\r\n"),
        ([b"a\r", b".b"], b"a\r\n..b\r\n.\r\n"),
        ([b"no end"], b"no end\r\n.\r\n"),
        ([b"\r"], b"\r\n.\r\n"),
    ],
)
def test_S7_dots_at_borders(chunks: list[bytes], wire: bytes) -> None:
    assert stuff(chunks) == wire
