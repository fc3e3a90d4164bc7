"""``gateway queue suppressed`` and ``gateway queue rules``, on the store of a stopped gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.suppression import Suppression
from tests.cli.test_commands import call
from tests.cli.test_queue import HOSTILE, configuration
from tests.store.house import CAROL, DAVE, House

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; its status, what it said and what was wrong. Two messages wait."""
    config = configuration(tmp_path)
    with House(tmp_path / "state") as house:
        house.wait(house.store.accept(house.message("1", remote=[CAROL])))
        house.wait(house.store.accept(house.message("2", remote=[DAVE])))
        refused = Suppression("bob@y.example", 7, 1, 2, 2**40, "5.1.1", HOSTILE, "mx\x1b")
        house.wait(house.store.suppressions.keep([refused], []))

    def run(*arguments: str) -> tuple[int, str, str]:
        status = call(monkeypatch, "queue", *arguments, "--config", config)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def listed(run: Run, *arguments: str) -> Any:
    status, text, _ = run(*arguments, "--json")
    assert status == 0
    return json.loads(text)


def test_addresses_are_added_listed_and_removed(run: Run) -> None:
    assert run("suppressed", "add", "Zed@z.example", "--reason", "left") == (
        0, "zed@z.example suppressed\n", ""
    )  # fmt: skip
    status, text, _ = run("suppressed", "list")
    assert status == 0 and "left" in text and "bob@y.example" in text
    assert "\x1b" not in text and "\u202e" not in text
    assert [each["address"] for each in listed(run, "suppressed", "list", "ZED")] == [
        "zed@z.example"
    ]
    status, text, problem = run("suppressed", "remove", "zed@z.example", "ann@z.example")
    assert (status, text) == (1, "zed@z.example removed\n")
    assert "ann@z.example: it is not suppressed" in problem
    run("suppressed", "remove", "bob@y.example")
    assert run("suppressed", "list")[1] == "no address is suppressed\n"


def test_rules_are_made_hold_what_waits_and_let_it_go(run: Run) -> None:
    assert run("rules", "list")[1] == "there are no rules\n"
    status, text, _ = run("rules", "add", "--destination", "example.org", "--reason", "look")
    assert (status, text) == (0, "rule 1 holds via example.org; 1 message held\n")
    assert listed(run, "rules", "add", "--everything")["held"] == 1
    assert [each["hold"] for each in listed(run, "list")] == [
        "rule 1: look",
        "rule 2: by " + listed(run, "rules", "list")[1]["made_by"],
    ]
    status, text, _ = run("rules", "list")
    assert status == 0 and "via example.org" in text and "everything" in text
    assert run("rules", "remove", "1", "--release")[1] == "rule 1 removed; 1 message released\n"
    assert [bool(each["hold"]) for each in listed(run, "list")] == [False, True]
    status, _, problem = run("rules", "remove", "1")
    assert status == 1 and "there is no rule 1" in problem


@pytest.mark.parametrize(
    "arguments",
    [
        ("rules", "add"),
        ("rules", "add", "--everything", "--sender", "<>"),
        ("rules", "add", "--sender", "alice"),
        ("rules", "add", "--sender", ""),
        ("rules", "add", "--larger", "x"),
        ("rules", "remove", "x"),
        ("suppressed", "add"),
        ("suppressed", "add", "x"),
        ("suppressed", "remove", "a@b@c"),
    ],
)
def test_a_wrong_command_line_is_told_before_anybody_is_asked(
    run: Run, arguments: tuple[str, ...]
) -> None:
    assert run(*arguments)[0] == 2


def test_a_rule_for_messages_of_any_size_is_no_rule(run: Run) -> None:
    status, _, problem = run("rules", "add", "--larger", "0")
    assert status == 1 and "expected one of sender" in problem
