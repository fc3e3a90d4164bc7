"""One connection for many messages, BDAT, and LMTP, without a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.queue import Verdict
from gateway.wire.smtp_client_plan import Close, Stage, TransactionEnd
from tests.wire.test_smtp_client import ENVELOPE, OLD_EHLO, PLAN, Peer

CHUNKING = b"250-mx.y.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
COMMANDS = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n"
BODY = b"Subject: x\r\n\r\n.dot\r\nQUIT\r\n"
BDAT = b"BDAT %d LAST\r\n" % len(BODY) + BODY
DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


def again(peer: Peer, octets: bytes | None = BODY, *, just_used: bool = True) -> bytes:
    """The next message; what is sent at once."""
    peer.others.clear()
    return peer.take(peer.session.begin(ENVELOPE, octets, just_used=just_used))


def served(ehlo: bytes) -> Peer:
    """A connection that has delivered a message."""
    peer = Peer(octets=BODY)
    peer.opens(ehlo)
    peer.answers(b"250 ok", b"250 ok", b"250 ok")
    if ehlo != CHUNKING:
        peer.answers(b"354 go")
    peer.answers(b"250 taken")
    assert peer.verdicts == [DELIVERED, DELIVERED]
    return peer


def test_the_next_message_needs_no_reset() -> None:
    peer = served(OLD_EHLO)
    assert again(peer) == b"MAIL FROM:<a@x.example>\r\n"
    peer.answers(b"250 ok", b"250 ok", b"250 ok", b"354 go", b"250 taken")
    assert peer.verdicts == [DELIVERED, DELIVERED]


@pytest.mark.parametrize("ehlo", [CHUNKING, OLD_EHLO])
def test_after_a_transaction_that_was_begun_only_comes_a_reset(ehlo: bytes) -> None:
    peer = Peer(octets=BODY)
    peer.opens(ehlo)
    peer.answers(b"250 ok", b"550 no", b"550 no")
    assert peer.verdicts == [FAILED, FAILED] and peer.session.stage is Stage.IDLE
    assert again(peer) == (b"RSET\r\n" + COMMANDS if ehlo == CHUNKING else b"RSET\r\n")
    peer.answers(b"250 ok", b"250 ok", b"250 ok", b"250 ok")
    if ehlo == OLD_EHLO:
        peer.answers(b"354 go")
    peer.answers(b"250 taken")
    assert peer.verdicts == [DELIVERED, DELIVERED]


def test_a_refused_mail_needs_no_reset() -> None:
    peer = Peer(octets=BODY)
    peer.opens(OLD_EHLO)
    peer.answers(b"550 not from you")
    assert again(peer) == b"MAIL FROM:<a@x.example>\r\n"


@pytest.mark.parametrize("how", ["lost", "421", "RSET"])
def test_a_kept_connection_that_is_dead_says_so(how: str) -> None:
    peer = served(OLD_EHLO)
    if how == "RSET":
        again(peer)
        peer.answers(b"250 ok", b"550 no", b"550 no")
    again(peer)
    if how == "lost":
        peer.take(peer.session.give_up("4.4.2", "lost"))
    else:
        peer.answers(b"421 timeout" if how == "421" else b"500 what")
    assert peer.end.stale and peer.others[-1] == Close()


def test_a_connection_that_answered_the_message_is_not_stale() -> None:
    peer = served(OLD_EHLO)
    again(peer)
    peer.answers(b"250 ok")
    peer.take(peer.session.give_up("4.4.2", "lost"))
    assert not peer.end.stale and peer.end.elsewhere


@pytest.mark.parametrize("how", ["lost", "421"])
def test_D5_a_message_that_went_ahead_is_repeated_only_where_it_was_surely_not_taken(
    how: str,
) -> None:
    peer = served(CHUNKING)
    assert again(peer).endswith(BDAT)
    if how == "lost":
        peer.take(peer.session.give_up("4.4.2", "lost"))
    else:
        peer.answers(b"421 too many messages")
    assert peer.verdicts == [DEFERRED, DEFERRED]
    assert peer.end.stale is peer.end.elsewhere is (how == "421")


def test_D5_no_message_goes_ahead_where_the_peer_may_be_gone_or_refuse_a_reset() -> None:
    peer = served(CHUNKING)
    assert again(peer, just_used=False) == COMMANDS
    peer.take(peer.session.give_up("4.4.2", "lost"))
    assert peer.end.stale
    peer = served(CHUNKING)
    again(peer)
    peer.answers(b"250 ok", b"250 ok", b"250 ok", b"554 5.7.1 spam")
    assert again(peer) == b"RSET\r\n" + COMMANDS


def test_S26_octets_between_messages_end_the_connection() -> None:
    for octets in (b"2", b"421 bye\r\n", b"250 ok\r\n"):
        peer = served(OLD_EHLO)
        peer.others.clear()
        peer.says(octets)
        assert peer.others == [Close()] and peer.session.stage is Stage.CLOSED


def test_S26_octets_behind_the_last_answer_end_the_connection() -> None:
    peer = Peer(octets=BODY)
    peer.opens(CHUNKING)
    peer.answers(b"250 ok", b"250 ok", b"250 ok")
    peer.says(b"250 taken\r\n250 and the next one too\r\n")
    assert peer.verdicts == [DELIVERED, DELIVERED]
    assert peer.others[-1] == Close()


# -- BDAT


def test_a_body_at_hand_goes_by_bdat_behind_the_accepted_recipients() -> None:
    peer = Peer(octets=BODY)
    assert peer.opens(CHUNKING) == COMMANDS
    assert peer.answers(b"250 ok", b"550 no", b"250 ok") == BDAT
    peer.answers(b"250 taken")
    assert peer.verdicts == [FAILED, DELIVERED]


def test_where_bdat_was_taken_the_next_message_leaves_in_one_write() -> None:
    peer = served(CHUNKING)
    assert again(peer) == COMMANDS + BDAT
    peer.says(b"250 ok\r\n250 ok\r\n450 grey\r\n250 taken\r\n")
    assert peer.verdicts == [DELIVERED, DEFERRED] and peer.session.stage is Stage.IDLE


@pytest.mark.parametrize("answer", [b"503 no recipients", b"554 no valid recipients"])
def test_a_bdat_for_nobody_delivers_nothing_and_is_reset(answer: bytes) -> None:
    peer = served(CHUNKING)
    again(peer)
    peer.answers(b"250 ok", b"550 no", b"550 no", answer)
    assert peer.verdicts == [FAILED, FAILED]
    assert again(peer).startswith(b"RSET\r\nMAIL")


@pytest.mark.parametrize("answer", [b"250 thanks", b"500 what", b"421 bye", b"354 go"])
def test_a_server_that_is_confused_by_bdat_is_left(answer: bytes) -> None:
    peer = served(CHUNKING)
    again(peer)
    peer.answers(b"250 ok", b"550 no", b"550 no", answer)
    assert peer.verdicts == [FAILED, FAILED] and peer.others[-1] == Close()


def test_a_refused_mail_with_the_body_behind_it_is_refused() -> None:
    peer = served(CHUNKING)
    again(peer)
    peer.answers(b"451 4.3.0 later", b"503 x", b"503 x", b"503 x")
    assert peer.verdicts == [DEFERRED, DEFERRED] and peer.end.elsewhere


@pytest.mark.parametrize("code", [b"500", b"501", b"502", b"503", b"504"])
def test_a_server_that_offers_bdat_and_does_not_know_it_gets_data_next(code: bytes) -> None:
    peer = Peer(octets=BODY)
    peer.opens(CHUNKING)
    peer.answers(b"250 ok", b"250 ok", b"250 ok", code + b" what")
    assert peer.end.without_chunking and peer.others[-1] == Close()
    assert peer.verdicts == [DEFERRED, DEFERRED]
    plain = Peer(replace(PLAN, chunking=False), octets=BODY)
    assert plain.opens(CHUNKING) == COMMANDS + b"DATA\r\n"


@pytest.mark.parametrize("reply, verdict", [(b"554 5.7.1 spam", FAILED), (b"451 x", DEFERRED)])
def test_a_bdat_that_is_refused_for_what_it_holds_counts(reply: bytes, verdict: Verdict) -> None:
    peer = served(CHUNKING)
    again(peer)
    peer.answers(b"250 ok", b"250 ok", b"250 ok", reply)
    assert peer.verdicts == [verdict, verdict]
    assert again(peer).startswith(b"RSET\r\n"), "RFC 3030 section 2"


def test_a_long_body_goes_by_data_whatever_is_offered() -> None:
    peer = Peer()
    assert peer.opens(CHUNKING) == COMMANDS + b"DATA\r\n"


def test_D5_a_server_that_answers_bdat_before_it_was_sent_is_not_believed() -> None:
    peer = Peer(octets=BODY)
    peer.opens(CHUNKING)
    peer.says(b"250 ok\r\n250 ok\r\n250 ok\r\n250 taken\r\n")
    assert peer.verdicts == [DEFERRED, DEFERRED] and b"BDAT" not in peer.sent


@given(st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\x00", b"\xff"])))
def test_S7_bdat_holds_whole_lines_and_tells_their_length(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    peer = Peer(octets=octets)
    peer.opens(b"250-mx\r\n250-8BITMIME\r\n" + CHUNKING.split(b"\r\n", 1)[1])
    sent = peer.answers(b"250 ok", b"250 ok", b"250 ok")
    line, _, body = sent.partition(b"\r\n")
    assert line == b"BDAT %d LAST" % len(body)
    bare = body.replace(b"\r\n", b"")
    assert b"\r" not in bare and b"\n" not in bare
    assert not body or body.endswith(b"\r\n")
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert body.replace(b"\r\n", b"\n").removesuffix(b"\n") == lines.removesuffix(b"\n")


# -- LMTP (RFC 2033)

LMTP = replace(PLAN, lmtp=True)


@pytest.mark.parametrize("ehlo", [OLD_EHLO, CHUNKING])
def test_lmtp_answers_for_each_accepted_recipient(ehlo: bytes) -> None:
    peer = Peer(LMTP, octets=BODY)
    assert peer.says(b"220 hi\r\n") == b"LHLO mail.x.example\r\n"
    peer.says(ehlo)
    peer.answers(b"250 ok", b"250 ok", b"250 ok")
    if ehlo == OLD_EHLO:
        peer.answers(b"354 go")
    peer.answers(b"250 2.1.5 in")
    assert not any(isinstance(each, TransactionEnd) for each in peer.others)
    peer.answers(b"552 5.2.2 full")
    assert peer.verdicts == [DELIVERED, FAILED] and peer.session.stage is Stage.IDLE
    again(peer)
    if ehlo == OLD_EHLO:
        peer.answers(b"250 ok", b"250 ok", b"250 ok", b"354 go", b"250 in", b"250 in")
    else:
        assert b"BDAT" in peer.answers(b"250 ok", b"250 ok", b"250 ok", b"250 ok")
        peer.answers(b"250 in", b"250 in")
    assert peer.verdicts == [DELIVERED, DELIVERED]


def test_lmtp_answers_only_for_those_accepted() -> None:
    peer = Peer(LMTP, octets=BODY)
    peer.opens(OLD_EHLO)
    peer.answers(b"250 ok", b"550 5.1.1 no", b"250 ok", b"354 go", b"450 4.2.0 locked")
    assert peer.verdicts == [FAILED, DEFERRED]


def test_D5_lmtp_what_was_answered_counts_and_the_rest_is_deferred() -> None:
    for tail in (b"", b"421 bye\r\n"):
        peer = Peer(LMTP, octets=BODY)
        peer.opens(OLD_EHLO)
        peer.answers(b"250 ok", b"250 ok", b"250 ok", b"354 go", b"250 in")
        peer.says(tail)
        peer.take(peer.session.give_up("4.4.2", "lost"))
        assert peer.verdicts == [DELIVERED, DEFERRED] and not peer.end.elsewhere


def test_lmtp_knows_no_helo() -> None:
    peer = Peer(LMTP)
    peer.says(b"220 hi\r\n")
    assert peer.says(b"500 what\r\n") == b"QUIT\r\n"
    assert peer.not_opened.problem.verdict is FAILED


@pytest.mark.parametrize(
    "said, limits",
    [
        (b"LIMITS MAILMAX=10 RCPTMAX=5 RCPTDOMAINMAX=1", (10, 5, 1)),
        (b"LIMITS rcptmax=7 X=3 RCPTMAX=9", (0, 7, 0)),
        (b"LIMITS RCPTMAX=-1 MAILMAX=many RCPTDOMAINMAX=99999999999", (0, 0, 0)),
        (b"LIMITS", (0, 0, 0)),
    ],
)
def test_the_servers_limits_are_read(said: bytes, limits: tuple[int, int, int]) -> None:
    peer = Peer()
    peer.opens(b"250-mx\r\n250 " + said + b"\r\n")
    found = peer.session.limits
    assert (found.mail_max, found.rcpt_max, found.rcpt_domain_max) == limits
