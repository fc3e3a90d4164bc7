"""A disk that is nearly full, and more recipients than a message may have."""

from __future__ import annotations

from dataclasses import replace

from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import AT_ONCE, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"


def test_S15_D6_without_room_no_mail_is_begun() -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.has_room = False
    assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"452 4.3.1 ")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"503 ")
    bench.has_room = True
    assert client.deliver(BODY).startswith(b"250 ")


def test_S15_D6_room_that_is_gone_at_data_is_told_before_the_content() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    client.say(b"RCPT TO:<alice@example.test>")
    bench.has_room = False
    assert client.say(b"DATA").startswith(b"452 4.3.1 ")
    assert codes(client.send(b"BDAT 4 LAST\r\nQUIT")) == [452]
    assert not client.closed() and bench.intake.bodies == []


def test_S15_content_sent_to_a_full_disk_all_the_same_is_no_command() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    client.say(b"RCPT TO:<alice@example.test>")
    bench.has_room = False
    client.say(b"DATA")
    assert codes(client.send(b"Subject: x\r\nMAIL FROM:<evil@far.test>\r\n")) == [500]
    assert client.closed()


def test_S24_who_does_not_stop_at_the_limit_is_let_go() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, recipients=100))
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    one = b"RCPT TO:<alice@example.test>\r\n"
    assert codes(client.send(one * 100)) == [250] * 100
    assert codes(client.send(one * 100)) == [452] * 100
    assert client.send(one).startswith(b"421 4.5.3 ") and client.closed()


def test_S24_the_message_still_goes_to_those_accepted() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, recipients=2))
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    assert codes(client.send(b"RCPT TO:<alice@example.test>\r\n" * 4)) == [250, 250, 452, 452]
    client.say(b"DATA")
    assert codes(client.send(BODY + b".\r\n")) == [250]
    # Each message is counted for itself.
    client.say(b"MAIL FROM:<a@far.test>")
    assert codes(client.send(b"RCPT TO:<alice@example.test>\r\n" * 3)) == [250, 250, 452]


def test_S24_ten_thousand_recipients_are_no_more_than_the_limit_and_as_many_again() -> None:
    bench = SmtpBench(limits=SmtpLimits(greet_pause_s=0.0))
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    replies = codes(client.send(b"RCPT TO:<alice@example.test>\r\n" * 10_001))
    assert replies == [250] * 1000 + [452] * 1000 + [421] and client.closed()
