"""Questions to a process that serves: answered in time or not at all, and never by guessing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from gateway.app.asking import (
    ANSWER_S,
    MOST_FOUND,
    MOST_QUESTIONS,
    Asker,
    NotAnswered,
    Unanswerable,
    answer_to,
    find,
)
from gateway.app.messages import Answer, Ask, FrameReader, Message, encode
from gateway.core.errors import StoreUnavailable
from gateway.core.trace import TraceRecord
from tests.support.pump import Pump
from tests.support.trace_fakes import FakeTrace


class World:
    """The parent's end, and what it sent."""

    def __init__(self, *, reached: bool = True) -> None:
        self.clock = Clock()
        self.sent: list[Ask] = []
        timers: Any = self.clock
        self.asker = Asker(timers, self._send)
        self._reached = reached

    def _send(self, question: Ask) -> bool:
        encode(question)
        self.sent.append(question)
        return self._reached

    def ask(self, body: object = None) -> list[Any]:
        got: list[Any] = []
        Deferred.fromCoroutine(self.asker.ask("trace", body)).addBoth(got.append)
        return got


def failed(got: list[Any], kind: type[Exception]) -> str:
    (failure,) = got
    assert isinstance(failure, Failure) and failure.check(kind)
    return failure.getErrorMessage()


def test_each_answer_finds_its_question() -> None:
    world = World()
    first, second = world.ask("a"), world.ask("b")
    assert [(each.kind, each.body) for each in world.sent] == [("trace", "a"), ("trace", "b")]
    world.asker.heard(Answer(world.sent[1].number, {"n": 2}))
    world.asker.heard(Answer(world.sent[0].number, {"n": 1}))
    assert (first, second) == ([{"n": 1}], [{"n": 2}])
    world.asker.heard(Answer(world.sent[0].number, {"n": 3}))  # nobody waits, and no harm
    assert not world.clock.getDelayedCalls()


def test_who_does_not_answer_is_given_up() -> None:
    world = World()
    got = world.ask()
    world.clock.advance(ANSWER_S)
    assert "no worker" in failed(got, NotAnswered)
    assert "no worker" in failed(World(reached=False).ask(), NotAnswered)


def test_what_a_worker_refuses_is_passed_on() -> None:
    world = World()
    later, never = world.ask(), world.ask()
    world.asker.heard(Answer(world.sent[0].number, {}, "the disk is slow", True))
    world.asker.heard(Answer(world.sent[1].number, {}, "no such listener", False))
    assert failed(later, NotAnswered) == "the disk is slow"
    assert failed(never, Unanswerable) == "no such listener"


def test_questions_are_bounded() -> None:
    world = World()
    for _ in range(MOST_QUESTIONS):
        world.ask()
    assert "too many" in failed(world.ask(), NotAnswered)
    assert "too large" in failed(World().ask("x" * 5_000_000), Unanswerable)


def test_questions_and_answers_survive_the_line() -> None:
    messages: list[Message] = [
        Ask(1, "explain", {"a": [1, None]}),
        Answer(1, {"b": "é"}, "no", False),
    ]
    frames = b"".join(encode(each) for each in messages)
    assert list(FrameReader().feed(frames)) == messages


def server(trace: object) -> Any:
    return SimpleNamespace(parts=SimpleNamespace(store=SimpleNamespace(trace=trace)))


ASKED = {"term": "0abc", "since": None, "until": None, "limit": 10}


def test_the_worker_answers_with_records() -> None:
    trace = FakeTrace()
    trace.note(TraceRecord("0abc-1", 5.0, "accepted", (), {"sender": "<a@b>"}))
    found = Pump().wait(answer_to(server(trace), Ask(7, "trace", ASKED)))
    record = {"id": "0abc-1", "at": 5.0, "kind": "accepted", "fields": {"sender": "<a@b>"}}
    assert found == Answer(7, {"records": [record], "left_out": 0})


@pytest.mark.parametrize("character", ["\x1b", "\xe9", "\U0001f4e8"])
def test_many_large_records_are_cut_to_what_the_line_takes(character: str) -> None:
    trace = FakeTrace()
    for number in range(1000):
        trace.note(TraceRecord("0abc-1", float(number), "x", (), {"hello": character * 4000}))
    found = Pump().wait(answer_to(server(trace), Ask(7, "trace", {**ASKED, "limit": 1000})))
    assert found.body["left_out"] > 0
    assert found.body["records"][-1]["at"] == 999.0, "the latest ones are told"
    encode(found)


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {**ASKED, "term": 5}, {**ASKED, "limit": 0}, {**ASKED, "limit": MOST_FOUND + 1},
     {**ASKED, "since": "x"}],
)  # fmt: skip
def test_what_is_no_question_is_refused(body: object) -> None:
    with pytest.raises(Unanswerable):
        Pump().wait(find(FakeTrace(), body))
    found = Pump().wait(answer_to(server(FakeTrace()), Ask(1, "trace", body)))
    assert found.error and not found.temporary
    found = Pump().wait(answer_to(server(FakeTrace()), Ask(1, "unknown", body)))
    assert "expected trace" in found.error


def test_trouble_of_the_store_is_told_and_a_fault_is_logged() -> None:
    class Troubled(FakeTrace):
        error: Exception = StoreUnavailable("the mail store is closed")

        async def find(self, *_: object, **__: object) -> Any:
            raise self.error

    found = Pump().wait(answer_to(server(Troubled()), Ask(1, "trace", ASKED)))
    assert found.error.startswith("the mail store is closed") and found.temporary
    Troubled.error = ZeroDivisionError()
    with capturedLogs() as captured:
        found = Pump().wait(answer_to(server(Troubled()), Ask(1, "trace", ASKED)))
    assert "internal error" in found.error
    assert captured[0]["log_failure"].check(ZeroDivisionError)
