"""Checks at the door: which reply each stage gives, in what order, and what becomes of tags."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from gateway.core.trace import TraceRecord
from gateway.policy.engine import Policy
from gateway.policy.facts import Facts
from gateway.policy.verdicts import Action, Stage, Verdict
from gateway.wire.smtp_limits import SmtpLimits
from tests.support.smtp_fakes import ALICE, AT_ONCE, Client, SmtpBench, codes

MAIL = b"MAIL FROM:<a@far.test>"
RCPT = b"RCPT TO:<alice@example.test>"
BODY = b"Subject: x\r\n\r\nhello\r\n"


class Says:
    """One verdict at one stage, or what a test makes of the question."""

    name = "says"
    defers_on_trouble = False

    def __init__(self, stage: Stage, action: Action | None, **more: Any) -> None:
        self.stages = frozenset((stage,))
        self.action = action
        self.more = more
        self.asked: list[Facts] = []
        self.waiting: list[Deferred[Any]] | None = None

    def judge(self, stage: Stage, facts: Facts) -> Any:
        self.asked.append(dataclasses.replace(facts))
        if self.waiting is not None:
            self.waiting.append(Deferred())
            return self.waiting[-1]
        return None if self.action is None else Verdict(self.action, "says", "why", **self.more)


def bench(*checks: Says, limits: SmtpLimits = AT_ONCE, protocol: str = "smtp") -> SmtpBench:
    return SmtpBench(protocol, limits=limits, policy=Policy("p", checks))


def records(made: SmtpBench) -> list[TraceRecord]:
    return made.trace.records


def first_words(made: SmtpBench, ip: str = "192.0.2.9") -> bytes:
    """What a client that connects reads, without asking that it be a greeting."""
    return Client(made, ip).read()


@pytest.mark.parametrize(
    ("action", "code"), [(Action.REJECT, b"554 5."), (Action.DEFER, b"421 4.")]
)
def test_refused_instead_of_the_greeting(action: Action, code: bytes) -> None:
    made = bench(Says(Stage.CONNECT, action, text="Listed by bad.test"))
    assert first_words(made) == code + b"7.1 Listed by bad.test\r\n"
    (record,) = records(made)
    assert record.kind == "refused" and "192.0.2.9" in record.keys


@pytest.mark.parametrize(
    ("stage", "action", "expected"),
    [
        (Stage.HELLO, Action.REJECT, [550, 503, 503]),
        (Stage.HELLO, Action.DEFER, [450, 503, 503]),
        (Stage.SENDER, Action.REJECT, [250, 550, 503]),
        (Stage.SENDER, Action.DEFER, [250, 450, 503]),
        (Stage.RECIPIENT, Action.REJECT, [250, 250, 550]),
        (Stage.RECIPIENT, Action.DEFER, [250, 250, 450]),
    ],
)
def test_refusals_of_commands(stage: Stage, action: Action, expected: list[int]) -> None:
    client = bench(Says(stage, action, status="7.25")).connect()
    said = [client.say(line) for line in (b"EHLO client.test", MAIL, RCPT)]
    assert [codes(each)[-1] for each in said] == expected
    refusal = next(each for each in said if codes(each)[-1] in (450, 550))
    assert b".7.25 " in refusal and client.ids


@pytest.mark.parametrize(("action", "code"), [(Action.REJECT, 550), (Action.DEFER, 451)])
def test_S4_refused_after_the_dot_nothing_is_kept(action: Action, code: int) -> None:
    check = Says(Stage.CONTENT, action)
    made = bench(check)
    client = made.ready()
    assert codes(client.deliver(BODY)) == [code]
    assert made.intake.accepted == [] and made.intake.bodies[0].discarded
    assert codes(client.say(RCPT)) == [503]
    check.action = None
    assert codes(client.deliver(BODY)) == [250]


def test_the_whole_message_can_be_read_after_the_dot() -> None:
    seen: list[bytes] = []

    class Reads(Says):
        def judge(self, stage: Stage, facts: Facts) -> Any:
            async def read() -> None:
                assert facts.content is not None
                seen.append(await facts.content.read(0, facts.content.size_octets))

            assert facts.envelope is not None and len(facts.envelope.recipients) == 2
            return Deferred.fromCoroutine(read())

    made = bench(Reads(Stage.CONTENT, None))
    made.ready().deliver(BODY, b"<alice@example.test>", b"<bob@example.test>")
    assert seen == [BODY] and made.intake.content() == BODY


def test_tags_stand_above_everything_each_once_and_harmless() -> None:
    made = bench(
        Says(Stage.CONNECT, Action.TAG, tag="rdns: no name"),
        Says(Stage.SENDER, Action.TAG, tag="rdns: no name"),
        Says(Stage.RECIPIENT, Action.TAG, tag="evil\r\nX-Spam: no;\x00ü" + "y" * 500),
    )
    made.ready().deliver(b"X-Gateway-Policy: all fine\r\n" + BODY)
    header = made.intake.accepted[0].trace_header
    assert header.startswith(b"X-Gateway-Policy: rdns: no name;\r\n\tevil?X-Spam: no??yyy")
    assert header.count(b"X-Gateway-Policy") == 1 and b"\r\nX-Spam" not in header
    assert max(map(len, header.split(b"\r\n"))) < 998


def test_without_tags_there_is_no_field() -> None:
    made = bench()
    made.ready().deliver(BODY)
    assert made.intake.accepted[0].trace_header.startswith(b"Received: ")


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.RECIPIENT, Stage.CONTENT])
def test_quarantine_takes_the_message_and_holds_it(stage: Stage) -> None:
    made = bench(Says(stage, Action.QUARANTINE, tag="says: why"))
    assert codes(made.ready().deliver(BODY)) == [250]
    (message,) = made.intake.accepted
    assert message.hold is not None and message.hold.reason == "quarantine: why"
    assert message.local == () and len(message.remote) == 1


def test_S22_slow_checks_with_pipelining_answer_in_order() -> None:
    sender, recipient = Says(Stage.SENDER, None), Says(Stage.RECIPIENT, None)
    sender.waiting, recipient.waiting = [], []
    made = bench(sender, recipient)
    client = made.ready()
    group = MAIL + b"\r\n" + RCPT + b"\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
    assert client.send(group) == b""
    sender.waiting.pop().callback(None)
    assert codes(client.read()) == [250]
    recipient.waiting.pop().callback(Verdict(Action.DEFER, "says", "why"))
    assert codes(client.read()) == [450]
    recipient.waiting.pop().callback(None)
    assert codes(client.read()) == [250, 354]


def test_S22_all_recipients_refused_leaves_no_message() -> None:
    made = bench(Says(Stage.RECIPIENT, Action.REJECT))
    client = made.ready()
    replies = client.send(MAIL + b"\r\n" + RCPT + b"\r\nDATA\r\n")
    assert codes(replies)[:2] == [250, 550] and codes(replies)[2] in (503, 554)


def test_a_slow_check_of_the_client_comes_before_the_pause_and_the_greeting() -> None:
    check = Says(Stage.CONNECT, None)
    check.waiting = []
    made = bench(check, limits=SmtpLimits(greet_pause_s=0.02))
    client = Client(made, "192.0.2.9")
    made.clock.advance(10)
    assert client.read() == b""
    check.waiting.pop().callback(None)
    assert client.read() == b""
    made.clock.advance(0.03)
    assert client.read().startswith(b"220 ")


def test_a_client_that_leaves_during_a_slow_check_ends_it() -> None:
    check = Says(Stage.SENDER, None)
    check.waiting = []
    made = bench(check)
    client = made.ready()
    client.say(MAIL)
    assert not check.waiting[0].called
    client.lose()
    assert check.waiting[0].called, "it was cancelled"


def test_S21_early_talkers_are_recorded() -> None:
    made = bench(limits=SmtpLimits(greet_pause_s=0.02))
    client = Client(made, "192.0.2.9")
    assert codes(client.send(b"EHLO x\r\n")) == [554]
    (record,) = records(made)
    verdicts: Any = record.fields["verdicts"]
    assert verdicts[0]["check"] == "early_talker" and verdicts[0]["greet_pause_s"] == "0.02"


def test_S24_too_many_errors_are_recorded() -> None:
    limits = dataclasses.replace(AT_ONCE, errors_hard=3)
    client = (made := bench(limits=limits)).ready()
    for _ in range(3):
        client.say(b"NONSENSE")
    assert client.closed()
    verdicts: Any = records(made)[-1].fields["verdicts"]
    assert verdicts[-1]["check"] == "too_many_errors" and verdicts[-1]["errors"] == "3"


def test_checks_see_who_has_logged_in() -> None:
    check = Says(Stage.SENDER, None)
    made = bench(check, protocol="submission")
    made.submitter().deliver(BODY, sender=b"<alice@example.test>")
    account = check.asked[0].client.account
    assert account is not None and account.account_id == ALICE.account_id


def test_a_fault_in_a_check_is_no_refusal() -> None:
    check = Says(Stage.RECIPIENT, None)
    check.waiting = []
    made = bench(check)
    client = made.ready()
    client.say(MAIL)
    client.say(RCPT)
    with capturedLogs() as events:
        check.waiting[0].errback(ValueError("x"))
    assert codes(client.read()) == [250]
    assert [event["check"] for event in events] == ["says"]


def test_what_was_judged_is_kept_with_the_message() -> None:
    made = bench(Says(Stage.SENDER, Action.PASS, inputs={"pair": "p x"}))
    made.ready().deliver(BODY)
    record = made.intake.accepted[0].trace
    assert record is not None
    assert record.fields["verdicts"] == [
        {"stage": "sender", "check": "says", "action": "pass", "reason": "why", "pair": "p x"}
    ]


def test_S19_a_verdict_during_a_handshake_does_not_prolong_it() -> None:
    slow = Says(Stage.CONNECT, None)
    slow.waiting = []
    made = SmtpBench("smtp", implicit_tls=True, policy=Policy("p", (slow,)))
    client = Client(made, "192.0.2.9")
    made.clock.advance(5)
    slow.waiting[0].callback(None)
    made.clock.advance(24)
    assert not client.aborted()
    made.clock.advance(2)
    assert client.aborted()
