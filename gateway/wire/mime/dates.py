"""The Date header as a time (RFC 5322 section 3.3 with the obsolete forms of 4.3).

Owns the tolerant reading; the date-time of IMAP commands is read elsewhere. The zone of the result
is the one written, because SEARCH SENTON compares the date as written (RFC 3501 section 6.4.4).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from gateway.wire.mime.comments import strip_comments

MAX_LENGTH = 1000

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}

# obs-zone (RFC 5322 section 4.3); military letters and unknown names mean "-0000", which is UTC.
_ZONES_H = {"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8}

_TIME = (
    r"(?P<hour>\d{1,2})\s*[:.]\s*(?P<minute>\d{1,2})(?:\s*[:.]\s*(?P<second>\d{1,2})(?:\.\d+)?)?"
)
_ZONE = r"(?:\s*(?P<sign>[+-])\s*(?P<offset>\d{4})|\s*(?P<zone>[A-Za-z]{1,5})\b)?"
_RFC = re.compile(
    r"\s*(?:[A-Za-z]{2,9}\.?\s*,?\s*)?(?P<day>\d{1,2})[\s-]*(?P<month>[A-Za-z]{3})[A-Za-z]{0,6}"
    r"\.?,?[\s-]*(?P<year>\d{2,4})(?:[\s,]+" + _TIME + _ZONE + r")?",
    re.ASCII,
)
# The C library's asctime, which some programs write: "Mon Jan  5 10:00:00 2004".
_ASCTIME = re.compile(
    r"\s*[A-Za-z]{3,9},?\s+(?P<month>[A-Za-z]{3})[A-Za-z]{0,6}\s+(?P<day>\d{1,2}),?\s+"
    + _TIME
    + _ZONE
    + r"\s+(?P<year>\d{4})",
    re.ASCII,
)


def parse_date(value: str) -> datetime | None:
    """The time a Date header names, with its zone; None if there is none in it."""
    text = value[:MAX_LENGTH]
    if "(" in text:
        text = strip_comments(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    text = " ".join(text.split())
    found = _RFC.match(text) or _ASCTIME.match(text)
    if found is None:
        return None
    month = _MONTHS.get(found["month"].lower())
    if month is None:
        return None
    year = int(found["year"])
    # RFC 5322 section 4.3: 00 to 49 are 2000 to 2049, other short years count from 1900
    if len(found["year"]) == 2 and year < 50:
        year += 2000
    elif len(found["year"]) < 4:
        year += 1900
    try:
        return datetime(
            year,
            month,
            int(found["day"]),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            min(int(found["second"] or 0), 59),  # a leap second is 60
            tzinfo=_zone(found["sign"], found["offset"], found["zone"]),
        )
    except ValueError:
        return None


def _zone(sign: str | None, offset: str | None, name: str | None) -> timezone:
    if sign is not None and offset is not None:
        delta = timedelta(hours=int(offset[:2]), minutes=int(offset[2:]))
        if delta >= timedelta(hours=24):
            return UTC
        return timezone(-delta if sign == "-" else delta)
    return timezone(timedelta(hours=_ZONES_H.get((name or "").lower(), 0)))
