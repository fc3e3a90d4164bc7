"""The door for strangers: what is taken, what is refused, and that nothing else happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import (
    DirectoryUnavailable,
    MailboxLimit,
    StoreFull,
    StoreUnavailable,
)
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import ALICE, AT_ONCE, NOW, Client, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"
FOR_ALICE = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"


def test_a_message_is_accepted_with_its_trace() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert client.deliver(BODY) == b"250 2.0.0 Accepted as id1\r\n"
    (message,) = bench.intake.accepted
    assert bench.intake.content() == BODY
    assert message.ingest_id == "id1"
    assert str(message.sender) == "a@far.test"
    assert message.local == (ALICE.account_id,) and message.remote == ()
    assert message.received_at == int(NOW) and not message.eight_bit
    assert message.local_header == b"Return-Path: <a@far.test>\r\n"
    assert message.trace_header == (
        b"Received: from client.test ([192.0.2.9])\r\n"
        b"\tby mail.example.test with ESMTP id id1\r\n"
        b"\tfor <alice@example.test>;\r\n"
        b"\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    )
    assert client.say(b"QUIT") == b"221 2.0.0 Goodbye\r\n" and client.closed()


def test_helo_ipv6_and_several_recipients_in_the_trace() -> None:
    bench = SmtpBench()
    client = bench.connect("2001:db8::1")
    assert client.say(b"HELO old.test") == b"250 mail.example.test\r\n"
    client.deliver(BODY, b"<alice@example.test>", b"<bob@example.test>", sender=b"<>")
    message = bench.intake.accepted[0]
    assert message.sender is None and message.local_header == b"Return-Path: <>\r\n"
    assert b"from old.test ([IPv6:2001:db8::1])\r\n" in message.trace_header
    assert b" with SMTP id id1;\r\n" in message.trace_header
    assert b"alice" not in message.trace_header


def test_S9_a_forged_helo_stays_one_harmless_word() -> None:
    bench = SmtpBench()
    client = bench.connect()
    client.say(b'EHLO x(comment);"by\xffme"\\')
    client.deliver(BODY)
    assert bench.intake.accepted[0].trace_header.startswith(
        b"Received: from x?comment???by?me?? ([192.0.2.9])\r\n\tby mail.example.test "
    )


def test_eight_bit_is_remembered() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert client.say(b"MAIL FROM:<a@far.test> BODY=8BITMIME SIZE=5").startswith(b"250 ")
    client.send(b"RCPT TO:<alice@example.test>\r\nDATA\r\n")
    client.send(b"\xe4\r\n.\r\n")
    assert bench.intake.accepted[0].eight_bit


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_octets_come_through_unchanged(size: int) -> None:
    bench = SmtpBench()
    client = bench.ready()
    body = b".first\r\n..\r\n\0\xff" + b"x" * 20_000 + b"\r\n.\x00\r\nlast\r\n"
    client.open_content()
    octets = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    replies = b"".join(client.send(octets[i : i + size]) for i in range(0, len(octets), size))
    assert codes(replies) == [250]
    assert bench.intake.content() == body


def test_unknown_and_foreign_recipients() -> None:
    client = SmtpBench().ready()
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<nobody@example.test>").startswith(b"550 5.1.1 ")
    assert client.say(b"RCPT TO:<x@elsewhere.test>").startswith(b"554 5.7.1 ")
    assert client.say(b"DATA").startswith(b"554 5.5.1 ")


def test_S36_directory_trouble_is_temporary() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    bench.router.fails = DirectoryUnavailable()
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"451 4.4.3 ")
    bench.router.fails = None
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 2.1.5 ")


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (StoreFull(), b"452 4.3.1 "),
        (StoreUnavailable(), b"451 4.3.0 "),
        (DirectoryUnavailable(), b"451 4.4.3 "),
        (MailboxLimit("x\r\n250 forged"), b"554 5.0.0 x?250 forged\r\n"),
    ],
)
def test_S4_D6_a_store_that_fails_promises_nothing(error: StoreFull, reply: bytes) -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.intake.fails = error
    assert client.deliver(BODY).startswith(reply)
    assert bench.intake.bodies[0].discarded
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"503 ")
    assert client.say(b"DATA").startswith(b"503 ")
    bench.intake.fails = None
    assert client.deliver(BODY).startswith(b"250 ")


def test_a_store_that_gives_no_body() -> None:
    bench = SmtpBench()
    bench.intake.open_fails = StoreFull()
    client = bench.ready()
    assert codes(client.send(FOR_ALICE)) == [250, 250, 452]
    # What a client sends that did not wait is no command.
    assert codes(client.say(b"Subject: x")) == [500]
    assert client.closed()


def test_an_unexpected_error_is_temporary_and_named(recorded_failures: list[object]) -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.intake.fails = ZeroDivisionError("secret path /x")
    reply = client.deliver(BODY)
    assert reply.startswith(b"451 4.3.0 ") and b"secret" not in reply
    assert client.connection.connection_id.encode() in reply
    assert len(recorded_failures) == 1 and bench.intake.bodies[0].discarded
    bench.router.fails = ZeroDivisionError()
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"451 4.3.0 ")
    bench.router.fails = bench.intake.fails = None
    assert client.say(b"RSET").startswith(b"250 ")
    assert client.deliver(BODY).startswith(b"250 ")


# -- framing


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


# -- order


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


# -- bounds


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


def test_S24_an_accepted_message_forgives_errors() -> None:
    bench = SmtpBench()
    client = bench.ready()
    for _ in range(5):
        for _ in range(15):
            assert codes(client.say(b"WIZ")) == [500]
        assert client.deliver(BODY).startswith(b"250 ")


@pytest.mark.parametrize("line", [b"NOOP", b"RSET", b"VRFY x", b"EHLO x", b"HELP", b"EXPN x"])
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


# -- ends


def test_S13_a_lost_connection_leaves_nothing() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    client.send(b"half a mess")
    client.lose()
    assert bench.intake.bodies[0].discarded and bench.intake.accepted == []
    assert bench.clock.getDelayedCalls() == []


def test_a_connection_lost_during_the_commit_does_not_touch_the_body() -> None:
    bench = SmtpBench()
    client = bench.ready()
    bench.intake.hold()
    client.deliver(BODY)
    client.lose()
    assert not bench.intake.bodies[0].discarded


def test_D11_drain_finishes_content_and_greets_nobody() -> None:
    bench = SmtpBench()
    idle, busy, waiting = bench.ready(), bench.ready(), bench.ready()
    busy.open_content()
    waiting.say(b"MAIL FROM:<a@far.test>")
    bench.router.hold()
    waiting.say(b"RCPT TO:<alice@example.test>")
    for client in (idle, busy, waiting):
        client.connection.drain()
    assert idle.read().startswith(b"421 4.3.2 ") and idle.closed()
    assert busy.read() == b"" and not busy.closed()
    assert codes(busy.send(BODY + b".\r\nMAIL FROM:<a@far.test>\r\n")) == [250, 421]
    assert busy.closed() and len(bench.intake.accepted) == 1
    bench.router.release()
    assert codes(waiting.read()) == [250, 421] and waiting.closed()


def test_too_many_connections_are_told_why() -> None:
    bench = SmtpBench()
    bench.sessions.reason = "too many connections from your address"
    client = Client(bench, "192.0.2.9")
    assert client.read() == b"421 4.7.0 too many connections from your address, try again later\r\n"
    assert client.closed()
