"""Waits between attempts in the settings: lists, formulas, and mistakes in them."""

from __future__ import annotations

import pytest

from tests.core.test_policy_settings import loaded, problems


def waits(text: str) -> tuple[int, ...]:
    return loaded(f"[outbound]\nretry_after_s = {text}\n").outbound.retry_after_s


def test_a_formula_stands_for_its_list() -> None:
    assert waits('"60 x 2 up to 1000"') == (60, 120, 240, 480, 960, 1000)
    assert waits('"100 x 1.5 up to 300"') == (100, 150, 225, 300)
    assert waits('"60  x 3  up to 60"') == (60,)
    assert waits("[5, 10]") == (5, 10)


def test_a_destination_and_the_environment_may_have_one_too() -> None:
    text = '[outbound.destinations."y.example"]\nretry_after_s = "10 x 10 up to 1000"\n'
    assert loaded(text).outbound.destinations["y.example"].retry_after_s == (10, 100, 1000)
    environ = {"GATEWAY_OUTBOUND__RETRY_AFTER_S": "60 x 2 up to 240"}
    assert loaded("", environ).outbound.retry_after_s == (60, 120, 240)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"often"', 'a list such as [60, 300, 900], or "60 x 2 up to 14400"'),
        ('"60 x 1 up to 90"', "grow by 1.1 or more"),
        ('"90 x 2 up to 60"', "begin at 1 or more"),
        ('"0 x 2 up to 60"', "begin at 1 or more"),
        ('"1 x 2 up to 99999999"', "end at 72000 at most"),
        ("[60, 100000]", "a number of at most 72000"),
        ("[]", "at least one entry"),
    ],
)
def test_mistakes_are_named(text: str, expected: str) -> None:
    (problem,) = problems(f"[outbound]\nretry_after_s = {text}\n")
    assert "outbound.retry_after_s" in problem and expected in problem
