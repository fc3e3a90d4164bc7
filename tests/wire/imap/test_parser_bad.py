"""Broken commands and exactly what is said about them; the stream stays in step after each."""

from __future__ import annotations

import pytest

from gateway.wire.imap.commands import Login, Noop
from gateway.wire.imap.events import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    BadCommand,
    CommandReceived,
    ContinuationWanted,
    ReaderLimits,
)
from tests.wire.imap.drive import command, read, refusal

BAD: list[tuple[bytes, str]] = [
    (b"a1", "a command is missing"),
    (b"a1 ", "a command is missing"),
    (b"a1 FROBNICATE", "command not known"),
    (b"a1 UID NOOP", "command not known"),
    (b"a1 NOOP ", "unexpected text after the command"),
    (b"a1 NOOP x", "unexpected text after the command"),
    (b"a1 STARTTLS x", "unexpected text after the command"),
    (b"a1  NOOP", "a command is missing"),
    (b"a1\tNOOP", "tag missing or not possible"),
    (b"a1 N\xc3\xa9OP", "command not known"),
    (b"a1 LOGIN", "missing argument"),
    (b"a1 LOGIN alice", "missing argument"),
    (b"a1 LOGIN alice ", "missing argument"),
    (b"a1 LOGIN al(ice x", "syntax error"),
    (b"a1 LOGIN alice x y", "unexpected text after the command"),
    (b'a1 LOGIN "alice x', "quoted string is broken"),
    (b'a1 LOGIN "al\\ice" x', "quoted string is broken"),
    (b'a1 LOGIN "al\rice" x', "quoted string is broken"),
    (b'a1 LOGIN "al\0ice" x', "quoted string is broken"),
    (b"a1 LOGIN al\xc3\xa9 x", "syntax error"),
    (b'a1 LOGIN "\xff" x', "user name is not UTF-8"),
    (b"a1 LOGIN {1+}\r\n\0 x", "NUL is not possible here"),
    (b"a1 LOGIN alice {3", "literal is broken"),
    (b"a1 LOGIN alice {}", "literal is broken"),
    (b"a1 LOGIN alice {+}", "literal is broken"),
    (b"a1 LOGIN alice {-1}", "literal is broken"),
    (b"a1 LOGIN alice {5-}", "literal is broken"),
    (b"a1 LOGIN alice {5} x", "literal is broken"),
    (b"a1 LOGIN alice x\r", "unexpected text after the command"),
    (b"a1 AUTHENTICATE", "missing argument"),
    (b"a1 AUTHENTICATE PLAIN ", "initial response is not base64"),
    (b"a1 AUTHENTICATE PLAIN *", "initial response is not base64"),
    (b"a1 AUTHENTICATE PLAIN AA AA", "unexpected text after the command"),
    (b"a1 SELECT", "missing argument"),
    (b"a1 SELECT INBOX (CONDSTORE)", "unexpected text after the command"),
    (b"a1 CREATE a (USE (\\Sent))", "unexpected text after the command"),
    (b"a1 RENAME a", "missing argument"),
    (b'a1 LIST "" * RETURN (STATUS)', "return option not known"),
    (b'a1 LIST (SUBSCRIBED) "" *', "a string is missing"),
    (b'a1 LIST "" (a', "list of patterns is broken"),
    (b'a1 LIST "" &Jjo', "mailbox name is not modified UTF-7"),
    (b"a1 STATUS a ()", "a status item is missing"),
    (b"a1 STATUS a (MESSAGES", "list is broken"),
    (b"a1 STATUS a (HIGHESTMODSEQ)", "status item not known"),
    (b"a1 STATUS a MESSAGES", "a list of status items is missing"),
    (b"a1 APPEND INBOX", "APPEND needs the message as a literal"),
    (b'a1 APPEND INBOX "text"', "APPEND needs the message as a literal"),
    (b"a1 ID", "missing argument"),
    (b"a1 ID (name)", "a string is missing"),
    (b'a1 ID ("name")', "syntax error"),
    (b'a1 ID ("name" "x"', "list of ID fields is broken"),
    (b'a1 ID ("%b" "x")' % (b"k" * 31), "ID field too long"),
    (b'a1 ID ("k" "%b")' % (b"v" * 1025), "ID field too long"),
    (b"a1 ID (%b)" % b" ".join([b'"k" NIL'] * 31), "too many ID fields"),
    (b"a1 FETCH x FLAGS", "a set of message numbers is missing or broken"),
    (b"a1 FETCH 1", "missing argument"),
    (b"a1 STORE 1 FLAGS", "missing argument"),
    (b"a1 STORE 1 +FLAG x", "FLAGS is missing"),
    (b"a1 STORE 1 FLAGS.LOUD x", "FLAGS is missing"),
    (b"a1 STORE 1 FLAGS (\\Seen", "list of flags is broken"),
    (b"a1 STORE 1 FLAGS (\\Odd)", "no such system flag"),
    (b"a1 STORE 1 FLAGS (\\*)", "a flag is missing"),
    (b"a1 STORE 1 FLAGS (a]b)", "list of flags is broken"),
    (b"a1 UID EXPUNGE", "missing argument"),
    (b"a1 COPY $ Trash", "a set of message numbers is missing or broken"),
]


