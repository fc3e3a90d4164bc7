"""SEARCH: each key's value, charsets, depth, and what the store gets in the end."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.core import search as core
from gateway.core.uidset import Ranges
from gateway.wire.imap.commands import Search
from gateway.wire.imap.events import BEFORE_LOGIN
from gateway.wire.imap.search import And, InSet, Not, Or, Recent, WireKey, resolve
from gateway.wire.imap.sequence import SequenceSet
from tests.wire.imap.drive import command, refusal

ALL = core.All()
SEEN = core.HasFlag("\\Seen")
DAY = date(1994, 2, 1).toordinal()


def number(value: int) -> WireKey:
    return InSet(SequenceSet(((value, value),)), uid=False)


def key_of(text: bytes) -> WireKey:
    found = command(b"a SEARCH " + text)
    assert isinstance(found, Search)
    return found.key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"ALL", ALL),
        (b"unseen", Not(SEEN)),
        (b"NEW", And((Recent(), Not(SEEN)))),
        (b"OLD", Not(Recent())),
        (b"RECENT", Recent()),
        (b"1:3,*", InSet(SequenceSet(((1, 3), (0, 0))), uid=False)),
        (b"UID 4:*", InSet(SequenceSet(((4, 0),)), uid=True)),
        (b"KEYWORD $Forwarded", core.HasFlag("$Forwarded")),
        (b"UNKEYWORD a", Not(core.HasFlag("a"))),
        (b"LARGER 10", core.SizeIs(">", 10)),
        (b"SMALLER 0", core.SizeIs("<", 0)),
        (b"BEFORE 1-Feb-1994", core.DateIs("internal", "<", DAY)),
        (b'ON "01-feb-1994"', core.DateIs("internal", "=", DAY)),
        (b"SINCE 01-Feb-1994", core.DateIs("internal", ">=", DAY)),
        (b"SENTBEFORE 1-Feb-1994", core.DateIs("sent", "<", DAY)),
        (b"SENTON 1-Feb-1994", core.DateIs("sent", "=", DAY)),
        (b"SENTSINCE 1-Feb-1994", core.DateIs("sent", ">=", DAY)),
        (b"FROM alice", core.HeaderHas("From", "alice")),
        (b'SUBJECT "a b"', core.HeaderHas("Subject", "a b")),
        (b'HEADER X-Spam ""', core.HeaderHas("X-Spam", "")),
        (b"BODY {3+}\r\na\r\n", core.TextHas("a\r\n", with_header=False)),
        (b"TEXT x", core.TextHas("x", with_header=True)),
        (b"CHARSET UTF-8 TEXT {2+}\r\n\xc3\xa9", core.TextHas("\u00e9", with_header=True)),
        (b'charset "us-ascii" TEXT x', core.TextHas("x", with_header=True)),
        (b'TEXT "\xc3\xa9"', core.TextHas("\u00e9", with_header=True)),
        (b"ALL SEEN", And((ALL, SEEN))),
        (b"(ALL SEEN)", And((ALL, SEEN))),
        (b"((ALL))", ALL),
        (b"NOT NOT SEEN", Not(Not(SEEN))),
        (b"OR SEEN ALL ALL", And((Or(SEEN, ALL), ALL))),
        (b"OR NOT SEEN (ALL SEEN)", Or(Not(SEEN), And((ALL, SEEN)))),
        (
            b"OR OR 1 2 (OR 3 4)",
            Or(Or(number(1), number(2)), Or(number(3), number(4))),
        ),
    ],
)
def test_key(text: bytes, expected: WireKey) -> None:
    assert key_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "a search key is missing"),
        (b"()", "a search key is missing"),
        (b"FROM", "missing argument"),
        (b"FROBNICATE", "search key not known"),
        (b"RETURN (ALL) ALL", "search key not known"),
        (b"0", "search key not known"),
        (b"1,,2", "syntax error"),
        (b"NOT", "search key not known"),
        (b"NOT ", "a search key is missing"),
        (b"OR ALL", "search key is incomplete"),
        (b"OR ALL ", "a search key is missing"),
        (b"(OR ALL) ALL", "syntax error"),
        (b"(ALL", "search key is incomplete"),
        (b"ALL)", "syntax error"),
        (b"ALL  SEEN", "a search key is missing"),
        (b"ON 30-Feb-1994", "a date is broken"),
        (b"ON yesterday", "a date is broken"),
        (b"LARGER 4294967296", "a number from 0 to 4294967295 is missing"),
        (b"LARGER -1", "a number from 0 to 4294967295 is missing"),
        (b"LARGER 99999999999", "a number from 0 to 4294967295 is missing"),
        (b"KEYWORD \\Seen", "a flag is missing"),
        (b"CHARSET UTF-8", "missing argument"),
        (b'TEXT "\xff"', "search text is not UTF-8"),
    ],
)
def test_broken_key_is_bad(text: bytes, expected: str) -> None:
    assert refusal(b"a SEARCH " + text) == ("BAD", "", expected)


def test_I6_an_unknown_charset_is_told_with_those_we_know() -> None:
    assert refusal(b"a SEARCH CHARSET KOI8-R TEXT x") == (
        "NO",
        "BADCHARSET (US-ASCII UTF-8)",
        "charset not known",
    )


@pytest.mark.parametrize(
    "text",
    [
        b"(" * 60_000,
        b"(" * 51 + b"ALL" + b")" * 51,
        b"NOT " * 16_000 + b"ALL",
        b"NOT " * 51 + b"ALL",
        b"OR ALL " * 9_000 + b"ALL",
        b"OR " * 20_000 + b"ALL",
        b"NOT (" * 26 + b"ALL" + b")" * 26,
    ],
)
def test_I6_deep_nesting_is_bad(text: bytes) -> None:
    assert refusal(b"a SEARCH " + text)[2] == "search keys are nested too deeply"


def test_I6_nesting_that_is_allowed_resolves() -> None:
    for text in (b"(" * 50 + b"ALL" + b")" * 50, b"NOT " * 50 + b"ALL", b"OR ALL " * 50 + b"ALL"):
        resolve(key_of(text), lambda numbers, uid: (), ())


def test_I6_many_keys_are_refused() -> None:
    assert refusal(b"a SEARCH" + b" ALL" * 501) == ("NO", "LIMIT", "too many search keys")
    assert key_of(b" ".join([b"ALL"] * 500)) == And((ALL,) * 500)


def test_I1_before_login_one_open_list_is_possible() -> None:
    assert refusal(b"a SEARCH ((ALL))", BEFORE_LOGIN)[2] == "search keys are nested too deeply"


def test_resolve_asks_for_sets_and_recent_once_each() -> None:
    asked: list[tuple[SequenceSet, bool]] = []

    def to_uids(numbers: SequenceSet, uid: bool) -> Ranges:
        asked.append((numbers, uid))
        return ((10, 20),)

    key = key_of(b"OR NEW NOT (2:* UID 7 FROM x)")
    assert resolve(key, to_uids, ((5, 6),)) == core.Or(
        core.And((core.UidIn(((5, 6),)), core.Not(SEEN))),
        core.Not(
            core.And(
                (core.UidIn(((10, 20),)), core.UidIn(((10, 20),)), core.HeaderHas("From", "x"))
            )
        ),
    )
    assert asked == [(SequenceSet(((2, 0),)), False), (SequenceSet(((7, 7),)), True)]


def test_uid_search_is_told_apart() -> None:
    found = command(b"a UID SEARCH ALL")
    assert found == Search(b"a", ALL, uid=True)
