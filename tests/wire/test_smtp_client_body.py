"""What the body asks of the other server: size, 8 bits; and loops (SECURITY S28, S34)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.envelope import BodyKind, MessageOptions
from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.smtp_client_plan import Close, Finished, InspectBody, SendBody
from tests.wire.test_smtp_client import EHLO, ENVELOPE, OLD_EHLO, PLAN, Peer

EIGHT_BIT = replace(PLAN, envelope=replace(ENVELOPE, options=MessageOptions(BodyKind.EIGHT_BIT)))


def test_S28_eight_bit_is_declared_where_it_is_taken() -> None:
    peer = Peer(EIGHT_BIT)
    peer.says(b"220 hi\r\n")
    mail = peer.says(EHLO).split(b"\r\n")[0]
    assert mail == b"MAIL FROM:<a@x.example> BODY=8BITMIME SIZE=1000"


def test_S28_an_eight_bit_message_fails_clearly_where_it_is_not_taken() -> None:
    peer = Peer(EIGHT_BIT)
    peer.says(b"220 hi\r\n" + OLD_EHLO)
    assert peer.others == [InspectBody()]
    assert peer.take(peer.session.body_inspected(Content(True, True))) == b"QUIT\r\n"
    problem = peer.end.problem
    assert problem is not None
    assert (problem.verdict, problem.status) == (Verdict.FAILED, "5.6.1")
    assert "8BITMIME" in problem.text


def test_S28_a_message_that_only_claims_eight_bits_goes_anywhere() -> None:
    peer = Peer(EIGHT_BIT)
    peer.says(b"220 hi\r\n" + OLD_EHLO)
    sent = peer.take(peer.session.body_inspected(Content(True, False)))
    assert sent == b"MAIL FROM:<a@x.example>\r\n"


@pytest.mark.parametrize("limit", [b"999", b"1"])
def test_a_message_over_the_servers_size_limit_fails_at_once(limit: bytes) -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n250-mx\r\n250 SIZE " + limit + b"\r\n")
    problem = peer.end.problem
    assert problem is not None
    assert (problem.verdict, problem.status) == (Verdict.FAILED, "5.3.4")
    assert b"MAIL" not in peer.sent


@pytest.mark.parametrize("limit", [b"", b" 0", b" 1000", b" x", b" -1", b" " + b"9" * 60])
def test_other_size_values_are_no_limit(limit: bytes) -> None:
    peer = Peer()
    peer.says(b"220 hi\r\n250-mx\r\n250 SIZE" + limit + b"\r\n")
    assert b"MAIL FROM:<a@x.example> SIZE=1000\r\n" in peer.sent


def test_S34_a_server_with_our_own_name_is_a_loop_unless_named_by_the_administrator() -> None:
    for refuse in (True, False):
        peer = Peer(replace(PLAN, refuse_self=refuse))
        peer.says(b"220 hi\r\n250-MAIL.x.example at your service\r\n250 HELP\r\n")
        if refuse:
            problem = peer.end.problem
            assert problem is not None
            assert (problem.verdict, problem.status) == (Verdict.FAILED, "5.4.6")
        else:
            assert b"MAIL FROM" in peer.sent


def test_recipients_that_need_more_than_is_offered_fail_by_themselves() -> None:
    paths = (b"<b@y.example>", "<grün@y.example>".encode())
    peer = Peer(replace(PLAN, envelope=replace(ENVELOPE, recipients=paths)))
    peer.says(b"220 hi\r\n" + EHLO)
    assert peer.sent.count(b"RCPT") == 1
    peer.says(b"250 ok\r\n250 ok\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.DELIVERED, Verdict.FAILED]
    alone = Peer(replace(PLAN, envelope=replace(ENVELOPE, recipients=paths[1:])))
    alone.says(b"220 hi\r\n" + EHLO)
    assert b"MAIL" not in alone.sent and alone.verdicts == [Verdict.FAILED]


REPLIES = st.lists(
    st.sampled_from(
        [
            b"220 hi\r\n",
            EHLO,
            OLD_EHLO,
            b"250 ok\r\n",
            b"354 go\r\n",
            b"421 bye\r\n",
            b"450 x\r\n",
            b"550 x\r\n",
            b"334 x\r\n",
            b"junk\r\n",
            b"25",
        ]
    ),
    max_size=14,
)


@given(REPLIES, st.integers(min_value=1, max_value=60))
def test_whatever_a_server_says_ends_are_told_once_and_nothing_is_delivered_without_a_dot(
    replies: list[bytes], step: int
) -> None:
    peer = Peer()
    data = b"".join(replies)
    for start in range(0, len(data), step):
        peer.says(data[start : start + step])
    assert sum(isinstance(request, Finished) for request in peer.others) <= 1
    peer.take(peer.session.give_up("4.4.2", "lost"))
    assert Verdict.DELIVERED not in peer.verdicts
    assert peer.others.count(SendBody()) <= 1
    assert Close() in peer.others
