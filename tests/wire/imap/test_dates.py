"""IMAP's dates, both ways."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.imap import dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"01-Jan-1970 00:00:00 +0000", 0),
        (b" 1-jan-1970 00:00:01 +0000", 1),
        (b"01-JAN-1970 01:00:00 +0100", 0),
        (b"31-Dec-1969 23:30:00 -0030", 0),
        (b"17-Jul-1996 02:44:25 -0700", 837_596_665),
        (b"29-Feb-2024 12:00:00 +0000", 1_709_208_000),
        (b"01-Jan-0001 00:00:00 +0000", -62_135_596_800),
    ],
)
def test_date_time(text: bytes, expected: int) -> None:
    assert dates.parse_date_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"1-Jan-1970 00:00:00 +0000",
        b"00-Jan-1970 00:00:00 +0000",
        b"30-Feb-2024 00:00:00 +0000",
        b"29-Feb-2023 00:00:00 +0000",
        b"01-Foo-2024 00:00:00 +0000",
        b"01-Jan-0000 00:00:00 +0000",
        b"01-Jan-0001 00:00:00 +0100",
        b"31-Dec-9999 23:59:59 -0001",
        b"01-Jan-2024 24:00:00 +0000",
        b"01-Jan-2024 00:60:00 +0000",
        b"01-Jan-2024 00:00:60 +0000",
        b"01-Jan-2024 00:00:00 +2400",
        b"01-Jan-2024 00:00:00 +0060",
        b"01-Jan-2024 00:00:00 GMT",
        b"01-Jan-2024 00:00:00 +0000 ",
        b"01-Jan-24 00:00:00 +0000",
    ],
)
def test_no_date_time(text: bytes) -> None:
    assert dates.parse_date_time(text) is None


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_date_time_round_trip(time: int) -> None:
    rendered = dates.render_date_time(time)
    assert len(rendered) == 28
    assert dates.parse_date_time(rendered[1:-1]) == time


def test_date_time_is_written_in_utc() -> None:
    when = int(datetime(2024, 2, 9, 3, 4, 5, tzinfo=UTC).timestamp())
    assert dates.render_date_time(when) == b'" 9-Feb-2024 03:04:05 +0000"'


@pytest.mark.parametrize("time", [-(10**15), 10**15])
def test_times_out_of_range_are_written_all_the_same(time: int) -> None:
    assert len(dates.render_date_time(time)) == 28


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1-Feb-1994", date(1994, 2, 1)),
        (b"01-feb-1994", date(1994, 2, 1)),
        (b"31-Dec-9999", date.max),
        (b"0-Feb-1994", None),
        (b"31-Apr-1994", None),
        (b"1-Feb-94", None),
        (b"1 Feb 1994", None),
        (b"", None),
    ],
)
def test_date(text: bytes, expected: date | None) -> None:
    assert dates.parse_date(text) == (expected.toordinal() if expected else None)
