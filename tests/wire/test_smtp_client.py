"""A transaction of the sending side, at every stage, without a socket."""

from __future__ import annotations

import pytest

from gateway.core.queue import Verdict
from gateway.wire.content_scan import Content
from gateway.wire.smtp_client import ClientSession
from gateway.wire.smtp_client_envelope import Envelope
from gateway.wire.smtp_client_plan import (
    Close,
    InspectBody,
    NotOpened,
    Opened,
    Request,
    Result,
    Send,
    SendBody,
    SessionPlan,
    Stage,
    TransactionEnd,
)

ENVELOPE = Envelope(b"<a@x.example>", (b"<b@y.example>", b"<c@y.example>"), 1000)
PLAN = SessionPlan(b"mail.x.example")
EHLO = b"250-mx.y.example\r\n250-SIZE 5000\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
OLD_EHLO = b"250 mx.y.example\r\n"
ACCEPT = b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"


class Peer:
    """Feeds replies and keeps what the session wanted; a message is sent as soon as it may be.

    Args:
        content: what is found where a body has to be looked at; None: the test says it.
    """

    def __init__(
        self,
        plan: SessionPlan = PLAN,
        envelope: Envelope = ENVELOPE,
        octets: bytes | None = None,
        content: Content | None = Content(True, False),  # noqa: B008
    ) -> None:
        self.session = ClientSession(plan)
        self.content = content
        self.envelope = envelope
        self.octets = octets
        self.sent = b""
        self.others: list[Request] = []

    def take(self, requests: list[Request]) -> bytes:
        """What is sent now."""
        before = len(self.sent)
        for request in requests:
            if isinstance(request, Send):
                self.sent += request.data
            elif isinstance(request, Opened):
                self.take(self.session.begin(self.envelope, self.octets))
            elif isinstance(request, InspectBody) and self.content is not None:
                self.take(self.session.body_inspected(self.content))
            else:
                self.others.append(request)
        return self.sent[before:]

    def opens(self, ehlo: bytes = EHLO) -> bytes:
        self.says(b"220 hi\r\n")
        return self.says(ehlo)

    def says(self, data: bytes) -> bytes:
        return self.take(self.session.receive(data))

    def answers(self, *replies: bytes) -> bytes:
        """One after the other; what is sent after the last one."""
        sent = b""
        for reply in replies:
            sent = self.says(reply + b"\r\n")
        return sent

    @property
    def end(self) -> TransactionEnd:
        (end,) = [request for request in self.others if isinstance(request, TransactionEnd)]
        return end

    @property
    def not_opened(self) -> NotOpened:
        (end,) = [request for request in self.others if isinstance(request, NotOpened)]
        return end

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict_of(result, self.end) for result in self.end.results]


def verdict_of(result: Result | None, end: TransactionEnd) -> Verdict:
    shown = result or end.problem
    assert shown is not None
    return shown.verdict


def at_body(envelope: Envelope = ENVELOPE) -> Peer:
    peer = Peer(PLAN, envelope)
    peer.opens()
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
    assert peer.says(b"250 2.0.0 queued as 1\r\n") == b""
    accepted = Result(Verdict.DELIVERED, "2.0.0", "250 2.0.0 queued as 1", True)
    assert peer.end.results == (accepted, accepted)
    assert peer.session.stage is Stage.IDLE
    assert peer.take(peer.session.quit()) == b"QUIT\r\n"
    peer.says(b"221 bye\r\n")
    assert peer.others[-1] == Close()


def test_an_old_server_gets_one_command_at_a_time() -> None:
    peer = Peer()
    assert peer.opens(OLD_EHLO) == b"MAIL FROM:<a@x.example>\r\n"
    assert peer.says(b"250 ok\r\n") == b"RCPT TO:<b@y.example>\r\n"
    assert peer.says(b"250 ok\r\n") == b"RCPT TO:<c@y.example>\r\n"
    assert peer.says(b"250 ok\r\n") == b"DATA\r\n"


def test_what_is_at_hand_leaves_in_one_write_with_its_end() -> None:
    peer = Peer(octets=b"Subject: x\n\n.dot\r\nbare\rend")
    peer.opens()
    assert peer.says(ACCEPT) == b"Subject: x\r\n\r\n..dot\r\nbare\r\nend\r\n.\r\n"
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.DELIVERED, Verdict.DELIVERED]


