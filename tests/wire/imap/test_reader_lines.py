"""Line ends, lines of an exchange, octets behind STARTTLS, pipelined commands."""

from __future__ import annotations

import pytest

from gateway.wire.imap.commands import Authenticate, Idle, Noop, StartTls
from gateway.wire.imap.events import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    BadCommand,
    CommandReceived,
    Event,
    RawLine,
    RawLineRefused,
)
from gateway.wire.imap.reader import CommandReader
from tests.wire.imap.drive import read, take_all

NEXT = CommandReceived(Noop(b"z"))


def exchange(data: bytes, most: int, *, single: bool) -> list[Event]:
    """The events when each AUTHENTICATE or IDLE asks for one line."""
    reader = CommandReader(AFTER_LOGIN)
    events: list[Event] = []
    pieces = [data[i : i + 1] for i in range(len(data))] if single else [data]
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
            if isinstance(event, CommandReceived) and isinstance(
                event.command, Authenticate | Idle
            ):
                reader.expect_line(most)
    return events


BEGIN = CommandReceived(Authenticate(b"a", "PLAIN", None))


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"AGEAYg==\r\n", RawLine(b"AGEAYg==")),
        (b"*\r\n", RawLine(b"*")),
        (b"\r\n", RawLine(b"")),
        (b"=\r\n", RawLine(b"=")),
        (b"z LOGOUT {3+}\r\n", RawLine(b"z LOGOUT {3+}")),
        (b"\0\xff\r\n", RawLine(b"\0\xff")),
        (b"x" * 20 + b"\r\n", RawLine(b"x" * 20)),
        (b"x" * 21 + b"\r\n", RawLineRefused("line too long")),
        (b"x" * 5000 + b" {10+}\r\n", RawLineRefused("line too long")),
        (b"\n\r\n", RawLineRefused("lines end with CRLF")),
        (b"AA\nz LOGOUT\r\n", RawLineRefused("lines end with CRLF")),
    ],
)
def test_A2_a_line_of_an_exchange_comes_as_it_is(
    line: bytes, expected: Event, single: bool
) -> None:
    data = b"a AUTHENTICATE PLAIN\r\n" + line + b"z NOOP\r\n"
    assert exchange(data, 20, single=single) == [BEGIN, expected, NEXT]


def test_idle_is_ended_by_a_line() -> None:
    assert exchange(b"a IDLE\r\nDONE\r\nz NOOP\r\n", 16, single=False) == [
        CommandReceived(Idle(b"a")),
        RawLine(b"DONE"),
        NEXT,
    ]


def test_F1a_I11_octets_behind_STARTTLS_are_seen() -> None:
    reader = CommandReader(BEFORE_LOGIN)
    reader.feed(b"a STARTTLS\r\nb LOGIN evil x\r\nc NO")
    assert reader.next_event() == CommandReceived(StartTls(b"a"))
    assert reader.buffered_octets == 20


def test_nothing_is_buffered_behind_an_honest_STARTTLS() -> None:
    reader = CommandReader(BEFORE_LOGIN)
    reader.feed(b"a STARTTLS\r\n")
    assert reader.next_event() == CommandReceived(StartTls(b"a"))
    assert reader.buffered_octets == 0


def test_I11_pipelined_commands_wait_for_the_door() -> None:
    reader = CommandReader(BEFORE_LOGIN)
    reader.feed(b"a LOGIN alice x\r\nb UID FETCH 1 (FLAGS UID)\r\nz NOOP\r\n")
    assert reader.next_event() is not None
    assert reader.buffered_octets == 35
    reader.limits = AFTER_LOGIN  # what waited is read with the new limits
    assert len(take_all(reader)) == 2


@pytest.mark.parametrize("line", [b"a NOOP\n", b"\n", b"a LOGIN x y\nb LOGOUT\n", b"a NOOP\n\r"])
def test_a_bare_line_feed_is_told_at_once_and_runs_nothing(line: bytes) -> None:
    reader = CommandReader(AFTER_LOGIN)
    reader.feed(line)
    tag = None if line == b"\n" else b"a"
    assert take_all(reader) == [BadCommand(tag, "lines end with CRLF")]
    reader.feed(b"q LOGOUT\n\r\nz NOOP\r\n")
    assert take_all(reader) == [NEXT]


def test_a_line_feed_inside_a_quoted_string_starts_no_command() -> None:
    sent = b'a SEARCH SUBJECT "x\ny DELETE INBOX\r\nz NOOP\r\n'
    assert read(sent) == [BadCommand(b"a", "lines end with CRLF"), NEXT]


def test_a_bare_carriage_return_is_bad() -> None:
    assert read(b"a NOOP\ry LOGOUT\r\nz NOOP\r\n") == [
        BadCommand(b"a", "unexpected text after the command"),
        NEXT,
    ]
    assert read(b"a NOOP\r\r\nz NOOP\r\n") == [
        BadCommand(b"a", "unexpected text after the command"),
        NEXT,
    ]
