"""``gateway trace`` on the store of a stopped gateway: what is shown, and how."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from gateway.cli.desk import Desk, at_desk
from gateway.cli.trace import Moment, as_text
from gateway.core.settings.model import Settings
from gateway.core.trace import TraceRecord, search_key
from tests.cli.test_commands import call
from tests.cli.test_desk import settings_for

Trace = Callable[..., tuple[int, str]]
HOSTILE = "x\x1b[2J\r\nforged line\u2028\u202e"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration and a store with three records."""
    settings = settings_for(tmp_path)
    (tmp_path / "gateway.toml").write_text(
        'hostname = "mail.example.test"\n'
        f'state_dir = "{settings.state_dir}"\n'
        '[domains."example.test"]\n'
        f'[directory]\nkind = "ldif"\npath = "{tmp_path}/people.ldif"\n'
        "[tls]\nself_signed = true\n"
    )
    at_desk(settings, note)
    return tmp_path


def note(desk: Desk) -> None:
    now = int(time.time())
    verdicts = [
        {"stage": "connect", "check": "lists", "action": "pass", "reason": "fine", "list": "x.txt"}
    ]
    for record in (
        TraceRecord(
            "0abc-1", now - 7200, "refused", (search_key("<a@far.test>"),),
            {"reply": "550 5.1.1 no such person here", "hello": HOSTILE, "verdicts": verdicts},
        ),
        TraceRecord(
            "0abd-1", now, "accepted", (search_key("<a@far.test>"), "192.0.2.9"),
            {
                "sender": "<a@far.test>", "size_octets": 5,
                "recipients": [
                    {"address": "team@example.test", "member": "alice@example.test",
                     "to": "mailbox of alice"},
                ],
            },
        ),
        TraceRecord("0abd-1", now + 1, "deferred", (), {"next_attempt_at": now + 60}),
    ):  # fmt: skip
        desk.store.trace.note(record)


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trace:
    def run(folder: Path, *arguments: str) -> tuple[int, str]:
        config = str(folder / "gateway.toml")
        status = call(monkeypatch, "trace", *arguments, "--config", config)
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return run


def test_steps_are_shown_in_the_order_of_time(folder: Path, trace: Trace) -> None:
    status, shown = trace(folder, "A@Far.Test")
    assert status == 0
    lines = [line.strip() for line in shown.splitlines()]
    assert lines[0] == "0abc-1"
    assert lines[1].endswith("refused: 550 5.1.1 no such person here")
    assert "connect: lists: pass, fine (list x.txt)" in lines
    assert lines.index("0abd-1") > 3
    assert "team@example.test (as alice@example.test) -> mailbox of alice" in lines
    assert any(line.endswith("not delivered yet") for line in lines)
    offset = time.strftime("%z")
    assert any(offset in line and line.endswith("accepted") for line in lines)


def test_A9_what_strangers_chose_cannot_steer_a_terminal(folder: Path, trace: Trace) -> None:
    _, shown = trace(folder, "0abc")
    assert "\x1b" not in shown and "\u2028" not in shown and "\u202e" not in shown
    assert not any(line.startswith("forged") for line in shown.splitlines())
    forged = {"id": HOSTILE, "at": 0, "kind": HOSTILE, "fields": {HOSTILE: [{HOSTILE: HOSTILE}]}}
    assert all(line.isprintable() for line in as_text([forged]))


def test_programs_read_json(folder: Path, trace: Trace) -> None:
    status, shown = trace(folder, "0abd-1", "--json")
    answer = json.loads(shown)
    assert status == 0
    assert [each["kind"] for each in answer["records"]] == ["accepted", "deferred"]
    assert answer["records"][0]["fields"]["size_octets"] == 5
    assert answer["left_out"] == 0


def test_what_is_not_there_ends_with_status_1_and_advice(folder: Path, trace: Trace) -> None:
    status, shown = trace(folder, "nobody@far.test")
    assert status == 1
    assert "trace.keep_days" in shown
    status, shown = trace(folder, "nobody@far.test", "--json")
    assert status == 1
    assert json.loads(shown)["records"] == []


@pytest.mark.parametrize("nothing", ["", " ", "<>", "[]"])
def test_nothing_to_look_for_is_a_wrong_command_line(
    folder: Path, trace: Trace, nothing: str
) -> None:
    status, shown = trace(folder, nothing)
    assert status == 2
    assert "expected an id" in shown


def test_time_narrows(folder: Path, trace: Trace) -> None:
    assert "0abc-1" not in trace(folder, "a@far.test", "--since", "1h")[1]
    assert "0abd-1" not in trace(folder, "a@far.test", "--until", "1h")[1]
    assert "earlier steps are not shown" in trace(folder, "a@far.test", "--limit", "1")[1]


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("90s", 90), ("90min", 5400), ("12h", 43_200), ("2d", 172_800), ("1w", 604_800)],
)
def test_moments_ago(text: str, ago_s: int) -> None:
    before = int(time.time())
    moment = Moment().convert(text, None, None)
    assert before <= moment + ago_s <= time.time()


def test_moments_by_date() -> None:
    assert Moment().convert("2026-05-04T13:30+00:00", None, None) == 1_777_901_400
    for wrong in ("", "soon", "2d ago", "9999999999999w", "\x1b"):
        with pytest.raises(click.BadParameter):
            Moment().convert(wrong, None, None)


def test_without_a_store_it_says_what_to_do(tmp_path: Path, trace: Trace) -> None:
    settings = settings_for(tmp_path)
    assert isinstance(settings, Settings)
    (tmp_path / "gateway.toml").write_text(
        f'hostname = "m.test"\nstate_dir = "{settings.state_dir}"\n[domains."example.test"]\n'
        f'[directory]\nkind = "ldif"\npath = "{tmp_path}/people.ldif"\n[tls]\nself_signed = true\n'
    )
    status, shown = trace(tmp_path, "x")
    assert status == 1
    assert "there is no mail store" in shown
