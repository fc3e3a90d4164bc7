"""What ends a message and a command at the SMTP doors, and in which order they are answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"
FOR_ALICE = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"


@pytest.mark.parametrize(
    "false_ending", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r\r\n"]
)
def test_S1_S2_smuggling_gets_one_refusal(false_ending: bytes) -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    assert client.send(b"line" + false_ending) == b""
    assert client.send(b"MAIL FROM:<x@y.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx") == b""
    assert client.send(b"\r\n.\r\n").startswith(b"550 5.5.2 ")
    assert bench.intake.accepted == [] and bench.intake.bodies[0].discarded
    assert len(bench.intake.bodies) == 1


def test_S3_too_big_with_smuggled_commands() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, size_octets=1000))
    client = bench.ready()
    client.open_content()
    assert client.send(b"x" * 3000 + b"\r\n.\nRSET\r\nQUIT\r\n") == b""
    assert client.send(b".\r\n").startswith(b"552 5.3.4 ")
    assert not client.closed() and bench.intake.bodies[0].discarded
    assert client.deliver(BODY).startswith(b"250 ")


def test_S3_S15_discarding_ends_with_the_connection() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, size_octets=1000, discard_octets=5000))
    client = bench.ready()
    client.open_content()
    assert client.send(b"x" * 7000).startswith(b"552 5.3.4 ")
    assert client.closed()


def test_S15_size_is_judged_at_mail_and_counted_anyway() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, size_octets=1000))
    client = bench.ready()
    assert client.say(b"MAIL FROM:<a@far.test> SIZE=1001").startswith(b"552 5.3.4 ")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"503 ")
    assert client.say(b"MAIL FROM:<a@far.test> SIZE=10").startswith(b"250 ")
    client.send(b"RCPT TO:<alice@example.test>\r\nDATA\r\n")
    assert client.send(b"x" * 5000 + b"\r\n.\r\n").startswith(b"552 5.3.4 ")


def test_S33_loops_end_here() -> None:
    client = SmtpBench().ready()
    assert client.deliver(b"Received: from a\r\n" * 101 + b"\r\n").startswith(b"554 5.4.6 ")
    assert client.deliver(b"Received: from a\r\n" * 99 + b"\r\n").startswith(b"250 ")


def test_S6_a_line_feed_ends_no_command() -> None:
    client = SmtpBench().connect()
    assert codes(client.send(b"EHLO x\nMAIL FROM:<a@b.test>\r\nNOOP\r\n")) == [500]
    assert client.closed()


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00", b"POST / HTTP/1.0\r\n"],
)
def test_S20_other_protocols_are_closed_at_once(octets: bytes) -> None:
    client = SmtpBench().connect()
    reply = client.send(octets)
    assert codes(reply) == [500] and client.closed()
    assert b"GET" not in reply and b"Host" not in reply
    assert client.send(b"NOOP\r\n") == b""


def test_F1e_S22_slow_checks_answer_in_order_one_at_a_time() -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.router.hold()
    bench.intake.hold()
    sent = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<x@example.test>\r\n"
    assert codes(client.send(sent + b"DATA\r\n")) == [250]
    assert len(bench.router.asked) == 1
    bench.router.release()
    assert codes(client.read()) == [250] and len(bench.router.asked) == 2
    bench.router.release()
    assert codes(client.read()) == [550, 354]
    assert client.send(BODY + b".\r\nMAIL FROM:<b@far.test>\r\nNOOP\r\n") == b""
    bench.intake.release()
    assert codes(client.read()) == [250, 250, 250]
    assert len(bench.intake.accepted) == 1


def test_S22_reading_pauses_behind_a_slow_check() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, idle_commands=10_000))
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    bench.router.hold()
    client.say(b"RCPT TO:<alice@example.test>")
    for _ in range(20):
        client.send(b"NOOP xxxxxxxx\r\n" * 300)
    assert client.transport.paused
    bench.router.release()
    assert not client.transport.paused


def test_S22_all_recipients_refused_and_text_sent_anyway() -> None:
    bench = SmtpBench()
    client = bench.ready()
    sent = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<x@example.test>\r\nDATA\r\n"
    assert codes(client.send(sent)) == [250, 550, 554]
    replies = client.send(b"Subject: x\r\nMAIL FROM:<evil@far.test>\r\n.\r\nQUIT\r\n")
    assert codes(replies) == [500] and client.closed()


def test_S21_pipelining_past_a_synchronisation_point() -> None:
    client = SmtpBench().connect()
    assert client.send(b"EHLO x\r\nMAIL FROM:<a@far.test>\r\n").startswith(b"554 5.5.0 ")
    assert client.closed()
    bench = SmtpBench()
    client = bench.ready()
    replies = client.send(FOR_ALICE + b"Subject: early\r\n\r\n.\r\n")
    assert codes(replies) == [250, 250, 554] and client.closed()
    assert bench.intake.accepted == []


def test_S21_talking_before_the_greeting() -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, greet_pause_s=0.5))
    early = Client(bench, "192.0.2.9")
    assert early.read() == b""
    assert early.say(b"EHLO x").startswith(b"554 5.5.0 ")
    assert early.closed()
    patient = Client(bench, "192.0.2.9")
    bench.clock.advance(0.5)
    assert patient.read().startswith(b"220 ")
    assert patient.say(b"EHLO x").startswith(b"250-")
