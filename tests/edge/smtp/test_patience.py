"""Who is waited for at the SMTP doors, and who is not: greetings, replies that nobody reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.smtp_fakes import AT_ONCE, SmtpBench, codes


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
