"""Tokens that the issuer is asked about: trouble is never a wrong token, and memory is short."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from twisted.internet.defer import Deferred

from gateway.auth import introspection
from gateway.auth.introspection import HttpAnswer, Introspection
from gateway.auth.tokens import TokenRules
from gateway.core.errors import IssuerUnavailable, WrongCredentials
from tests.support.pump import Pump

NOW = 1_700_000_000.0
GOOD = {"active": True, "email": "alice@example.test"}


class Bench:
    """An issuer that answers with ``answer``."""

    def __init__(self, answer: Any = GOOD, *, audiences: frozenset[str] = frozenset()) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.now, self.elapsed = NOW, 0.0
        rules = TokenRules("https://issuer.test", audiences, ("email", "sub"), 30.0)
        self.issuer = Introspection(
            self.post, rules, wall_clock=lambda: self.now, monotonic=lambda: self.elapsed
        )

    async def post(self, form: bytes) -> HttpAnswer:
        (token,) = parse_qs(form.decode(), strict_parsing=True)["token"]
        self.asked.append(token)
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, Deferred):
            await self.answer
            return HttpAnswer(200, json.dumps(GOOD).encode())
        if isinstance(self.answer, HttpAnswer):
            return self.answer
        return HttpAnswer(200, json.dumps(self.answer).encode())

    def whose(self, token: str = "t") -> str:
        return Pump().wait(self.issuer.whose(token))


def test_the_token_goes_out_and_the_person_comes_back() -> None:
    bench = Bench()
    assert bench.whose("a+b/c=&token=evil") == "alice@example.test"
    assert bench.asked == ["a+b/c=&token=evil"]


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False},
        {"active": False, "email": "alice@example.test"},
        {**GOOD, "exp": NOW - 31},
        {**GOOD, "nbf": NOW + 31},
        {**GOOD, "iss": "https://other.test"},
        {"active": True},
        {**GOOD, "token_type": "DPoP", "cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3ui"}},
    ],
)
def test_answers_that_refuse(answer: dict[str, Any]) -> None:
    with pytest.raises(WrongCredentials):
        Bench(answer).whose()


def test_the_audience_counts_where_one_is_set() -> None:
    wanted = frozenset({"mail"})
    for answer in (GOOD, {**GOOD, "aud": "web"}):
        with pytest.raises(WrongCredentials):
            Bench(answer, audiences=wanted).whose()
    assert Bench({**GOOD, "aud": ["web", "mail"]}, audiences=wanted).whose()


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(401, b'{"active": false}'),
        HttpAnswer(500, b""),
        HttpAnswer(302, b""),
        HttpAnswer(200, b""),
        HttpAnswer(200, b"<html>"),
        HttpAnswer(200, b'{"active": "false"}'),
        HttpAnswer(200, b'{"active": 0}'),
        HttpAnswer(200, b"{}"),
        HttpAnswer(200, b"[false]"),
        HttpAnswer(200, b"[" * 60_000),
        IssuerUnavailable(),
    ],
)
def test_A5_trouble_is_no_verdict_and_is_not_remembered(answer: Any) -> None:
    bench = Bench(answer)
    for _ in range(2):
        with pytest.raises(IssuerUnavailable):
            bench.whose()
    bench.answer = GOOD
    assert bench.whose() and len(bench.asked) == 3


def test_good_tokens_are_remembered_for_a_minute() -> None:
    bench = Bench()
    bench.whose()
    bench.answer = {"active": False}
    bench.elapsed = 59
    assert bench.whose() and bench.asked == ["t"]
    bench.elapsed = 61
    with pytest.raises(WrongCredentials):
        bench.whose()
    bench.answer = GOOD
    assert bench.whose() and len(bench.asked) == 3, "a refusal is not remembered"


def test_nothing_is_remembered_beyond_the_tokens_end() -> None:
    bench = Bench({**GOOD, "exp": NOW + 10})
    assert bench.whose()
    bench.now, bench.elapsed = NOW + 41, 41
    with pytest.raises(WrongCredentials):
        bench.whose()


def test_A7_memory_and_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "MAX_REMEMBERED", 3)
    monkeypatch.setattr(introspection, "MAX_ASKING", 2)
    bench = Bench()
    for token in "abcde":
        bench.whose(token)
    assert len(bench.issuer._remembered) == 3
    bench.answer = held = Deferred[None]()
    waiting = [Pump().start(bench.issuer.whose(token)) for token in "xy"]
    with pytest.raises(IssuerUnavailable):
        bench.whose("z")
    held.callback(None)
    assert all(each.called for each in waiting)
    bench.answer = GOOD
    assert bench.whose("z")


def test_A9_no_token_is_kept() -> None:
    bench = Bench()
    bench.whose("s3cret-token")
    assert "s3cret-token" not in repr(vars(bench.issuer))
