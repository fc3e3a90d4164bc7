"""The door for our own people: TLS, login, who may send as whom (SECURITY A1-A6, S16, S17, S32)."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher

from gateway.core.errors import DirectoryUnavailable
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import AT_ONCE, BOB, Client, SmtpBench, codes, plain

BODY = b"Subject: x\r\n\r\nhello\r\n"
GOOD = plain(b"alice", b"secret")
WRONG = plain(b"alice", b"wrong")


def submission(**options: object) -> SmtpBench:
    return SmtpBench("submission", **options)  # type: ignore[arg-type]


def in_tls(bench: SmtpBench | None = None) -> Client:
    """A client inside TLS that has said EHLO."""
    client = (bench or submission()).ready()
    client.start_tls()
    client.say(b"EHLO client.test")
    return client


def test_a_person_sends_to_the_house_and_to_the_world() -> None:
    bench = submission()
    client = bench.submitter()
    assert client.connection.login == "alice"
    reply = client.deliver(
        BODY, b"<bob@example.test>", b"<x@far.test>", b"<X@far.test>", b"<x@far.test>",
        sender=b"<Alice@example.test>",
    )  # fmt: skip
    assert reply.startswith(b"250 2.0.0 ")
    (message,) = bench.intake.accepted
    assert message.local == (BOB.account_id,)
    assert [str(recipient.address) for recipient in message.remote] == ["x@far.test", "X@far.test"]
    assert b" with ESMTPSA id " in message.trace_header


def test_the_null_sender_is_anybodys() -> None:
    bench = submission()
    assert bench.submitter().deliver(BODY, sender=b"<>").startswith(b"250 ")


@pytest.mark.parametrize("sender", [b"<bob@example.test>", b"<a@far.test>", b"<alice@other.test>"])
def test_S32_nobody_sends_as_somebody_else(sender: bytes) -> None:
    bench = submission()
    client = bench.submitter()
    reply = client.say(b"MAIL FROM:" + sender)
    assert reply == (
        b"553 5.7.1 alice may not send as " + sender + b": it is not an address of alice;"
        b" alice may send as alice@example.test\r\n"
    )
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"503 ")


def test_S32_an_address_that_leads_to_the_person_is_their_own() -> None:
    bench = submission()
    client = bench.submitter()
    bench.router.aliases["example.org"] = "example.test"
    assert client.say(b"MAIL FROM:<Alice@example.org>").startswith(b"250 ")
    assert client.say(b"RSET").startswith(b"250 ")
    assert client.say(b"MAIL FROM:<bob@example.org>").startswith(b"553 5.7.1 ")


def test_A5_who_a_sender_is_cannot_be_said_while_the_directory_is_down() -> None:
    bench = submission()
    client = bench.submitter()
    bench.router.fails = DirectoryUnavailable()
    assert client.say(b"MAIL FROM:<alice@example.org>").startswith(b"451 4.4.3 ")
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")


def test_S2_line_feeds_of_our_people_become_crlf() -> None:
    bench = submission()
    client = bench.submitter()
    client.open_content(sender=b"<alice@example.test>")
    assert client.send(b"Subject: x\n\nhello\n.\nMAIL FROM:<a@b.test>\n\r\n.\r\n").startswith(
        b"250 "
    )
    assert bench.intake.content() == (
        b"Subject: x\r\n\r\nhello\r\n.\r\nMAIL FROM:<a@b.test>\r\n\r\n"
    )


# -- TLS


def test_S16_octets_behind_starttls_are_never_run() -> None:
    for injected in (
        b"RSET\r\n",
        b"NOOP\r\nMAIL FROM:<injected@evil.test>\r\n",
        b"\x16\x03\x01",
        b"x",
    ):
        client = submission().ready()
        assert client.send(b"STARTTLS\r\n" + injected) == b""
        assert client.aborted() and client.transport.tls is None


def test_S16_starttls_forgets_everything() -> None:
    bench = submission(clear_text_login=True)
    client = bench.ready("127.0.0.1")
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"235 ")
    client.say(b"MAIL FROM:<alice@example.test>")
    client.start_tls()
    assert client.connection.login == ""
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"503 ")
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"503 ")
    assert b"STARTTLS" not in client.say(b"EHLO client.test")
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"503 ")
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")


def test_S17_starttls_only_once_and_alone() -> None:
    client = submission().ready()
    assert client.say(b"STARTTLS x").startswith(b"501 ")
    client.start_tls()
    client.say(b"EHLO client.test")
    assert client.say(b"STARTTLS").startswith(b"503 ")
    implicit = submission(implicit_tls=True).ready()
    assert b"STARTTLS" not in implicit.say(b"EHLO client.test")
    assert implicit.say(b"STARTTLS").startswith(b"503 ")
    assert submission(tls=False).ready().say(b"STARTTLS").startswith(b"502 ")


def test_S19_an_unfinished_handshake_ends() -> None:
    bench = submission()
    client = bench.ready()
    assert client.say(b"STARTTLS").startswith(b"220 ")
    bench.clock.advance(31)
    assert client.aborted()


def test_strangers_may_use_tls_too() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.start_tls()
    client.say(b"EHLO client.test")
    client.deliver(BODY)
    assert b" with ESMTPS id " in bench.intake.accepted[0].trace_header


# -- login


def test_A1_no_login_before_tls() -> None:
    bench = submission()
    client = bench.connect("127.0.0.1")
    assert b"AUTH" not in client.say(b"EHLO client.test")
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"538 5.7.11 ")
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")
    assert bench.checker.asked == []
    client.start_tls()
    assert b"AUTH PLAIN LOGIN\r\n" in client.say(b"EHLO client.test")


@pytest.mark.parametrize(
    ("ip", "offered"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("192.0.2.9", False)],
)
def test_A1_clear_text_login_only_from_this_machine(ip: str, offered: bool) -> None:
    client = submission(clear_text_login=True).connect(ip)
    assert (b"AUTH PLAIN LOGIN" in client.say(b"EHLO client.test")) == offered
    expected = b"235 " if offered else b"538 "
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(expected)


def test_A1_strangers_cannot_log_in() -> None:
    bench = SmtpBench(clear_text_login=True)
    client = bench.ready("127.0.0.1")
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"502 5.5.1 ")
    assert bench.checker.asked == []


def test_login_mechanism() -> None:
    client = in_tls()
    assert client.say(b"AUTH LOGIN") == b"334 VXNlcm5hbWU6\r\n"
    assert client.say(base64.b64encode(b"alice")) == b"334 UGFzc3dvcmQ6\r\n"
    assert client.say(base64.b64encode(b"secret")).startswith(b"235 2.7.0 ")


def test_plain_without_initial_response() -> None:
    client = in_tls()
    assert client.say(b"AUTH PLAIN") == b"334 \r\n"
    assert client.drip(GOOD + b"\r\n").startswith(b"235 2.7.0 ")


def test_A2_cancelled_malformed_unknown_and_repeated() -> None:
    bench = submission()
    client = in_tls(bench)
    assert client.say(b"AUTH PLAIN") == b"334 \r\n"
    assert client.say(b"*").startswith(b"501 ")
    for bad in (b"!!!", b"AGEAYg", b"A GEAYg==", b"====", b"\xff\xfe"):
        client.say(b"AUTH PLAIN")
        assert client.say(bad).startswith(b"501 5.5.2 ")
    assert client.say(b"AUTH CRAM-MD5").startswith(b"504 5.5.4 ")
    assert client.say(b"NOOP").startswith(b"250 ")
    assert bench.checker.asked == []
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"235 ")
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"503 ")
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"503 ")


def test_A2_a_command_in_an_exchange_is_a_response() -> None:
    client = in_tls()
    assert codes(client.send(b"AUTH PLAIN\r\nMAIL FROM:<alice@example.test>\r\n")) == [334, 501]


def test_A2_a_lost_connection_in_an_exchange() -> None:
    bench = submission()
    client = in_tls(bench)
    client.say(b"AUTH LOGIN")
    client.lose()
    other = in_tls(bench)
    bench.checker.held = Deferred()
    other.say(b"AUTH PLAIN " + GOOD)
    other.lose()
    assert bench.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "message",
    [
        b"alice",
        b"alice\0secret",
        b"\0alice\0secret\0",
        b"\0\0secret",
        b"\0alice\0",
        b"bob\0alice\0secret",
        b"\0al\xffice\0secret",
        b"\0" + b"a" * 8000 + b"\0" + b"b" * 1000,
    ],
)
def test_A3_impossible_plain_messages(message: bytes) -> None:
    client = in_tls()
    assert client.say(b"AUTH PLAIN " + base64.b64encode(message)).startswith(b"535 5.7.8 ")
    assert client.say(b"AUTH PLAIN =").startswith(b"535 5.7.8 ")


def test_A2_over_long_lines() -> None:
    client = in_tls()
    assert client.say(b"AUTH PLAIN " + b"A" * 12_300).startswith(b"500 5.5.6 ")
    client.say(b"AUTH LOGIN")
    assert client.say(b"A" * 12_300).startswith(b"500 5.5.6 ")
    assert client.say(b"NOOP").startswith(b"250 ")


def test_A4_three_failures_end_the_connection() -> None:
    client = in_tls()
    for _ in range(2):
        assert codes(client.say(b"AUTH PLAIN " + WRONG)) == [535]
    assert codes(client.say(b"AUTH PLAIN " + WRONG)) == [535, 421]
    assert client.closed()


def test_A5_directory_trouble_is_never_a_wrong_password() -> None:
    bench = submission()
    client = in_tls(bench)
    bench.checker.fails = DirectoryUnavailable()
    for _ in range(5):
        assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"454 4.7.0 ")
    bench.checker.fails = None
    assert client.say(b"AUTH PLAIN " + GOOD).startswith(b"235 ")


def test_A6_unknown_and_wrong_look_alike_in_text_and_time() -> None:
    bench = submission(limits=SmtpLimits())
    client = in_tls(bench)
    replies = []
    for offer in (WRONG, plain(b"nobody", b"secret")):
        assert client.say(b"AUTH PLAIN " + offer) == b""
        bench.clock.advance(0.99)
        assert client.read() == b""
        bench.clock.advance(0.02)
        replies.append(client.read())
    assert replies[0] == replies[1] and codes(replies[0]) == [535]


def test_A9_the_log_holds_no_password_and_no_raw_text() -> None:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)  # type: ignore[arg-type]
    try:
        client = in_tls()
        client.say(b"AUTH PLAIN " + plain(b"ali\r\nce", b"hunter2"))
        client.say(b"AUTH PLAIN " + GOOD)
        client.say(b"AUTH PLAIN " + GOOD)
    finally:
        globalLogPublisher.removeObserver(events.append)  # type: ignore[arg-type]
    text = repr(events)
    assert "hunter2" not in text and "secret" not in text and GOOD.decode() not in text
    formats = [str(event.get("log_format")) for event in events]
    assert any("login failed" in line for line in formats)
    assert any("logged in" in line for line in formats)


def test_a_slow_login_keeps_later_commands_waiting() -> None:
    bench = submission()
    client = in_tls(bench)
    held: Deferred[None] = Deferred()
    bench.checker.held = held
    assert client.send(b"AUTH PLAIN " + GOOD + b"\r\nMAIL FROM:<alice@example.test>\r\n") == b""
    held.callback(None)
    assert codes(client.read()) == [235, 250]


def test_login_is_asked_before_mail_even_on_implicit_tls() -> None:
    client = submission(implicit_tls=True).ready()
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"530 5.7.0 ")
    assert client.say(b"RCPT TO:<x@far.test>").startswith(b"503 ")
    assert client.say(b"DATA").startswith(b"503 ")


def test_errors_end_submission_too() -> None:
    client = in_tls(submission(limits=replace(AT_ONCE, errors_hard=5)))
    assert [codes(client.say(b"WIZ")) for _ in range(5)] == [[500]] * 4 + [[421]]
    assert client.closed()