@pytest.mark.parametrize(("line", "text"), BAD, ids=[repr(line)[:50] for line, _ in BAD])
def test_broken_command_is_bad(line: bytes, text: str) -> None:
    tag = None if b"\t" in line else b"a1"
    assert read(line + b"\r\nz NOOP\r\n") == [
        BadCommand(tag, text),
        CommandReceived(Noop(b"z")),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"+ NOOP",
        b"* NOOP",
        b"a+b NOOP",
        b"a(b NOOP",
        b"\xe9 NOOP",
        b"%b NOOP" % (b"a" * 129),
    ],
)
def test_I16_a_tag_that_could_not_be_sent_back_is_none(line: bytes) -> None:
    assert read(line + b"\r\nz NOOP\r\n") == [
        BadCommand(None, "tag missing or not possible"),
        CommandReceived(Noop(b"z")),
    ]


@pytest.mark.parametrize("limits", [BEFORE_LOGIN, AFTER_LOGIN])
@pytest.mark.parametrize(
    "line",
    [
        b"a1 " + b"(" * 12_000,
        b"a1 LOGIN " + b"(" * 12_000,
        b"a1 ID " + b"(" * 12_000,
        b"a1 AUTHENTICATE " + b"(" * 12_000,
        b"a1 LIST " + b"(" * 12_000,
        b"a1 FETCH 1 " + b"(" * 12_000,
        b"a1 SEARCH " + b"(" * 12_000,
        b"a1 STATUS a " + b"(" * 12_000,
    ],
)
def test_I1_open_parentheses_are_bad_before_and_after_login(
    line: bytes, limits: ReaderLimits
) -> None:
    condition, code, _ = refusal(line, limits)
    assert (condition, code) == ("BAD", "")


def test_I5_quoted_strings_have_a_limit_of_their_own() -> None:
    limits = ReaderLimits(quoted_octets=10)
    assert isinstance(command(b'a1 LOGIN a "%b"' % (b"x" * 10), limits), Login)
    assert refusal(b'a1 LOGIN a "%b"' % (b"x" * 11), limits) == (
        "NO",
        "TOOBIG",
        "quoted string too long",
    )


def test_a_long_keyword_is_refused() -> None:
    assert refusal(b"a1 STORE 1 FLAGS " + b"k" * 129) == ("NO", "LIMIT", "keyword too long")


def test_I10_many_patterns_are_refused() -> None:
    line = b'a1 LIST "" (%b)' % b" ".join([b"*%"] * 10_000)
    assert refusal(line) == ("NO", "LIMIT", "too many mailbox patterns")


def test_I16_no_refusal_holds_what_the_client_sent() -> None:
    mark = b"ZqZqZ"
    for line, _ in BAD:
        for event in read(line.replace(b"a1 ", b"a1 " + mark, 1) + b"\r\n"):
            if not isinstance(event, ContinuationWanted):
                assert isinstance(event, BadCommand)
                assert mark.decode() not in event.text + event.code
