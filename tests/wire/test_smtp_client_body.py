"""What the body asks of the other server: size, 8 bits (SECURITY S28)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.envelope import BodyKind, MessageOptions
from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_plan import (
    Close,
    InspectBody,
    NotOpened,
    SendBody,
    Stage,
    TransactionEnd,
)
from tests.wire.test_smtp_client import ACCEPT, EHLO, ENVELOPE, OLD_EHLO, Peer

EIGHT_BIT = replace(ENVELOPE, options=MessageOptions(BodyKind.EIGHT_BIT))
MIME = (
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\ngr\xfcn\r\n.dot\r\n"
)


def test_S28_eight_bit_is_declared_where_it_is_taken() -> None:
    peer = Peer(envelope=EIGHT_BIT)
    mail = peer.opens().split(b"\r\n")[0]
    assert mail == b"MAIL FROM:<a@x.example> BODY=8BITMIME SIZE=1000"


def test_S28_what_nobody_declared_is_declared_where_it_is_taken() -> None:
    peer = Peer(octets=MIME)
    assert peer.opens().startswith(b"MAIL FROM:<a@x.example> BODY=8BITMIME SIZE=1000\r\n")


@pytest.mark.parametrize("envelope", [EIGHT_BIT, ENVELOPE])
def test_S28_an_eight_bit_message_is_made_seven_bit_where_it_is_not_taken(
    envelope: Envelope,
) -> None:
    offer = b"250-mx\r\n250-PIPELINING\r\n250 SIZE\r\n"
    peer = Peer(envelope=envelope, octets=MIME)
    sent = peer.opens(offer)
    converted = MIME.replace(b"8bit", b"quoted-printable").replace(b"\xfc", b"=FC")
    size = int(sent.split(b"\r\n")[0].removeprefix(b"MAIL FROM:<a@x.example> SIZE="))
    assert len(converted) <= size < len(converted) + 150
    assert peer.says(ACCEPT) == converted.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def test_S28_a_long_message_is_inspected_and_then_made_seven_bit() -> None:
    peer = Peer(envelope=EIGHT_BIT, content=None)
    peer.opens(OLD_EHLO)
    assert peer.others == [InspectBody()]
    content = Content(True, True, (b"base64",), size_octets=5)
    assert peer.take(peer.session.body_inspected(content)) == b"MAIL FROM:<a@x.example>\r\n"
    peer.answers(b"250 ok", b"250 ok", b"250 ok", b"354 go")
    assert peer.others[-1] == SendBody((b"base64",))


@pytest.mark.parametrize("streamed", [True, False])
def test_S28_what_cannot_be_made_seven_bit_fails_clearly(streamed: bool) -> None:
    octets = None if streamed else b"Subject: gr\xfcn\r\n\r\n"
    peer = Peer(envelope=EIGHT_BIT, octets=octets, content=None)
    peer.opens(OLD_EHLO)
    if streamed:
        peer.take(peer.session.body_inspected(Content(True, True, problem="it is signed")))
    problem = peer.end.problem
    assert problem is not None
    assert (problem.verdict, problem.status) == (Verdict.FAILED, "5.6.1")
    assert "8BITMIME" in problem.text and b"MAIL" not in peer.sent
    assert peer.session.stage is Stage.IDLE, "the next message may be another kind"


def test_S28_a_message_that_only_claims_eight_bits_goes_anywhere() -> None:
    peer = Peer(envelope=EIGHT_BIT, content=None)
    peer.opens(OLD_EHLO)
    sent = peer.take(peer.session.body_inspected(Content(True, False)))
    assert sent == b"MAIL FROM:<a@x.example>\r\n"


@pytest.mark.parametrize("limit", [b"999", b"1"])
def test_a_message_over_the_servers_size_limit_fails_at_once(limit: bytes) -> None:
    peer = Peer()
    peer.opens(b"250-mx\r\n250 SIZE " + limit + b"\r\n")
    problem = peer.end.problem
    assert problem is not None
    assert (problem.verdict, problem.status) == (Verdict.FAILED, "5.3.4")
    assert b"MAIL" not in peer.sent


@pytest.mark.parametrize("limit", [b"", b" 0", b" 1000", b" x", b" -1", b" " + b"9" * 60])
def test_other_size_values_are_no_limit(limit: bytes) -> None:
    peer = Peer()
    peer.opens(b"250-mx\r\n250 SIZE" + limit + b"\r\n")
    assert b"MAIL FROM:<a@x.example> SIZE=1000\r\n" in peer.sent


def test_recipients_that_need_more_than_is_offered_fail_by_themselves() -> None:
    paths = (b"<b@y.example>", "<grün@y.example>".encode())
    peer = Peer(envelope=replace(ENVELOPE, recipients=paths))
    peer.opens()
    assert peer.sent.count(b"RCPT") == 1
    peer.says(b"250 ok\r\n250 ok\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.DELIVERED, Verdict.FAILED]
    alone = Peer(envelope=replace(ENVELOPE, recipients=paths[1:]))
    alone.opens()
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


@given(REPLIES, st.integers(min_value=1, max_value=60), st.sampled_from([None, b"x\r\n"]))
def test_whatever_a_server_says_ends_are_told_once_and_nothing_is_delivered_without_a_dot(
    replies: list[bytes], step: int, octets: bytes | None
) -> None:
    peer = Peer(octets=octets)
    data = b"".join(replies)
    for start in range(0, len(data), step):
        peer.says(data[start : start + step])
    peer.take(peer.session.give_up("4.4.2", "lost"))
    kinds = [type(request) for request in peer.others]
    assert kinds.count(TransactionEnd) + kinds.count(NotOpened) == 1
    assert kinds.count(SendBody) <= 1 and kinds.count(Close) == 1
    if TransactionEnd in kinds and b"\r\n.\r\n" not in peer.sent:
        assert Verdict.DELIVERED not in peer.verdicts
