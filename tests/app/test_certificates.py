"""What is said of a certificate's dates."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from gateway.app.certificates import VALID_DAYS, Validity, ensure_self_signed, validity

NOW = datetime.datetime(2030, 1, 31, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (NOW + DAY, NOW + 90 * DAY, "not valid before 2030-02-01 12:00 UTC"),
        (NOW - 90 * DAY, NOW, "expired on 2030-01-31 12:00 UTC"),
        (NOW - 90 * DAY, NOW + 13 * DAY, "expires on 2030-02-13 12:00 UTC; renew it"),
    ],
)
def test_dates_that_clients_refuse_or_soon_will_are_a_warning(
    begin: datetime.datetime, end: datetime.datetime, expected: str
) -> None:
    assert expected in str(Validity(begin, end).warning(NOW))


def test_a_valid_certificate_is_no_warning(tmp_path: Path) -> None:
    assert Validity(NOW - DAY, NOW + 15 * DAY).warning(NOW) is None
    files = ensure_self_signed(tmp_path, ("mail.example.com",))
    dates = validity(files.certificate.read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    assert dates.warning(now) is None
    assert "expired" in str(dates.warning(now + (VALID_DAYS + 1) * DAY))
