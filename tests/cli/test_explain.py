"""``gateway explain`` where no gateway runs: what is shown, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.explain import as_text
from tests.cli.test_commands import call

Explain = Callable[..., tuple[int, str, str]]
HOSTILE = "x\x1b[2J\r\nforged line\u2028\u202e"
PEOPLE = """version: 1

dn: uid=alice,dc=example,dc=test
objectClass: inetOrgPerson
entryUUID: 5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6a01
uid: alice
cn: Alice
sn: Alice
mail: alice@example.test
"""
CONFIG = """hostname = "mail.example.test"
state_dir = "{folder}/state"
[domains."example.test"]
[directory]
kind = "ldif"
path = "{folder}/people.ldif"
[tls]
self_signed = true
"""
ASKED = ("--from", "a@far.test", "--to", "alice@example.test")


@pytest.fixture
def explain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Explain:
    (tmp_path / "people.ldif").write_text(PEOPLE)
    (tmp_path / "gateway.toml").write_text(CONFIG.format(folder=tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        config = str(tmp_path / "gateway.toml")
        status = call(monkeypatch, "explain", *arguments, "--config", config)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def test_without_a_store_it_explains_and_makes_none(explain: Explain, tmp_path: Path) -> None:
    status, shown, said = explain(*ASKED, "--json")
    assert status == 0
    answer = json.loads(shown)
    assert answer["outcome"] == "accepted"
    assert answer["stored"]["mailboxes"][0]["login"] == "alice"
    assert "no gateway runs" in said
    assert not (tmp_path / "state/store").exists()


def test_what_is_refused_is_an_answer_as_well(explain: Explain) -> None:
    status, shown, _ = explain("--from", "a@far.test", "--to", "nobody@example.test")
    assert status == 0
    assert "it would be refused" in shown.splitlines()
    assert "    routing  nobody in the directory has nobody@example.test" in shown.splitlines()


def test_a_configuration_that_cannot_be_used_ends_with_status_2(
    explain: Explain, tmp_path: Path
) -> None:
    (tmp_path / "people.ldif").unlink()
    status, _, said = explain(*ASKED)
    assert status == 2
    assert "people.ldif" in said and "expected a readable LDIF file" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (ASKED[:2], "--to"),
        (ASKED[2:], "--from"),
        ((*ASKED, "--ip", "nowhere"), "expected an IP address"),
        ((*ASKED, "--helo", "x\nQUIT"), "control character"),
        ((*ASKED, "--size", "-1"), "--size"),
        ((*ASKED, "--message", "/nonexistent"), "--message"),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(
    explain: Explain, arguments: tuple[str, ...], expected: str
) -> None:
    status, _, said = explain(*arguments)
    assert status == 2
    assert expected in said


def test_A9_what_strangers_chose_cannot_steer_a_terminal() -> None:
    check = {"check": HOSTILE, "action": HOSTILE, "reason": HOSTILE, "inputs": {HOSTILE: HOSTILE}}
    step = {
        "said": HOSTILE, "routing": [HOSTILE], "checks": [check], "trouble": HOSTILE,
        "reply": [HOSTILE],
        "expansion": {
            "name": HOSTILE, "member_count": 60, "members": [{"address": HOSTILE, "to": HOSTILE}],
            "dead": [HOSTILE],
            "groups": [
                {"name": HOSTILE, "nested": [HOSTILE], "searches": [HOSTILE],
                 "owners": 1, "delegates": 2}
            ],
        },
    }  # fmt: skip
    stored = {
        "mailboxes": [{"account_id": HOSTILE, "login": ""}],
        "queued": [
            {
                "recipient": HOSTILE,
                "next_hop": HOSTILE,
                "rule": HOSTILE,
                "problem": HOSTILE,
                "left_out": [HOSTILE],
                "hosts": [
                    {
                        "host": HOSTILE,
                        "port": 25,
                        "addresses": [HOSTILE],
                        "preference": 1,
                        "protocol": "smtp",
                        "tls": "verified",
                        "tls_policy": "sts",
                        "testing": True,
                    }
                ],
            }
        ],
        "held": {"reason": HOSTILE, "until": None},
        "options": [HOSTILE],
        "header": HOSTILE,
    }
    answer = {
        "listener": HOSTILE, "protocol": "smtp", "policy": HOSTILE, "connection_id": HOSTILE,
        "outcome": "held", "steps": [step], "stored": stored,
    }  # fmt: skip
    lines = list(as_text(answer))
    assert all(line.isprintable() for line in lines)
    assert any(line.strip() == "and 59 more" for line in lines)
    assert any("1 owners and 2 delegates" in line for line in lines)
