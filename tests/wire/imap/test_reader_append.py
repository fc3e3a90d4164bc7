"""APPEND: decided before its message is sent, passed through, and in step after any mistake."""

from __future__ import annotations

import pytest

from gateway.wire.imap.commands import Append, Noop
from gateway.wire.imap.events import (
    AFTER_LOGIN,
    AppendData,
    AppendFinished,
    AppendStarted,
    BadCommand,
    CommandReceived,
    ContinuationWanted,
    Event,
    MustClose,
    ReaderLimits,
)
from gateway.wire.imap.reader import CommandReader
from tests.wire.imap.drive import read, refuse, take_all

NEXT = CommandReceived(Noop(b"z"))
PLAIN = Append(b"a", "INBOX", frozenset(), None)


def started(append: Append, size: int, *, synchronising: bool = True) -> list[Event]:
    return [AppendStarted(append, size, synchronising)]


def test_a_message_passes_through() -> None:
    message = b"Subject: x\r\n\r\nz LOGOUT\r\n{5}\r\n\n\r\xff"
    sent = b"a APPEND INBOX {%d}\r\n%b\r\nz NOOP\r\n" % (len(message), message)
    assert read(sent) == [
        *started(PLAIN, len(message)),
        AppendData(message),
        AppendFinished(PLAIN),
        NEXT,
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b'"Sent Items"', Append(b"a", "Sent Items", frozenset(), None)),
        (b"INBOX ()", PLAIN),
        (
            b'inbox (\\seen $Label) "17-Jul-1996 02:44:25 -0700"',
            Append(b"a", "INBOX", frozenset({"\\Seen", "$Label"}), 837_596_665),
        ),
        (b'x " 1-Jan-1970 00:00:00 +0000"', Append(b"a", "x", frozenset(), 0)),
        (b"{5+}\r\nINBOX (\\Recent)", PLAIN),
    ],
)
def test_the_head_in_all_its_forms(head: bytes, expected: Append) -> None:
    sent = b"a append %b {3+}\r\nabc\r\nz NOOP\r\n" % head
    assert read(sent) == [
        *started(expected, 3, synchronising=False),
        AppendData(b"abc"),
        AppendFinished(expected),
        NEXT,
    ]


def test_a_mailbox_name_as_synchronising_literal() -> None:
    assert read(b"a APPEND {5}\r\nINBOX {3}\r\nabc\r\n") == [
        ContinuationWanted(),
        *started(PLAIN, 3),
        AppendData(b"abc"),
        AppendFinished(PLAIN),
    ]


@pytest.mark.parametrize(
    ("head", "condition", "code", "text"),
    [
        (b"INBOX \\Seen", "BAD", "", "unexpected text after the command"),
        (b"INBOX (\\Seen", "BAD", "", "a flag is missing"),
        (b'INBOX "yesterday"', "BAD", "", "date is broken"),
        (b'INBOX "31-Feb-2020 00:00:00 +0000"', "BAD", "", "date is broken"),
        (b'INBOX "01-Jan-2020 24:00:00 +0000"', "BAD", "", "date is broken"),
        (b"a//b", "NO", "CANNOT", "mailbox name has an empty or dotted level"),
        (b"INBOX ~", "BAD", "", "unexpected text after the command"),
    ],
)
def test_I12_a_broken_head_is_refused_before_the_message(
    head: bytes, condition: str, code: str, text: str
) -> None:
    separator = b"" if head.endswith(b"~") else b" "
    for literal in (b"{13}\r\n", b"{13+}\r\ny LOGOUT\r\nxyz\r\n"):
        (bad, following) = read(b"a APPEND " + head + separator + literal + b"z NOOP\r\n")
        assert isinstance(bad, BadCommand)
        assert (bad.tag, bad.condition, bad.code, bad.text) == (b"a", condition, code, text)
        assert following == NEXT


