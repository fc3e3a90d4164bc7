"""POP3 lines under every chunking, and the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.foreign import is_binary
from gateway.wire.pop3_lines import (
    MAX_LINE_OCTETS,
    MAX_SASL_LINE_OCTETS,
    Broken,
    LineReader,
    is_foreign,
)


def lines_of(*chunks: bytes) -> list[bytes]:
    reader = LineReader()
    lines = []
    for chunk in chunks:
        reader.feed(chunk)
        while (line := reader.next_line()) is not None:
            lines.append(line)
    return lines


def test_lines_whole_and_byte_by_byte() -> None:
    stream = b"USER a\r\nPASS b c\r\n\r\nSTAT\r\nQU"
    lines = [b"USER a", b"PASS b c", b"", b"STAT"]
    assert lines_of(stream) == lines
    assert lines_of(*(stream[i : i + 1] for i in range(len(stream)))) == lines


@pytest.mark.parametrize(
    "stream",
    [b"STAT\nQUIT\r\n", b"STAT\rQUIT\r\n", b"NOOP\0\r\n", b"\n", b"STAT\r\r\n", b"A\r\n\n"],
)
def test_S6_only_crlf_ends_a_line(stream: bytes) -> None:
    with pytest.raises(Broken):
        lines_of(stream)
    with pytest.raises(Broken):
        lines_of(*(stream[i : i + 1] for i in range(len(stream))))


def test_P1_a_line_has_255_octets_at_most() -> None:
    assert lines_of(b"x" * (MAX_LINE_OCTETS - 2) + b"\r\n") == [b"x" * 253]
    with pytest.raises(Broken):
        lines_of(b"x" * (MAX_LINE_OCTETS - 1) + b"\r\n")
    with pytest.raises(Broken):
        lines_of(b"x" * MAX_LINE_OCTETS)


def test_lines_of_an_exchange_may_be_longer() -> None:
    long = b"A" * 4000
    assert lines_of(b"auth PLAIN " + long + b"\r\n") == [b"auth PLAIN " + long]
    reader = LineReader()
    reader.feed(long + b"\r\n")
    assert reader.next_line(MAX_SASL_LINE_OCTETS) == long
    with pytest.raises(Broken):
        lines_of(b"AUTH " + b"A" * MAX_SASL_LINE_OCTETS)


@given(st.binary(max_size=600), st.lists(st.integers(1, 40), max_size=40))
def test_chunking_changes_nothing(stream: bytes, sizes: list[int]) -> None:
    def outcome(*chunks: bytes) -> tuple[list[bytes], bool]:
        reader = LineReader()
        lines: list[bytes] = []
        try:
            for chunk in chunks:
                reader.feed(chunk)
                while (line := reader.next_line()) is not None:
                    lines.append(line)
        except Broken:
            return lines, True
        return lines, False

    chunks = []
    rest = stream
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert outcome(*chunks, rest) == outcome(stream)


def test_S20_other_protocols_are_recognised() -> None:
    assert is_foreign(b"GET / HTTP/1.1")
    assert is_foreign(b"CONNECT mx:25 HTTP/1.1")
    assert is_foreign(b"EHLO x")
    assert not is_foreign(b"CAPA")
    assert is_binary(b"\x16\x03\x01\x02\x00")
    assert is_binary(b"\x80\x2e")
    assert not is_binary(b"CAPA\r\n")
    assert not is_binary(b"")
