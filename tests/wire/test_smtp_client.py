"""The dialogue of the sending side, at every stage, without a socket."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import pytest

from gateway.core.queue import Verdict
from gateway.wire.smtp_client import ClientSession
from gateway.wire.smtp_client_envelope import Envelope, Login
from gateway.wire.smtp_client_plan import (
    Close,
    Finished,
    Request,
    Result,
    Send,
    SendBody,
    SessionEnd,
    SessionPlan,
    Stage,
    StartTls,
    TlsRule,
)

ENVELOPE = Envelope(b"<a@x.example>", (b"<b@y.example>", b"<c@y.example>"), 1000)
PLAN = SessionPlan(b"mail.x.example", ENVELOPE)
EHLO = b"250-mx.y.example\r\n250-SIZE 5000\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
OLD_EHLO = b"250 mx.y.example\r\n"
ACCEPT = b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"


class Peer:
    """Feeds replies and keeps what the session wanted."""

    def __init__(self, plan: SessionPlan = PLAN) -> None:
        self.session = ClientSession(plan)
        self.sent = b""
        self.others: list[Request] = []

    def take(self, requests: list[Request]) -> bytes:
        """What is sent now."""
        now = b""
        for request in requests:
            if isinstance(request, Send):
                now += request.data
            else:
                self.others.append(request)
        self.sent += now
        return now

    def says(self, data: bytes) -> bytes:
        return self.take(self.session.receive(data))

    @property
    def end(self) -> SessionEnd:
        (end,) = [request.end for request in self.others if isinstance(request, Finished)]
        return end

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict_of(result, self.end) for result in self.end.results]


def verdict_of(result: Result | None, end: SessionEnd) -> Verdict:
    shown = result or end.problem
    assert shown is not None
    return shown.verdict


def at_body(plan: SessionPlan = PLAN) -> Peer:
    peer = Peer(plan)
    peer.says(b"220 hi\r\n")
    peer.says(EHLO)
    peer.says(ACCEPT)
    assert SendBody() in peer.others
    return peer


def test_a_pipelining_server_gets_all_commands_at_once() -> None:
    peer = Peer()
    assert peer.says(b"220 hi\r\n") == b"EHLO mail.x.example\r\n"
    assert peer.says(EHLO) == (
        b"MAIL FROM:<a@x.example> SIZE=1000\r\n"
        b"RCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n"
    )
    peer.says(ACCEPT)
    assert peer.others == [SendBody()]
    peer.take(peer.session.body_sent())
    assert peer.says(b"250 2.0.0 queued as 1\r\n") == b"QUIT\r\n"
    accepted = Result(Verdict.DELIVERED, "2.0.0", "250 2.0.0 queued as 1", True)
    assert peer.end.results == (accepted, accepted)
    peer.says(b"221 bye\r\n")
    assert peer.others[-1] == Close()


def test_an_old_server_gets_helo_and_one_command_at_a_time() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n")
    assert peer.says(b"502 what\r\n") == b"HELO mail.x.example\r\n"
    assert peer.says(b"250 mx\r\n") == b"MAIL FROM:<a@x.example>\r\n"
    assert peer.says(b"250 ok\r\n") == b"RCPT TO:<b@y.example>\r\n"
    assert peer.says(b"250 ok\r\n") == b"RCPT TO:<c@y.example>\r\n"
    assert peer.says(b"250 ok\r\n") == b"DATA\r\n"


@pytest.mark.parametrize("ehlo", [EHLO, OLD_EHLO])
def test_every_recipient_has_an_outcome_of_its_own(ehlo: bytes) -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + ehlo)
    peer.says(b"250 ok\r\n550 5.1.1 no such user\r\n250 ok\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.DELIVERED]
    assert peer.end.results[0] == Result(Verdict.FAILED, "5.1.1", "550 5.1.1 no such user", True)


@pytest.mark.parametrize("ehlo", [EHLO, OLD_EHLO])
def test_no_data_is_sent_when_nobody_is_accepted(ehlo: bytes) -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + ehlo)
    peer.says(b"250 ok\r\n550 no\r\n451 later\r\n503 no recipients\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.DEFERRED]
    assert SendBody() not in peer.others
    assert peer.sent.endswith(b"QUIT\r\n")


def test_a_pipelined_354_without_recipients_gets_no_empty_message() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + EHLO)
    peer.says(b"250 ok\r\n550 no\r\n550 no\r\n354 go\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.FAILED]
    assert peer.sent.endswith(b"DATA\r\n")
    assert peer.others[-1] == Close()


def test_too_many_recipients_is_temporary_also_when_said_with_552() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + EHLO)
    peer.says(b"250 ok\r\n250 ok\r\n552 too many\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.DELIVERED, Verdict.DEFERRED]


@pytest.mark.parametrize("code, verdict", [(b"4", Verdict.DEFERRED), (b"5", Verdict.FAILED)])
@pytest.mark.parametrize(
    "before, elsewhere",
    [
        (b"220 hi\r\n" + EHLO, None),
        (b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n250 ok\r\n", False),
        (b"220 hi\r\n" + OLD_EHLO, None),
        (b"220 hi\r\n502 what\r\n", True),
    ],
    ids=["MAIL", "DATA", "MAIL alone", "HELO"],
)
def test_a_refusal_at_each_stage_decides_all(
    before: bytes, elsewhere: bool | None, code: bytes, verdict: Verdict
) -> None:
    peer = Peer()
    peer.says(before)
    peer.says(code + b"50 no thanks\r\n503 bad sequence\r\n503 x\r\n503 x\r\n")
    assert peer.verdicts == [verdict, verdict]
    # MAIL: only a temporary refusal makes another host worth trying.
    assert peer.end.elsewhere is (code == b"4" if elsewhere is None else elsewhere)
    assert SendBody() not in peer.others


@pytest.mark.parametrize(
    "greeting, verdict",
    [
        (b"421 busy", Verdict.DEFERRED),
        (b"554 5.7.1 blocked", Verdict.DEFERRED),
        (b"521 takes no mail", Verdict.FAILED),
    ],
)
def test_a_refusing_greeting_is_final_only_where_nobody_is_served(
    greeting: bytes, verdict: Verdict
) -> None:
    peer = Peer()
    peer.says(greeting + b"\r\n")
    assert peer.verdicts == [verdict, verdict]
    assert peer.end.elsewhere


def test_a_refused_mail_stays_refused_though_the_server_hangs_up_behind_it() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + EHLO)
    peer.says(b"550 5.7.1 blocked\r\n421 bye\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.FAILED]


@pytest.mark.parametrize(
    "said", [b"", b"220 hi\r\n", b"220 hi\r\n" + EHLO, b"220 hi\r\n" + EHLO + b"250 ok\r\n"]
)
def test_421_and_lost_connections_defer_and_allow_another_host(said: bytes) -> None:
    for lost in (True, False):
        peer = Peer()
        peer.says(said)
        if lost:
            peer.take(peer.session.give_up("4.4.2", "lost"))
        else:
            peer.says(b"421 shutting down\r\n")
        assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
        assert peer.end.elsewhere
        assert peer.others[-1] == Close()


def test_D5_a_connection_lost_after_the_dot_defers_and_tries_no_other_host() -> None:
    peer = at_body()
    peer.take(peer.session.body_sent())
    assert peer.session.stage is Stage.END_OF_DATA
    peer.take(peer.session.give_up("4.4.2", "lost"))
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert not peer.end.elsewhere


def test_D5_nothing_is_delivered_before_the_answer_to_the_dot() -> None:
    peer = at_body()
    peer.says(b"250 premature\r\n")
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]


@pytest.mark.parametrize("code, verdict", [(b"452", Verdict.DEFERRED), (b"554", Verdict.FAILED)])
def test_a_refusal_in_the_middle_of_the_message_counts(code: bytes, verdict: Verdict) -> None:
    peer = at_body()
    peer.says(code + b" enough\r\n")
    assert peer.verdicts == [verdict, verdict]
    assert peer.others[-1] == Close() and not peer.sent.endswith(b"QUIT\r\n")


@pytest.mark.parametrize("code, verdict", [(b"451", Verdict.DEFERRED), (b"550", Verdict.FAILED)])
def test_a_refusal_after_the_message(code: bytes, verdict: Verdict) -> None:
    peer = at_body()
    peer.take(peer.session.body_sent())
    assert peer.says(code + b" 5.7.1 spam\r\n") == b"QUIT\r\n"
    assert peer.verdicts == [verdict, verdict]


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400 Bad Request\r\n", b"\x16\x03\x01\x02\x00\r\n", b"2" * 3000]
)
def test_S26_what_is_no_smtp_defers(junk: bytes) -> None:
    peer = Peer()
    peer.says(junk)
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert peer.others[-1] == Close()


def test_S26_replies_without_a_command_end_the_conversation() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + OLD_EHLO)
    peer.says(b"250 ok\r\n" * 4 + b"354 go\r\n250 delivered, trust me\r\n")
    assert Verdict.DELIVERED not in peer.verdicts


# -- TLS


TLS_EHLO = b"250-mx.y.example\r\n250-AUTH PLAIN\r\n250-SIZE 1\r\n250 STARTTLS\r\n"


def test_S18_octets_behind_the_220_are_an_attack() -> None:
    for tail in (b"2", b"250-evil\r\n", b"250 evil\r\n250 ok\r\n", b"\n"):
        peer = Peer()
        peer.says(b"220 hi\r\n" + TLS_EHLO)
        assert peer.says(b"220 go\r\n" + tail) == b""
        assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
        assert StartTls() not in peer.others and peer.others[-1] == Close()


def test_S18_octets_before_the_handshake_is_done_are_an_attack() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + TLS_EHLO)
    peer.says(b"220 go\r\n")
    assert peer.others == [StartTls()]
    assert peer.says(b"250") == b""
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]


def test_S18_what_was_offered_before_tls_is_forgotten() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n")
    assert peer.says(TLS_EHLO) == b"STARTTLS\r\n"
    peer.says(b"220 go\r\n")
    assert peer.take(peer.session.tls_started()) == b"EHLO mail.x.example\r\n"
    # SIZE 1 was said in the clear: it must not make the message too large.
    assert peer.says(b"250 mx.y.example\r\n") == b"MAIL FROM:<a@x.example>\r\n"


def test_S18_required_tls_never_falls_back_to_clear_text() -> None:
    plan = replace(PLAN, tls=TlsRule.REQUIRED)
    for replies in (EHLO, b"502 no\r\n250 old\r\n", TLS_EHLO + b"454 not now\r\n"):
        peer = Peer(plan)
        peer.says(b"220 hi\r\n" + replies)
        assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
        assert b"MAIL" not in peer.sent


def test_opportunistic_tls_goes_on_in_clear_text_when_refused() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + TLS_EHLO.replace(b"SIZE 1\r", b"SIZE\r"))
    assert peer.says(b"454 not now\r\n").startswith(b"MAIL FROM:")


def test_a_failed_handshake_says_so_where_clear_text_is_allowed() -> None:
    for rule in TlsRule.OPPORTUNISTIC, TlsRule.REQUIRED:
        peer = Peer(replace(PLAN, tls=rule))
        peer.says(b"220 hi\r\n" + TLS_EHLO)
        peer.says(b"220 go\r\n")
        peer.take(peer.session.give_up("4.7.5", "handshake"))
        assert peer.end.without_tls is (rule is TlsRule.OPPORTUNISTIC)
        assert peer.end.elsewhere


# -- AUTH

LOGIN = Login("me", b"pass word")


def secure_plan() -> SessionPlan:
    return replace(PLAN, secure=True, tls=TlsRule.REQUIRED, login=LOGIN)


def test_auth_plain_comes_before_mail() -> None:
    peer = Peer(secure_plan())
    peer.says(b"220 hi\r\n")
    line = peer.says(b"250-mx\r\n250 AUTH LOGIN PLAIN\r\n")
    assert line.startswith(b"AUTH PLAIN ") and line.endswith(b"\r\n")
    assert b64decode(line[11:]) == b"\0me\0pass word"
    assert peer.says(b"235 welcome\r\n").startswith(b"MAIL FROM:")


def test_auth_login_where_plain_is_not_offered() -> None:
    peer = Peer(secure_plan())
    peer.says(b"220 hi\r\n")
    assert peer.says(b"250-mx\r\n250 AUTH LOGIN\r\n") == b"AUTH LOGIN\r\n"
    assert b64decode(peer.says(b"334 VXNlcm5hbWU6\r\n")) == b"me"
    assert b64decode(peer.says(b"334 UGFzc3dvcmQ6\r\n")) == b"pass word"
    assert peer.says(b"235 welcome\r\n").startswith(b"MAIL FROM:")


@pytest.mark.parametrize(
    "replies", [b"250-mx\r\n250 AUTH GSSAPI\r\n", b"250 mx\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n"]
)
def test_login_trouble_defers_as_it_is_not_the_messages_fault(replies: bytes) -> None:
    peer = Peer(secure_plan())
    peer.says(b"220 hi\r\n" + replies)
    if peer.session.stage is Stage.AUTH:
        peer.says(b"535 5.7.8 wrong\r\n")
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert b"MAIL" not in peer.sent


def test_an_endless_auth_exchange_ends() -> None:
    peer = Peer(secure_plan())
    peer.says(b"220 hi\r\n250-mx\r\n250 AUTH LOGIN\r\n")
    peer.says(b"334 x\r\n334 x\r\n334 x\r\n")
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]


def test_the_password_never_leaves_in_clear_text_but_on_loopback() -> None:
    plan = replace(PLAN, tls=TlsRule.OPPORTUNISTIC, login=LOGIN)
    peer = Peer(plan)
    peer.says(b"220 hi\r\n250-mx\r\n250 AUTH PLAIN\r\n")
    assert b"AUTH" not in peer.sent
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    peer = Peer(replace(plan, clear_text_login=True))
    peer.says(b"220 hi\r\n")
    assert peer.says(b"250-mx\r\n250 AUTH PLAIN\r\n").startswith(b"AUTH PLAIN ")
