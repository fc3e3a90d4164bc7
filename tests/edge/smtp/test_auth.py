"""AUTH at each kind of listener, and what guessing costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.logger import capturedLogs, formatEvent

from gateway.edge.smtp.services import Auth
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes, plain

RIGHT = b"AUTH PLAIN " + plain(b"alice", b"secret")
WRONG = b"AUTH PLAIN " + plain(b"alice", b"guess")
BODY = b"From: alice@example.test\r\nSubject: x\r\n\r\nhello\r\n"


def inside_tls(bench: SmtpBench) -> Client:
    client = bench.ready()
    client.start_tls()
    client.say(b"EHLO client.test")
    return client


@pytest.mark.parametrize("auth", ["no", "offered", "required"])
def test_a_listener_has_no_auth_offers_it_or_wants_it(auth: Auth) -> None:
    client = inside_tls(SmtpBench("smtp", auth=auth))
    shown = client.say(b"EHLO client.test")
    assert (b" AUTH " in shown or b"-AUTH " in shown) is (auth != "no")
    begun = client.say(b"MAIL FROM:<a@far.test>")
    assert begun.startswith(b"530 5.7.0 " if auth == "required" else b"250 ")
    client.say(b"RSET")
    assert client.say(RIGHT).startswith(b"502 5.5.1 " if auth == "no" else b"235 ")


def test_who_has_logged_in_relays_through_any_listener_and_sends_as_themselves() -> None:
    bench = SmtpBench("smtp", auth="offered")
    client = inside_tls(bench)
    assert client.say(RIGHT).startswith(b"235 ")
    assert client.say(b"MAIL FROM:<bob@example.test>")[:1] == b"5"
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RCPT TO:<x@elsewhere.test>").startswith(b"250 ")


def test_A1_before_tls_it_is_neither_shown_nor_taken() -> None:
    for protocol in ("submission", "smtp"):
        bench = SmtpBench(protocol, auth="offered")
        client = bench.connect()
        assert b"AUTH" not in client.say(b"EHLO client.test")
        with capturedLogs() as events:
            assert client.say(RIGHT).startswith(b"538 5.7.11 ")
        assert client.connection.login == ""
        assert not any(b"secret".decode() in str(formatEvent(event)) for event in events)


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"AUTH PLAIN", b"*"], b"501 5.7.0 "),
        ([b"AUTH PLAIN", b"!!"], b"501 5.5.2 "),
        ([b"AUTH PLAIN ="], b"5"),
        ([b"AUTH PLAIN a b"], b"501 5.5.4 "),
        ([b"AUTH MYSTERY"], b"504 5.5.4 "),
        ([b"AUTH"], b"501 5.5.4 "),
        ([b"AUTH PLAIN " + plain(b"alice", b"")], b"5"),
        ([b"AUTH PLAIN " + plain(b"", b"secret")], b"5"),
        ([b"AUTH PLAIN " + plain(b"alice", b"secret", b"bob")], b"535 5.7.8 "),
        ([b"AUTH PLAIN " + plain(b"alice", b"s\0x")], b"5"),
        ([b"AUTH PLAIN " + plain(b"alice", b"x" * 9_000)], b"535 5.7.8 "),
        ([b"AUTH PLAIN " + b"A" * 13_000], b"500 5.5.6 "),
        ([b"AUTH PLAIN", b"A" * 13_000], b"500 5.5.6 "),
    ],
)
def test_A2_A3_whatever_is_no_login_is_refused_and_the_session_goes_on(
    lines: list[bytes], reply: bytes
) -> None:
    bench = SmtpBench("submission")
    client = inside_tls(bench)
    for line in lines[:-1]:
        assert client.say(line).startswith(b"334 ")
    assert client.say(lines[-1]).startswith(reply)
    assert client.ids == ["00000001"] and client.connection.login == ""
    assert client.say(RIGHT).startswith(b"235 2.7.0 ")


def test_A2_a_second_login_and_one_in_a_transaction() -> None:
    client = SmtpBench("submission").submitter()
    assert client.say(RIGHT).startswith(b"503 5.5.1 ")
    client.say(b"MAIL FROM:<alice@example.test>")
    assert client.say(RIGHT).startswith(b"503 5.5.1 ")
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"250 ")


def test_A4_three_failures_then_the_end_each_told_late_and_with_its_id() -> None:
    limits = SmtpLimits(greet_pause_s=0.0)
    bench = SmtpBench("submission", limits=limits)
    client = inside_tls(bench)
    for number in range(3):
        assert client.say(WRONG) == b""
        bench.clock.advance(0.9)
        assert client.read() == b""
        bench.clock.advance(0.2)
        replies = client.read()
        assert replies.startswith(b"535 5.7.8 ")
        assert codes(replies) == ([535] if number < 2 else [535, 421])
    assert client.closed() and set(client.ids) == {"00000001"} and len(client.ids) == 4


def test_A4_right_guesses_after_wrong_ones_do_not_reset_the_count() -> None:
    bench = SmtpBench("submission", limits=replace(AT_ONCE, failed_logins=2))
    client = inside_tls(bench)
    assert codes(client.say(WRONG)) == [535]
    assert codes(client.say(WRONG)) == [535, 421]
    assert client.closed()


def test_A2_leaving_in_the_middle_of_an_exchange() -> None:
    bench = SmtpBench("submission")
    client = inside_tls(bench)
    assert client.say(b"AUTH LOGIN").startswith(b"334 ")
    client.lose()
    assert bench.clock.getDelayedCalls() == [] and bench.sessions.open == set()