def test_I12_an_empty_message_is_refused() -> None:
    expected = [BadCommand(b"a", "an empty message cannot be stored"), NEXT]
    assert read(b"a APPEND INBOX {0}\r\nz NOOP\r\n") == expected
    assert read(b"a APPEND INBOX {0+}\r\n\r\nz NOOP\r\n") == expected


def test_I12_the_door_refuses_before_the_message_is_sent() -> None:
    assert read(b"a APPEND INBOX {99999999}\r\nz NOOP\r\n", decide=refuse) == [
        *started(PLAIN, 99_999_999),
        NEXT,
    ]


def test_I4_a_refused_message_that_comes_anyway_is_dropped() -> None:
    sent = b"a APPEND INBOX {12+}\r\ny LOGOUT\r\n\r\n\r\nz NOOP\r\n"
    assert read(sent, decide=refuse) == [*started(PLAIN, 12, synchronising=False), NEXT]


def test_I3_a_large_message_that_comes_unasked_ends_the_connection() -> None:
    assert read(b"a APPEND INBOX {4097+}\r\nz NOOP\r\n") == [
        MustClose("literal too long", "TOOBIG")
    ]
    reader = CommandReader(ReaderLimits(non_sync_octets=10_000))
    reader.feed(b"a APPEND INBOX {4097+}\r\nz NOOP\r\n")
    assert isinstance(reader.next_event(), AppendStarted)
    assert reader.refuse_append() is False
    assert reader.next_event() is None


@pytest.mark.parametrize("size", [b"9999999999999", b"9" * 3000])
def test_I2_sizes_beyond_all_reason(size: bytes) -> None:
    too_long = BadCommand(b"a", "literal too long", "TOOBIG", "NO")
    assert read(b"a APPEND INBOX {%b}\r\nz NOOP\r\n" % size) == [too_long, NEXT]


def test_I12_NUL_in_a_message_is_bad_and_the_rest_is_dropped() -> None:
    events = read(b"a APPEND INBOX {15}\r\nab\0y LOGOUT\r\nxy\r\nz NOOP\r\n")
    assert events == [
        *started(PLAIN, 15),
        AppendData(b"ab"),
        BadCommand(b"a", "NUL is not possible in a message"),
        NEXT,
    ]


@pytest.mark.parametrize(
    "rest", [b" {3+}\r\nabc\r\n", b"x\r\n", b"\rx\r\n", b" {3}\r\n", b"\n\r\n"]
)
def test_anything_behind_the_message_is_bad(rest: bytes) -> None:
    events = read(b"a APPEND INBOX {3}\r\nabc" + rest + b"z NOOP\r\n")
    assert events == [
        *started(PLAIN, 3),
        AppendData(b"abc"),
        BadCommand(b"a", "unexpected text after the message"),
        NEXT,
    ]


def test_nothing_is_read_while_the_door_decides() -> None:
    reader = CommandReader(AFTER_LOGIN)
    reader.feed(b"a APPEND INBOX {3+}\r\nabc\r\n")
    assert isinstance(reader.next_event(), AppendStarted)
    assert reader.next_event() is None
    assert reader.buffered_octets == 5
    reader.accept_append()
    assert take_all(reader) == [AppendData(b"abc"), AppendFinished(PLAIN)]


def test_a_large_message_is_never_held() -> None:
    size = 20_000_000
    reader = CommandReader(AFTER_LOGIN)
    reader.feed(b"a APPEND INBOX {%d}\r\n" % size)
    assert take_all(reader) == started(PLAIN, size)
    piece = b"x" * 100_000
    got = 0
    for _ in range(size // len(piece)):
        reader.feed(piece)
        (event,) = take_all(reader)
        assert isinstance(event, AppendData)
        got += len(event.data)
        assert reader.buffered_octets == 0
    reader.feed(b"\r\n")
    assert take_all(reader) == [AppendFinished(PLAIN)]
    assert got == size
