"""Whatever arrives: nothing is raised, memory stays bounded, chunks change nothing, in step."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.imap.commands import Noop
from gateway.wire.imap.events import (
    AppendStarted,
    BadCommand,
    CommandReceived,
    Event,
    MustClose,
    ReaderLimits,
)
from gateway.wire.imap.reader import CommandReader
from tests.wire.imap.drive import accept, feed_in, joined, refuse, take_all

SMALL = ReaderLimits(
    line_octets=80,
    command_octets=200,
    literal_octets=30,
    non_sync_octets=10,
    skip_octets=20,
    literals=3,
    quoted_octets=20,
    nesting=3,
    search_keys=5,
    fetch_items=5,
)
WORDS = [
    b"a1 ", b"LOGIN ", b"APPEND ", b"INBOX ", b"SEARCH ", b"UID ", b"FETCH ", b"STORE ", b"NOOP",
    b"{3}\r\n", b"{3+}\r\n", b"{0+}\r\n", b"{15+}\r\n", b"{21+}\r\n", b"{25}\r\n", b"{}\r\n",
    b"{9999999999999+}\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b" ", b"(", b")", b'"', b"\\", b"abc",
    b"1:*", b"FLAGS", b"BODY[", b"]", b"<0.5>", b"NOT ", b"OR ", b"ALL", b"&Jjo-", b"\0", b"\xff",
    b"x" * 30, b"x" * 90, b"a APPEND INBOX {12}\r\n", b"a APPEND INBOX {9+}\r\n",
    b"a APPEND x {6+}\r\n\r\nab\0c\r\n", b"a LOGIN {3+}\r\nbob x\r\n", b"a LOGIN {11+}\r\n",
]  # fmt: skip

octets = st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=25).map(b"".join)
chunkings = st.lists(st.integers(1, 40), min_size=1, max_size=10)


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    pieces, position, turn = [], 0, 0
    while position < len(data):
        length = lengths[turn % len(lengths)]
        pieces.append(data[position : position + length])
        position += length
        turn += 1
    return pieces


@settings(max_examples=300)
@given(octets, chunkings, st.booleans())
def test_chunks_change_nothing(data: bytes, lengths: list[int], willing: bool) -> None:
    decide = accept if willing else refuse
    whole = feed_in([data], SMALL, decide)
    assert feed_in(cut(data, lengths), SMALL, decide) == whole
    if any(isinstance(event, MustClose) for event in whole):
        assert isinstance(whole[-1], MustClose)


@settings(max_examples=300)
@given(octets, chunkings)
def test_I2_memory_is_bounded(data: bytes, lengths: list[int]) -> None:
    reader = CommandReader(SMALL)
    for piece in cut(data * 5, lengths):
        reader.feed(piece)
        take_all(reader)
        assert reader.buffered_octets <= SMALL.line_octets + 40
        assert len(reader._command) <= SMALL.command_octets + 40


@settings(max_examples=300)
@given(octets)
def test_I4_the_stream_comes_back_into_step(data: bytes) -> None:
    """After enough octets for any literal and a line end, the next command is understood."""
    reader = CommandReader(SMALL)
    events: list[Event] = []
    for piece in [data, *[b"\r\n"] * 40]:
        reader.feed(piece)
        events += take_all(reader)
    if any(isinstance(event, MustClose) for event in events):
        return
    if any(isinstance(event, AppendStarted) and event.size_octets > 50 for event in events):
        return
    reader.feed(b"z NOOP\r\n")
    assert joined(take_all(reader))[-1] == CommandReceived(Noop(b"z"))


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_I16_arbitrary_octets_are_answered_in_our_words(data: bytes) -> None:
    for event in feed_in([data, b"\r\n"], SMALL):
        if isinstance(event, BadCommand):
            assert re.fullmatch(r"[ -~]+", event.text)
            assert event.tag is None or re.fullmatch(rb"[!-~]+", event.tag)
