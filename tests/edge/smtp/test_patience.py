"""Who is waited for at the SMTP doors, and who is not: greetings, replies that nobody reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_our_own_machine_is_greeted_at_once(ip: str) -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, greet_pause_s=0.5))
    assert bench.connect(ip).say(b"EHLO x").startswith(b"250-")


def test_who_does_not_read_replies_gets_no_more_of_them() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, idle_commands=100_000))
    client = bench.ready()
    client.connection.pauseProducing()  # as a transport does whose buffer is full
    assert client.send(b"NOOP\r\n" * 10_000) == b""
    early = client.transport.paused
    assert client.send(b"NOOP\r\n" * 1_000) == b""
    assert (early, client.transport.paused) == (False, True)  # nor is more read
    client.connection.resumeProducing()
    assert codes(client.read()) == [250] * 11_000
    assert client.say(b"QUIT").startswith(b"221 ")


def test_who_never_reads_replies_is_let_go() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.connection.pauseProducing()
    client.say(b"NOOP")
    bench.clock.advance(AT_ONCE.idle_s + 1)
    assert client.closed()


def test_content_that_comes_too_slowly_is_told_so() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    client.send(b"Subject: x\r\n")
    bench.clock.advance(AT_ONCE.idle_s + 1)
    assert client.read() == b"421 4.4.2 The message arrives too slowly, closing\r\n"
    assert client.closed()


def test_who_shuts_down_its_side_behind_the_last_message_still_gets_its_answers() -> None:
    """As Exim does. A lost answer would have it send the message again."""
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    bench.intake.hold()
    assert client.send(BODY + b".\r\nQUIT\r\n") == b""
    client.connection.readConnectionLost()
    assert not client.closed() and not client.aborted()
    bench.intake.release()
    assert codes(client.read()) == [250, 221] and client.closed()


def test_who_shuts_down_its_side_and_says_nothing_more_is_let_go() -> None:
    bench = SmtpBench()
    idle, half, waiting = bench.ready(), bench.ready(), bench.ready()
    half.open_content()
    half.send(b"half a message")
    waiting.say(b"MAIL FROM:<a@far.test>")
    bench.router.hold()
    waiting.say(b"RCPT TO:<alice@example.test>")
    for client in (idle, half, waiting):
        client.connection.readConnectionLost()
    assert idle.closed() and half.closed() and not waiting.closed()
    bench.router.release()
    assert codes(waiting.read()) == [250] and waiting.closed()
    for client in (idle, half, waiting):
        client.lose()
    assert bench.intake.bodies[0].discarded and bench.intake.accepted == []
    assert bench.clock.getDelayedCalls() == []


def test_who_shuts_down_its_side_before_the_greeting_or_in_a_handshake_is_dropped() -> None:
    early = Client(SmtpBench(limits=replace(AT_ONCE, greet_pause_s=0.5)), "192.0.2.9")
    shaking = SmtpBench().ready()
    shaking.say(b"STARTTLS")
    for client in (early, shaking):
        client.connection.readConnectionLost()
        assert client.aborted()
