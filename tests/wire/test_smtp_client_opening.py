"""Opening a connection: greeting, names, TLS and logging in, without a socket."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import pytest

from gateway.core.queue import Verdict
from gateway.wire.smtp_client_envelope import Login
from gateway.wire.smtp_client_plan import (
    Close,
    Obstacle,
    SessionPlan,
    Stage,
    StartTls,
    TlsRule,
)
from tests.wire.test_smtp_client import EHLO, PLAN, Peer


def test_an_old_server_gets_helo() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n")
    assert peer.says(b"502 what\r\n") == b"HELO mail.x.example\r\n"
    assert peer.says(b"250 mx\r\n") == b"MAIL FROM:<a@x.example>\r\n"


@pytest.mark.parametrize(
    "greeting, verdict, busy",
    [
        (b"421 busy", Verdict.DEFERRED, True),
        (b"450 too many connections", Verdict.DEFERRED, True),
        (b"554 5.7.1 blocked", Verdict.DEFERRED, False),
        (b"521 takes no mail", Verdict.FAILED, False),
    ],
)
def test_a_refusing_greeting_is_final_only_where_nobody_is_served(
    greeting: bytes, verdict: Verdict, busy: bool
) -> None:
    peer = Peer()
    peer.says(greeting + b"\r\n")
    end = peer.not_opened
    assert (end.problem.verdict, end.problem.busy) == (verdict, busy)
    assert end.obstacle is Obstacle.REFUSAL and end.elsewhere


@pytest.mark.parametrize("replies", [(b"450 x",), (b"502 x", b"550 x"), (b"502 x", b"421 x")])
def test_a_refused_name_allows_another_host(replies: tuple[bytes, ...]) -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n")
    peer.answers(*replies)
    assert peer.not_opened.elsewhere and b"MAIL" not in peer.sent


@pytest.mark.parametrize(
    "junk",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x16\x03\x01\x02\x00\r\n",
        b"2" * 3000,
        b"220-more\r\n" * 1000,
    ],
    ids=["HTTP", "TLS", "long line", "many lines"],
)
def test_S26_what_is_no_smtp_defers(junk: bytes) -> None:
    peer = Peer()
    peer.says(junk)
    end = peer.not_opened
    assert (end.problem.verdict, end.obstacle) == (Verdict.DEFERRED, Obstacle.SILENCE)
    assert peer.others[-1] == Close()


@pytest.mark.parametrize("said", [b"", b"220 hi\r\n"])
def test_a_connection_that_is_lost_or_silent_allows_another_host(said: bytes) -> None:
    peer = Peer()
    peer.says(said)
    peer.take(peer.session.give_up("4.4.2", "lost"))
    assert peer.not_opened.obstacle is Obstacle.SILENCE and peer.others[-1] == Close()


def test_whoever_answers_mail_before_it_was_said_is_not_believed() -> None:
    peer = Peer()
    peer.opens(EHLO + b"250 ok\r\n")
    assert peer.not_opened.obstacle is Obstacle.SILENCE
    assert b"MAIL" not in peer.sent and peer.others[-1] == Close()


def test_S34_a_server_with_our_own_name_is_a_loop_unless_named_by_the_administrator() -> None:
    for refuse in (True, False):
        peer = Peer(replace(PLAN, refuse_self=refuse))
        peer.opens(b"250-MAIL.x.example at your service\r\n250 HELP\r\n")
        if refuse:
            end = peer.not_opened
            assert (end.problem.verdict, end.problem.status) == (Verdict.FAILED, "5.4.6")
            assert not end.elsewhere
        else:
            assert b"MAIL FROM" in peer.sent


# -- TLS


TLS_EHLO = b"250-mx.y.example\r\n250-AUTH PLAIN\r\n250-SIZE 1\r\n250 STARTTLS\r\n"


def test_S18_octets_behind_the_220_are_an_attack() -> None:
    for tail in (b"2", b"250-evil\r\n", b"250 evil\r\n250 ok\r\n", b"\n"):
        peer = Peer()
        peer.says(b"220 hi\r\n" + TLS_EHLO)
        assert peer.says(b"220 go\r\n" + tail) == b""
        assert peer.not_opened.problem.verdict is Verdict.DEFERRED
        assert StartTls() not in peer.others and peer.others[-1] == Close()


def test_S18_octets_before_the_handshake_is_done_are_an_attack() -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n" + TLS_EHLO)
    peer.says(b"220 go\r\n")
    assert peer.others == [StartTls()]
    assert peer.says(b"250") == b""
    assert peer.not_opened.problem.verdict is Verdict.DEFERRED


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
        assert peer.not_opened.problem.verdict is Verdict.DEFERRED
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
        assert peer.not_opened.without_tls is (rule is TlsRule.OPPORTUNISTIC)
        assert peer.not_opened.obstacle is Obstacle.TLS and peer.not_opened.elsewhere


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
    "replies, obstacle",
    [
        (b"250-mx\r\n250 AUTH PLAIN\r\n", Obstacle.LOGIN),
        # No password was refused; a server that cannot check any now may offer nothing.
        (b"250-mx\r\n250 AUTH GSSAPI\r\n", Obstacle.REFUSAL),
        (b"250 mx\r\n", Obstacle.REFUSAL),
    ],
)
def test_login_trouble_defers_as_it_is_not_the_messages_fault(
    replies: bytes, obstacle: Obstacle
) -> None:
    peer = Peer(secure_plan())
    peer.says(b"220 hi\r\n" + replies)
    if peer.session.stage is Stage.AUTH:
        peer.says(b"535 5.7.8 wrong\r\n")
    assert peer.not_opened.obstacle is obstacle
    assert peer.not_opened.problem.verdict is Verdict.DEFERRED
    assert b"MAIL" not in peer.sent


def test_a_login_that_cannot_be_checked_now_is_no_refusal() -> None:
    for reply in (b"454 4.7.0 the directory is down", b"500 what", b"503 not now"):
        peer = Peer(secure_plan())
        peer.says(b"220 hi\r\n250-mx\r\n250 AUTH PLAIN\r\n")
        peer.answers(reply)
        assert peer.not_opened.obstacle is Obstacle.REFUSAL


@pytest.mark.parametrize(
    "said, first",
    [
        (b"250 AUTH=LOGIN PLAIN\r\n", b"AUTH PLAIN "),
        (b"250-auth=LOGIN\r\n250 SIZE\r\n", b"AUTH LOGIN\r\n"),
        (b"250-AUTH=LOGIN\r\n250-AUTH GSSAPI\r\n250 AUTH PLAIN\r\n", b"AUTH PLAIN "),
    ],
)
def test_old_ways_to_offer_auth_are_understood(said: bytes, first: bytes) -> None:
    plan = replace(PLAN, secure=True, login=Login("me", b"secret"))
    peer = Peer(plan)
    assert peer.opens(b"250-mx\r\n" + said).startswith(first)


def test_an_endless_auth_exchange_ends() -> None:
    peer = Peer(secure_plan())
    peer.says(b"220 hi\r\n250-mx\r\n250 AUTH LOGIN\r\n")
    peer.says(b"334 x\r\n334 x\r\n334 x\r\n")
    assert peer.not_opened.problem.verdict is Verdict.DEFERRED


def test_the_password_never_leaves_in_clear_text_but_on_loopback() -> None:
    plan = replace(PLAN, tls=TlsRule.OPPORTUNISTIC, login=LOGIN)
    peer = Peer(plan)
    peer.says(b"220 hi\r\n250-mx\r\n250 AUTH PLAIN\r\n")
    assert b"AUTH" not in peer.sent
    assert peer.not_opened.problem.verdict is Verdict.DEFERRED
    peer = Peer(replace(plan, clear_text_login=True))
    peer.says(b"220 hi\r\n")
    assert peer.says(b"250-mx\r\n250 AUTH PLAIN\r\n").startswith(b"AUTH PLAIN ")