@pytest.mark.parametrize("ehlo", [EHLO, OLD_EHLO])
def test_every_recipient_has_an_outcome_of_its_own(ehlo: bytes) -> None:
    peer = Peer()
    peer.opens(ehlo)
    peer.says(b"250 ok\r\n550 5.1.1 no such user\r\n250 ok\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.DELIVERED]
    assert peer.end.results[0] == Result(Verdict.FAILED, "5.1.1", "550 5.1.1 no such user", True)


@pytest.mark.parametrize("ehlo", [EHLO, OLD_EHLO])
def test_no_data_is_sent_when_nobody_is_accepted(ehlo: bytes) -> None:
    peer = Peer()
    peer.opens(ehlo)
    peer.answers(b"250 ok", b"550 no", b"451 later")
    if ehlo == EHLO:
        peer.answers(b"503 no recipients")
    assert peer.verdicts == [Verdict.FAILED, Verdict.DEFERRED]
    assert SendBody() not in peer.others and peer.session.stage is Stage.IDLE


def test_a_pipelined_354_without_recipients_gets_no_empty_message() -> None:
    peer = Peer()
    peer.opens()
    peer.says(b"250 ok\r\n550 no\r\n550 no\r\n354 go\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.FAILED]
    assert peer.sent.endswith(b"DATA\r\n")
    assert peer.others[-1] == Close()


@pytest.mark.parametrize(
    "reply", [b"552 too many", b"452 4.5.3 too many recipients", b"452 enough for now"]
)
def test_too_many_recipients_is_no_word_about_the_one_who_hears_it(reply: bytes) -> None:
    peer = Peer()
    peer.opens()
    peer.says(b"250 ok\r\n250 ok\r\n" + reply + b"\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    assert peer.verdicts == [Verdict.DELIVERED, Verdict.DEFERRED]
    refused = peer.end.results[1]
    assert refused is not None and refused.again and not refused.busy


def test_a_full_disk_is_not_too_many_recipients() -> None:
    peer = Peer()
    peer.opens()
    peer.says(b"250 ok\r\n250 ok\r\n452 4.3.1 disk full\r\n354 go\r\n")
    peer.take(peer.session.body_sent())
    peer.says(b"250 ok\r\n")
    refused = peer.end.results[1]
    assert refused is not None and not refused.again and not refused.busy


@pytest.mark.parametrize(
    "reply, busy",
    [
        (b"421 4.7.0 too many connections", True),
        (b"451 4.7.1 grey", True),
        (b"450 4.7.28 rate limited", True),
        (b"452 4.5.3 too many connections from your host", True),
        (b"451 4.3.0 try again", False),
        (b"452 4.2.2 mailbox full", False),
        (b"450 4.2.0 busy mailbox", False),
        (b"550 5.7.1 blocked", False),
    ],
)
def test_what_asks_for_less_is_told_from_what_is_about_the_mail(reply: bytes, busy: bool) -> None:
    peer = Peer()
    peer.opens(OLD_EHLO)
    peer.answers(reply)
    assert peer.end.problem is not None and peer.end.problem.busy is busy


@pytest.mark.parametrize("code, verdict", [(b"4", Verdict.DEFERRED), (b"5", Verdict.FAILED)])
@pytest.mark.parametrize(
    "ehlo, before, elsewhere",
    [(EHLO, b"", None), (EHLO, b"250 ok\r\n250 ok\r\n250 ok\r\n", False), (OLD_EHLO, b"", None)],
    ids=["MAIL", "DATA", "MAIL alone"],
)
def test_a_refusal_at_each_stage_decides_all(
    ehlo: bytes, before: bytes, elsewhere: bool | None, code: bytes, verdict: Verdict
) -> None:
    peer = Peer()
    peer.opens(ehlo)
    peer.says(before)
    peer.says(code + b"50 no thanks\r\n")
    if peer.session.stage is not Stage.IDLE:
        peer.says(b"503 bad sequence\r\n503 x\r\n503 x\r\n")
    assert peer.verdicts == [verdict, verdict]
    # MAIL: only a temporary refusal makes another host worth trying.
    assert peer.end.elsewhere is (code == b"4" if elsewhere is None else elsewhere)
    assert SendBody() not in peer.others


def test_a_refused_mail_stays_refused_though_the_server_hangs_up_behind_it() -> None:
    peer = Peer()
    peer.opens()
    peer.says(b"550 5.7.1 blocked\r\n421 bye\r\n")
    assert peer.verdicts == [Verdict.FAILED, Verdict.FAILED]


@pytest.mark.parametrize("said", [b"", b"250 ok\r\n"])
@pytest.mark.parametrize("lost", [True, False])
def test_421_and_lost_connections_defer_and_allow_another_host(said: bytes, lost: bool) -> None:
    peer = Peer()
    peer.opens()
    peer.says(said)
    if lost:
        peer.take(peer.session.give_up("4.4.2", "lost"))
    else:
        peer.says(b"421 shutting down\r\n")
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert peer.end.elsewhere and not peer.end.stale
    assert peer.others[-1] == Close()


def test_D5_a_connection_lost_after_the_dot_defers_and_tries_no_other_host() -> None:
    peer = at_body()
    peer.take(peer.session.body_sent())
    assert peer.session.stage is Stage.END_OF_DATA
    peer.take(peer.session.give_up("4.4.2", "lost"))
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert not peer.end.elsewhere


@pytest.mark.parametrize("octets", [None, b"Subject: x\r\n\r\n"])
def test_D5_nothing_is_delivered_before_the_answer_to_the_dot(octets: bytes | None) -> None:
    for at_once in (True, False):
        peer = Peer(octets=octets)
        peer.opens()
        if at_once:
            peer.says(ACCEPT + b"250 premature\r\n")
        elif octets is None:
            peer.says(ACCEPT)
            peer.says(b"250 premature\r\n")
        else:
            continue
        assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
        assert peer.others[-1] == Close()


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
    peer.says(code + b" 5.7.1 spam\r\n")
    assert peer.session.stage is Stage.IDLE
    assert peer.verdicts == [verdict, verdict]


@pytest.mark.parametrize("reply", [b"250 ok", b"220 hi", b"334 "])
def test_a_strange_answer_to_data_sends_no_message(reply: bytes) -> None:
    peer = Peer(octets=b"x\r\n")
    peer.opens()
    peer.answers(b"250 ok", b"250 ok", b"250 ok", reply)
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert peer.sent.endswith(b"DATA\r\n") and peer.others[-1] == Close()


def test_S26_replies_without_a_command_end_the_conversation() -> None:
    peer = Peer()
    peer.opens(OLD_EHLO)
    peer.says(b"250 ok\r\n" * 4 + b"354 go\r\n250 delivered, trust me\r\n")
    assert Verdict.DELIVERED not in peer.verdicts


def test_S26_a_reply_that_never_ends_ends_the_conversation() -> None:
    peer = Peer()
    peer.opens()
    peer.says(b"250-more\r\n" * 1000)
    assert peer.verdicts == [Verdict.DEFERRED, Verdict.DEFERRED]
    assert peer.others[-1] == Close()
