"""People are told once a day that their mail waits, in words that say when and whom to ask."""

from __future__ import annotations

from gateway.core.envelope import Hold
from gateway.core.errors import StoreUnavailable
from gateway.policy.limit_notices import DAY_S, LimitNotices
from gateway.wire.limit_notice import LimitNotice, render
from tests.support.pop3_fakes import ALICE
from tests.support.smtp_fakes import BOB, FakeIntake

NOW = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 UTC
HOLD = Hold("limit: more than 5 messages in an hour", 1_700_002_800)


class Bench:
    def __init__(self) -> None:
        self.intake = FakeIntake()
        self.now = float(NOW)
        self.notices = LimitNotices(
            self.intake,
            hostname="mail.example.test",
            ask="postmaster@example.test",
            wall_clock=lambda: self.now,
        )


def test_once_a_day_and_person() -> None:
    bench = Bench()
    for account in (ALICE, ALICE, BOB, ALICE):
        bench.notices.tell(account, HOLD)
    first, second = bench.intake.accepted
    assert (first.local, second.local) == (("a1",), ("b1",))
    assert first.ingest_id == f"limit-{NOW // DAY_S}-a1"
    assert first.sender is None and first.may_exceed_quota
    bench.now += DAY_S
    bench.notices.tell(ALICE, HOLD)
    assert len(bench.intake.accepted) == 3


def test_a_notice_that_could_not_be_kept_is_tried_with_the_next_message() -> None:
    bench = Bench()
    bench.intake.fails = StoreUnavailable()
    bench.notices.tell(ALICE, HOLD)
    bench.intake.fails = None
    bench.notices.tell(ALICE, HOLD)
    assert len(bench.intake.accepted) == 1


def test_the_words() -> None:
    bench = Bench()
    bench.notices.tell(ALICE, HOLD)
    text = bench.intake.content().decode("ascii")
    assert text.startswith("From: Mail System <MAILER-DAEMON@mail.example.test>\r\n")
    assert "To: <alice@example.test>\r\n" in text
    assert "Auto-Submitted: auto-generated\r\n" in text
    assert "You have sent more than 5 messages in an hour." in text
    assert "The first of it goes out at 14 Nov 2023 23:00 UTC, in 47 minutes." in text
    assert text.count("postmaster@example.test") == 2
    assert all(len(line) < 79 and line.isprintable() for line in text.split("\r\n"))


def test_S9_nothing_foreign_breaks_its_header() -> None:
    notice = LimitNotice(
        "id", "mail.example.test", "a@b.test\r\nBcc: x@y.test", "more\r\nthan", "x\r\ny", 0, 90_000
    )
    text = render(notice)
    assert b"To: undisclosed-recipients:;\r\n" in text and b"Bcc" not in text
    assert b"sent more??than." in text and b"ask your administrator" in text
    assert b"in about 25 hours" in text
    assert text.isascii()
