"""Order and scope of checks: who is asked, what ends it, and that a fault stops no mail."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from gateway.core.address import Address
from gateway.core.route import LocalMailbox
from gateway.policy.engine import MAX_RECORDED, Policy, Visit
from gateway.policy.facts import Client, Envelope, Facts, Recipient
from gateway.policy.verdicts import Action, Stage, Verdict
from tests.policy.facts import ALICE, client

RCPT = Recipient(Address("alice", "example.test"), LocalMailbox(ALICE))


class Scripted:
    """Says what a test tells it; notes that it was asked."""

    defers_on_trouble = False

    def __init__(self, name: str, stages: dict[Stage, Any], asked: list[str]) -> None:
        self.name = name
        self.script = stages
        self.stages = frozenset(stages)
        self.asked = asked

    def judge(self, stage: Stage, facts: Facts) -> Any:
        self.asked.append(f"{self.name} {stage.value}")
        said = self.script[stage]
        if isinstance(said, Exception):
            raise said
        return (
            Verdict(said, self.name, "because", tag=self.name) if isinstance(said, Action) else said
        )


def visit_of(*stages: dict[Stage, Any]) -> tuple[Visit, list[str]]:
    asked: list[str] = []
    checks = [Scripted(f"c{n}", each, asked) for n, each in enumerate(stages)]
    return Policy("p", checks).visit(client()), asked


def waited(answer: Any) -> Any:
    """A coroutine's outcome, or the answer itself."""
    if answer is None or isinstance(answer, Verdict):
        return answer
    found: list[Any] = []
    Deferred.fromCoroutine(answer).addCallback(found.append)
    return found[0] if found else "waiting"


def test_the_first_refusal_ends_it() -> None:
    visit, asked = visit_of(
        {Stage.CONNECT: None}, {Stage.CONNECT: Action.DEFER}, {Stage.CONNECT: Action.REJECT}
    )
    verdict = visit.connected()
    assert isinstance(verdict, Verdict) and verdict.check == "c1"
    assert asked == ["c0 connect", "c1 connect"]
    assert [(each.stage, each.verdict.check) for each in visit.rulings] == [(Stage.CONNECT, "c1")]


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.HELLO, Stage.SENDER])
def test_accept_has_a_scope(stage: Stage) -> None:
    script = dict.fromkeys(Stage, None)
    visit, asked = visit_of({**script, stage: Action.ACCEPT}, dict.fromkeys(Stage, Action.REJECT))
    stages = [Stage.CONNECT, Stage.HELLO, Stage.SENDER]
    for each in stages[: stages.index(stage)]:
        visit._policy.by_stage[each][1].script[each] = None  # type: ignore[attr-defined]
    assert visit.connected() is None and visit.greeted() is None
    assert visit.sender(Envelope(None)) is None
    assert visit.recipient(RCPT) is None
    assert asked[-1] == f"c0 {stage.value}"
    visit.reset()
    asked.clear()
    visit.sender(Envelope(None))
    assert asked == (["c0 sender"] if stage is Stage.SENDER else [])


def test_accept_of_one_recipient_is_for_that_one() -> None:
    visit, asked = visit_of({Stage.RECIPIENT: Action.ACCEPT}, {Stage.RECIPIENT: Action.REJECT})
    visit.sender(Envelope(None))
    assert visit.recipient(RCPT) is None and visit.recipient(RCPT) is None
    assert asked == ["c0 recipient"] * 2


def test_another_name_in_EHLO_is_judged_anew() -> None:
    visit, _ = visit_of({Stage.HELLO: Action.ACCEPT}, {Stage.SENDER: Action.REJECT})
    assert visit.greeted() is None and visit.sender(Envelope(None)) is None
    visit._policy.by_stage[Stage.HELLO][0].script[Stage.HELLO] = None  # type: ignore[attr-defined]
    visit.reset()
    assert visit.greeted() is None
    assert visit.sender(Envelope(None)) is not None


def test_those_who_wait_go_on_where_they_were() -> None:
    slow: Deferred[Any] = Deferred()
    visit, asked = visit_of(
        {Stage.SENDER: None}, {Stage.SENDER: slow}, {Stage.SENDER: Action.TAG}, {Stage.SENDER: None}
    )
    outcome: list[Any] = []
    answer: Any = visit.sender(Envelope(None))
    Deferred.fromCoroutine(answer).addCallback(outcome.append)
    assert asked == ["c0 sender", "c1 sender"] and not outcome
    slow.callback(None)
    assert outcome == [None] and len(asked) == 4 and visit.tags == ["c2"]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("defers", [False, True])
def test_a_fault_in_a_check_stops_no_mail_unless_it_is_said_to(waits: bool, defers: bool) -> None:
    slow: Deferred[Any] = Deferred()
    visit, asked = visit_of(
        {Stage.SENDER: slow if waits else ValueError("x")}, {Stage.SENDER: None}
    )
    visit._policy.by_stage[Stage.SENDER][0].defers_on_trouble = defers  # type: ignore[misc]
    with capturedLogs() as events:
        answer: Any = visit.sender(Envelope(None))
        outcome: list[Any] = []
        if waits:
            Deferred.fromCoroutine(answer).addCallback(outcome.append)
            slow.errback(ValueError("x"))
            (answer,) = outcome
    assert len(events) == 1 and events[0]["log_failure"].check(ValueError)
    assert (answer is not None and answer.action is Action.DEFER) is defers
    assert asked[-1] == ("c0 sender" if defers else "c1 sender")
    assert "ValueError" in visit.rulings[0].verdict.reason


def test_what_is_said_of_a_refused_recipient_says_nothing_of_the_message() -> None:
    visit, _ = visit_of({Stage.RECIPIENT: Action.QUARANTINE}, {Stage.RECIPIENT: Action.REJECT})
    visit.sender(Envelope(None))
    assert visit.recipient(RCPT) is not None
    assert visit.quarantine is None and visit.tags == [] and len(visit.rulings) == 2


def test_a_long_record_hides_no_quarantine() -> None:
    visit, _ = visit_of({Stage.RECIPIENT: Action.PASS, Stage.CONTENT: Action.QUARANTINE})
    visit.sender(Envelope(None))
    for _ in range(MAX_RECORDED + 10):
        visit.recipient(RCPT)
    content: Any = object()
    assert visit.content(content) is None
    assert visit.quarantine is not None and visit.tags == ["c0"]
    assert len(visit.rulings) == MAX_RECORDED


def test_a_transaction_forgets_the_one_before_but_not_the_client() -> None:
    visit, _ = visit_of({Stage.CONNECT: Action.TAG}, {Stage.SENDER: Action.QUARANTINE})
    visit.connected()
    visit.sender(Envelope(None))
    assert visit.tags == ["c0", "c1"] and visit.quarantine is not None
    visit.reset()
    assert visit.tags == ["c0"] and visit.quarantine is None


def test_checks_that_want_to_know_hear_of_the_end() -> None:
    left: list[str] = []

    class Counting(Scripted):
        def left(self, client: Client) -> None:
            left.append(client.connection_id)

    visit = Policy("p", [Counting("c", {Stage.CONNECT: None}, [])]).visit(client())
    visit.ended()
    assert left == ["c1"]
