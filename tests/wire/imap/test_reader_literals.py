"""Literals: what is refused before it is sent, what is read and dropped, what ends a connection."""

from __future__ import annotations

import pytest

from gateway.wire.imap.commands import Login, Noop
from gateway.wire.imap.events import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    BadCommand,
    CommandReceived,
    ContinuationWanted,
    Event,
    MustClose,
    ReaderLimits,
)
from gateway.wire.imap.reader import CommandReader
from tests.wire.imap.drive import read, take_all

NEXT = CommandReceived(Noop(b"z"))
TOO_LONG = BadCommand(b"a", "literal too long", "TOOBIG", "NO")


def test_a_synchronising_literal_is_asked_for() -> None:
    reader = CommandReader(BEFORE_LOGIN)
    reader.feed(b"a LOGIN {3}\r\n")
    assert take_all(reader) == [ContinuationWanted()]
    reader.feed(b"bob {6}\r\n")
    assert take_all(reader) == [ContinuationWanted()]
    reader.feed(b"secret\r\n")
    assert take_all(reader) == [CommandReceived(Login(b"a", "bob", b"secret"))]


def test_I2_non_synchronising_literals_before_login() -> None:
    assert read(b"a LOGIN {3+}\r\nbob {6+}\r\nsecret\r\n", BEFORE_LOGIN) == [
        CommandReceived(Login(b"a", "bob", b"secret"))
    ]


@pytest.mark.parametrize("size", [b"4294967295", b"18446744073709551616", b"9" * 4000, b"1025"])
def test_I2_a_large_literal_is_refused_before_it_is_sent(size: bytes) -> None:
    assert read(b"a LOGIN {%b}\r\nz NOOP\r\n" % size, BEFORE_LOGIN) == [TOO_LONG, NEXT]


@pytest.mark.parametrize("size", [b"4097", b"4294967295", b"18446744073709551616", b"9" * 4000])
@pytest.mark.parametrize("limits", [BEFORE_LOGIN, AFTER_LOGIN])
def test_I3_a_large_non_synchronising_literal_ends_the_connection(
    size: bytes, limits: ReaderLimits
) -> None:
    assert read(b"a LOGIN {%b+}\r\nz NOOP\r\n" % size, limits) == [
        MustClose("literal too long", "TOOBIG")
    ]


def test_I3_before_login_some_hundred_octets_are_taken_unasked() -> None:
    taken = b"a LOGIN {512+}\r\n%b x\r\n" % (b"b" * 512)
    assert read(taken, BEFORE_LOGIN) == [CommandReceived(Login(b"a", "b" * 512, b"x"))]
    refused = b"a LOGIN {513+}\r\n%b x\r\nz NOOP\r\n" % (b"b" * 513)
    assert read(refused, BEFORE_LOGIN) == [TOO_LONG, NEXT]


@pytest.mark.parametrize("rest", [b"", b" x", b" {9+}\r\nq LOGOUT\r", b" {0+}\r\n", b" {5}"])
def test_I4_octets_of_a_refused_literal_are_no_command(rest: bytes) -> None:
    """Whatever follows in the command belongs to it too, further literals included."""
    evil = (b"\r\ny LOGOUT\r\n" * 60)[:600]
    sent = b"a LOGIN {600+}\r\n%b%b\r\nz NOOP\r\n" % (evil, rest)
    assert read(sent, BEFORE_LOGIN) == [TOO_LONG, NEXT]


def test_I4_a_literal_behind_a_broken_tag_is_dropped_too() -> None:
    assert read(b"+ LOGIN {10+}\r\ny LOGOUT\r\n x\r\nz NOOP\r\n") == [
        BadCommand(None, "tag missing or not possible"),
        NEXT,
    ]
    assert read(b"+ LOGIN {10}\r\nz NOOP\r\n") == [
        BadCommand(None, "tag missing or not possible"),
        NEXT,
    ]


def test_I4_a_literal_announced_in_a_dropped_line() -> None:
    line = b"a SEARCH SUBJECT " + b"x" * 65_536
    too_long = BadCommand(b"a", "line too long", "TOOBIG", "NO")
    assert read(line + b" {10+}\r\ny LOGOUT\r\n\r\nz NOOP\r\n") == [too_long, NEXT]
    assert read(line + b" {10}\r\nz NOOP\r\n") == [too_long, NEXT]
    closed = MustClose("literal too long", "TOOBIG")
    for size in (b"4097", b"9" * 15, b"9" * 100):
        assert read(line + b" {%b+}\r\nz NOOP\r\n" % size) == [too_long, closed]


def test_I4_dropping_has_an_end() -> None:
    """Literal after literal behind a refusal does not keep a connection busy for ever."""
    sent = b"a LOGIN {4000+}\r\n" + (b"x" * 4000 + b" {4000+}\r\n") * 80
    assert read(sent, BEFORE_LOGIN) == [TOO_LONG, MustClose("line too long", "TOOBIG")]


def test_I2_a_thousand_literals_are_too_many() -> None:
    assert read(b"a LOGIN" + b" {1+}\r\nx" * 1000 + b"\r\nz NOOP\r\n") == [TOO_LONG, NEXT]
    few = read(b"a LOGIN" + b" {1}\r\nx" * 4 + b"\r\n", BEFORE_LOGIN)
    assert few[:4] == [ContinuationWanted()] * 4


def test_I2_nothing_is_allocated_for_an_announced_size() -> None:
    reader = CommandReader(AFTER_LOGIN)
    reader.feed(b"a SEARCH TEXT {65536}\r\n")
    assert take_all(reader) == [ContinuationWanted()]
    assert len(reader._command) < 100


def test_I5_a_command_of_many_literals_has_a_limit() -> None:
    piece = b" {60000}\r\n" + b"x" * 60_000
    events = read_whole(b"a SEARCH TEXT" + piece * 4 + b" {60000}\r\nz NOOP\r\n")
    assert events == [
        *[ContinuationWanted()] * 4,
        BadCommand(b"a", "command too long", "TOOBIG", "NO"),
        NEXT,
    ]


def read_whole(data: bytes) -> list[Event]:
    reader = CommandReader(AFTER_LOGIN)
    reader.feed(data)
    return take_all(reader)


def test_I5_a_long_line_is_refused_and_skipped() -> None:
    limit = BEFORE_LOGIN.line_octets
    fits = b"a NOOP" + b" " * (limit - 8) + b"\r\n"
    assert len(fits) == limit
    assert read(fits + b"z NOOP\r\n", BEFORE_LOGIN) == [
        BadCommand(b"a", "unexpected text after the command"),
        NEXT,
    ]
    assert read(b" ".join([fits[:-2], b"\r\nz NOOP\r\n"]), BEFORE_LOGIN) == [
        BadCommand(b"a", "line too long", "TOOBIG", "NO"),
        NEXT,
    ]


def test_F1g_a_line_without_end_ends_the_connection() -> None:
    reader = CommandReader(BEFORE_LOGIN)
    events: list[Event] = []
    for _ in range(1000):
        reader.feed(b"a" * 1000)
        events += take_all(reader)
        assert reader.buffered_octets <= BEFORE_LOGIN.line_octets + 1000
    assert events == [
        BadCommand(None, "tag missing or not possible"),
        MustClose("line too long", "TOOBIG"),
    ]
