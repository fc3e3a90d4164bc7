"""Date headers as senders write them (RFC 5322 sections 3.3 and 4.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.mime.dates import parse_date


def at(offset_h: float, *fields: int) -> datetime:
    return datetime(*fields, tzinfo=timezone(timedelta(hours=offset_h)))  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", at(-6, 1997, 11, 21, 9, 55, 6)),
        ("Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)", at(-3.5, 1969, 2, 13, 23, 32)),
        ("Thu,\r\n 13\r\n Feb (x)\r\n 1969 23:32:54 -0330", at(-3.5, 1969, 2, 13, 23, 32, 54)),
        ("21 Nov 97 09:55:06 GMT", at(0, 1997, 11, 21, 9, 55, 6)),
        ("Fri, 21 Nov 97 09(comment):   55  :  06 -0600", at(-6, 1997, 11, 21, 9, 55, 6)),
        ("1 Jan 49 00:00 EST", at(-5, 2049, 1, 1, 0, 0)),
        ("1 Jan 50 00:00 PDT", at(-7, 1950, 1, 1, 0, 0)),
        ("1 Jan 103 00:00:00 Z", at(0, 2003, 1, 1, 0, 0)),
        ("1 Jan 2003 00:00:00 K", at(0, 2003, 1, 1, 0, 0)),
        ("1 Jan 2003 00:00:00", at(0, 2003, 1, 1, 0, 0)),
        ("1 Jan 2003", at(0, 2003, 1, 1, 0, 0)),
        ("Monday, 5 January 2026 10:00:00 +0100", at(1, 2026, 1, 5, 10, 0, 0)),
        ("Mon, 5-Jan-2026 10:00:00 +0100", at(1, 2026, 1, 5, 10, 0, 0)),
        ("Mon Jan  5 10:00:00 2026", at(0, 2026, 1, 5, 10, 0, 0)),
        ("Mon Jan  5 10:00:00 EST 2026", at(-5, 2026, 1, 5, 10, 0, 0)),
        ("31 Dec 2016 23:59:60 +0000", at(0, 2016, 12, 31, 23, 59, 59)),
        ("1 Jan 2003 00:00 +9999", at(0, 2003, 1, 1, 0, 0)),
    ],
)
def test_dates(value: str, expected: datetime) -> None:
    found = parse_date(value)
    assert found == expected
    assert found is not None and found.utcoffset() == expected.utcoffset()


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "32 Jan 2003 00:00", "30 Feb 2003", "1 Foo 2003", "1 Jan 2003 25:00", "2003"]
    + [
        "(" * 10_000,
        " " * 1_000_000,
        "1 " * 1_000_000,
        "Mon" * 100_000,
        "١ Jan 2003",
        "\ud800 (x) 1 Jan 2003",
    ],
)
def test_what_is_no_date(value: str) -> None:
    assert parse_date(value) is None


def test_the_date_is_kept_as_written() -> None:
    found = parse_date("1 Jan 2026 00:30:00 +1400")
    assert found is not None and found.day == 1 and found.astimezone(UTC).day == 31


@settings(deadline=None)
@given(st.text(alphabet="0123456789 JanFeb,:+-()MonESTZ\t\u0660", max_size=40))
def test_any_text_is_a_date_or_none(value: str) -> None:
    found = parse_date(value)
    assert found is None or found.tzinfo is not None
