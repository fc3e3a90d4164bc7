"""Points in time as directories write them, as Unix time.

Owns the forms: Active Directory's FILETIME, LDAP's GeneralizedTime, days of ``shadow(5)``. A value
that says "never", and one that is none of its form, is no point in time: what cannot be read must
not shut anybody out, nor let a lock last for ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum

DAY_S = 86_400
_MAX_OCTETS = 40
# RFC 4517 section 3.3.13; servers write UTC or an offset, down to hours at least.
_GENERALISED = re.compile(
    r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)?(\d\d)?(?:[.,]\d+)?(?:Z|([+-])(\d\d)(\d\d)?)\Z", re.ASCII
)
_NUMBER = re.compile(r"-?\d{1,19}\Z", re.ASCII)
_FILETIME_OF_1970_S = 11_644_473_600
_NEVER = 2**63 - 1


class TimeForm(Enum):
    FILETIME = "100 ns since 1601"
    GENERALISED = "YYYYmmddHHMMSSZ"
    DAYS = "days since 1970"


def time_in(values: Sequence[bytes], form: TimeForm) -> float | None:
    """The one point in time that the values name; None: none, never, or nothing that can be read.

    FILETIME 0 and 2^63-1 are "never" (MS-ADTS section 2.2.16, of accountExpires).
    """
    if len(values) != 1 or len(values[0]) > _MAX_OCTETS:
        return None
    text = values[0].decode("ascii", "replace").strip()
    if form is TimeForm.GENERALISED:
        return _generalised(text)
    number = number_in(values)
    if number is None:
        return None
    if form is TimeForm.DAYS:
        return float(number * DAY_S) if 0 <= number < 10**7 else None
    return None if number in (0, _NEVER) or number < 0 else number / 1e7 - _FILETIME_OF_1970_S


def number_in(values: Sequence[bytes]) -> int | None:
    """The one whole number."""
    if len(values) != 1 or len(values[0]) > _MAX_OCTETS:
        return None
    text = values[0].decode("ascii", "replace").strip()
    return int(text) if _NUMBER.match(text) else None


def _generalised(text: str) -> float | None:
    found = _GENERALISED.match(text)
    if found is None:
        return None
    *digits, sign, hours, minutes = found.groups()
    try:
        # Leap seconds (60) are not known to datetime.
        year, month, day, hour, minute, second = (int(each or 0) for each in digits)
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC).timestamp()
    except ValueError:
        return None
    offset_s = int(hours or 0) * 3600 + int(minutes or 0) * 60
    return at - offset_s if sign == "+" else at + offset_s
