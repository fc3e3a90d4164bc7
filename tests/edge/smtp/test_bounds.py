"""What one SMTP client may cost: recipients, errors, idle commands, lines, time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import DirectoryUnavailable
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import ALICE, AT_ONCE, SmtpBench, codes, plain

BODY = b"Subject: x\r\n\r\nhello\r\n"


def test_S24_recipients_beyond_the_limit_wait() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, recipients=2))
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    for _ in range(2):
        assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"452 4.5.3 ")
    client.say(b"DATA")
    assert client.send(BODY + b".\r\n").startswith(b"250 ")
    assert bench.intake.accepted[0].local == (ALICE.account_id,)


def test_S24_a_recipient_named_often_gets_one_copy() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.deliver(BODY, *[b"<b@example.test>", b"<bob@example.test>", b"<BOB@EXAMPLE.TEST>"] * 300)
    assert len(bench.intake.accepted[0].local) == 1


def test_S24_guessing_recipients_slows_down_then_ends() -> None:
    bench = SmtpBench(limits=SmtpLimits(greet_pause_s=0.0))
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    replies = [client.say(b"RCPT TO:<x%d@example.test>" % number) for number in range(10)]
    assert all(reply.startswith(b"550 5.1.1 ") for reply in replies)
    for number in range(9):
        assert client.say(b"RCPT TO:<y%d@example.test>" % number) == b""
        bench.clock.advance(1.0)
        assert client.read().startswith(b"550 5.1.1 ")
    assert client.say(b"RCPT TO:<z@example.test>").startswith(b"421 4.7.0 ")
    assert client.closed()


def test_S24_recipients_that_are_put_off_are_bounded() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, recipients=5))
    bench.router.fails = DirectoryUnavailable()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    for _ in range(5):
        assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"451 4.4.3 ")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"421 4.5.3 ")
    assert client.closed()


def test_S25_senders_that_are_put_off_are_bounded() -> None:
    bench = SmtpBench()
    bench.has_room = False
    client = bench.ready()
    for _ in range(99):
        assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"452 4.3.1 ")
    assert client.say(b"MAIL FROM:<a@far.test>").startswith(b"421 4.7.0 ") and client.closed()


def test_S25_logins_that_are_put_off_are_bounded() -> None:
    bench = SmtpBench("submission")
    bench.checker.fails = DirectoryUnavailable()
    client = bench.ready()
    client.start_tls()
    login = b"AUTH PLAIN " + plain(b"alice", b"secret")
    client.say(b"EHLO client.test")
    for _ in range(98):
        assert client.say(login).startswith(b"454 4.7.0 ")
    assert client.say(login).startswith(b"421 4.7.0 ") and client.closed()
    assert len(bench.checker.asked) == 98


def test_S24_an_accepted_message_forgives_errors() -> None:
    bench = SmtpBench()
    client = bench.ready()
    for _ in range(5):
        for _ in range(15):
            assert codes(client.say(b"WIZ")) == [500]
        assert client.deliver(BODY).startswith(b"250 ")


@pytest.mark.parametrize("line", [b"NOOP", b"RSET", b"VRFY x", b"EHLO x", b"HELP"])
def test_S25_idle_commands_are_bounded(line: bytes) -> None:
    client = SmtpBench().ready()
    for _ in range(99):
        assert codes(client.say(line))[0] < 510
    assert client.say(line).startswith(b"421 4.7.0 ") and client.closed()


def test_S25_vrfy_says_nothing_and_expn_is_absent() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert client.say(b"VRFY alice").startswith(b"252 2.5.0 ")
    assert client.say(b"VRFY nobody") == client.say(b"VRFY alice")
    assert client.say(b"EXPN staff").startswith(b"502 5.5.1 ")
    assert client.say(b"HELP").startswith(b"214 2.0.0 ")
    assert bench.router.asked == []


def test_S26_endless_line() -> None:
    client = SmtpBench().ready()
    replies = b"".join(client.send(b"x" * 1000) for _ in range(200))
    assert codes(replies) == [500] and client.closed()


def test_idle_connections_end() -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.clock.advance(299)
    client.say(b"NOOP")
    bench.clock.advance(299)
    assert client.read() == b"" and not client.closed()
    bench.clock.advance(2)
    assert client.read().startswith(b"421 4.4.2 ") and client.closed()


def test_a_drip_of_content_ends_however_steady() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    for _ in range(400):
        bench.clock.advance(1)
        if client.send(b"xx"):
            break
    bench.clock.advance(2)
    assert 299 < bench.clock.seconds() < 310 and client.closed()
    assert bench.intake.bodies[0].discarded is False
    client.lose()
    assert bench.intake.bodies[0].discarded


def test_a_slow_store_is_not_mistaken_for_a_silent_client() -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.intake.hold()
    client.deliver(BODY)
    bench.clock.advance(400)
    assert client.read() == b"" and not client.closed()
    bench.intake.release()
    assert client.read().startswith(b"250 ")
