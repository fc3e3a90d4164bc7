"""The door for strangers: what is taken, what is refused, and that nothing else happens."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs, formatEvent

from gateway.core.envelope import NO_OPTIONS, BodyKind
from gateway.core.errors import DirectoryUnavailable, MailboxLimit, StoreFull, StoreUnavailable
from tests.support.smtp_fakes import ALICE, NOW, Client, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"
FOR_ALICE = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"


def test_a_message_is_accepted_with_its_trace() -> None:
    bench = SmtpBench()
    client = bench.ready()
    assert client.deliver(BODY) == b"250 2.0.0 Accepted as 00000001-1\r\n"
    (message,) = bench.intake.accepted
    assert bench.intake.content() == BODY
    assert message.ingest_id == "00000001-1"
    assert str(message.sender) == "a@far.test"
    assert message.local == (ALICE.account_id,) and message.remote == ()
    assert message.received_at == int(NOW) and message.options == NO_OPTIONS
    assert message.local_header == (
        b"Return-Path: <a@far.test>\r\nDelivered-To: alice@example.test\r\n"
    )
    assert message.trace_header == (
        b"Received: from client.test ([192.0.2.9])\r\n"
        b"\tby mail.example.test with ESMTP id 00000001-1\r\n"
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
    assert b" with SMTP id 00000001-1;\r\n" in message.trace_header
    assert b"alice" not in message.trace_header


def test_the_log_says_from_whom_and_to_whom() -> None:
    with capturedLogs() as events:
        client = SmtpBench().ready()
        client.deliver(BODY)
        client.deliver(BODY, b"<alice@example.test>", b"<bob@example.test>")
    one, two = (text for text in map(formatEvent, events) if " accepted from" in text)
    assert " from <a@far.test> to <alice@example.test>: 21 octets, 1 local" in one
    assert " to <alice@example.test> and 1 more: " in two


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
    assert bench.intake.accepted[0].options.body is BodyKind.EIGHT_BIT


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
    assert client.ids == ["00000001-1"]
    assert len(recorded_failures) == 1 and bench.intake.bodies[0].discarded
    bench.router.fails = ZeroDivisionError()
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"451 4.3.0 ")
    assert client.ids[-1] == "00000001-2"
    bench.router.fails = bench.intake.fails = None
    # Nobody knows how far it came: nothing of the transaction is left.
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"503 5.5.1 Send MAIL")
    assert client.deliver(BODY).startswith(b"250 ")


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


def test_whoever_is_dismissed_is_told_to_log_in_again() -> None:
    bench = SmtpBench()
    idle, busy = bench.ready(), bench.ready()
    busy.open_content()
    for client in (idle, busy):
        client.connection.dismiss()
    assert idle.read().startswith(b"421 4.7.0 This login is not valid") and idle.closed()
    assert codes(busy.send(BODY + b".\r\n")) == [250, 421], "what is in flight is not lost"


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
