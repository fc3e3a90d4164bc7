"""IMAP's date-time and date (RFC 3501 section 9), read and written.

Times are whole Unix seconds; days are proleptic ordinals (``datetime.date.toordinal``). Written
times are always in UTC: a row keeps no zone. No leap seconds, years 1 to 9999.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_MONTH_NUMBER = {name.upper().encode(): number for number, name in enumerate(MONTHS, 1)}
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_S = 86_400
_FIRST_S = (1 - _EPOCH_DAY) * _DAY_S
_LAST_S = (date.max.toordinal() + 1 - _EPOCH_DAY) * _DAY_S - 1

# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
# date-day-fixed = (SP DIGIT) / 2DIGIT;  time = 2DIGIT ":" 2DIGIT ":" 2DIGIT
# zone = ("+" / "-") 4DIGIT
_DATE_TIME = re.compile(
    rb"([ 0-3][0-9])-([A-Za-z]{3})-([0-9]{4}) "
    rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]) ([+-])([01][0-9]|2[0-3])([0-5][0-9])"
)
# date-text = date-day "-" date-month "-" date-year;  date-day = 1*2DIGIT
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")


def parse_date_time(text: bytes) -> int | None:
    """Unix time of a date-time without its quotes, or None if it is none."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    day = _ordinal(match[1], match[2], match[3])
    if day is None:
        return None
    hours, minutes, seconds = int(match[4]), int(match[5]), int(match[6])
    offset = int(match[8]) * 3600 + int(match[9]) * 60
    time = (day - _EPOCH_DAY) * _DAY_S + hours * 3600 + minutes * 60 + seconds
    time += offset if match[7] == b"-" else -offset
    return time if _FIRST_S <= time <= _LAST_S else None


def parse_date(text: bytes) -> int | None:
    """Ordinal of a date-text without quotes, or None if it is none."""
    match = _DATE.fullmatch(text)
    return _ordinal(match[1], match[2], match[3]) if match else None


def _ordinal(day: bytes, month: bytes, year: bytes) -> int | None:
    number = _MONTH_NUMBER.get(month.upper())
    if number is None:
        return None
    try:
        return date(int(year), number, int(day)).toordinal()
    except ValueError:  # 30-Feb, day 0, year 0
        return None


@lru_cache(maxsize=4096)
def _day_prefix(day: int) -> bytes:
    when = date.fromordinal(min(max(day + _EPOCH_DAY, 1), date.max.toordinal()))
    return f'"{when.day:2d}-{MONTHS[when.month - 1]}-{when.year:04d} '.encode()


def render_date_time(time: int) -> bytes:
    """A date-time in UTC with its quotes; times outside the years 1 to 9999 become their edge."""
    day, rest = divmod(min(max(time, _FIRST_S), _LAST_S), _DAY_S)
    return b'%b%02d:%02d:%02d +0000"' % (
        _day_prefix(day),
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
    )
