"""The administrator's command, as far as it needs no running gateway."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.cli.status import as_text

GOOD = """
hostname = "mail.example.com"
state_dir = "{state_dir}"
[domains."example.com"]
[directory]
kind = "ldif"
path = "people.ldif"
[tls]
self_signed = true
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD.format(state_dir=tmp_path / "state"))
    return str(path)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["gateway", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


Captured = pytest.CaptureFixture[str]


def test_config_check_says_ok(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str
) -> None:
    assert call(monkeypatch, "config", "check", "--config", config) == 0
    assert capsys.readouterr().out == "configuration ok\n"


def test_config_show_has_json_and_origins(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str
) -> None:
    monkeypatch.setenv("GATEWAY_LIMITS__RECIPIENTS", "500")
    assert call(monkeypatch, "config", "show", "--config", config, "--json") == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["limits.recipients"] == {
        "key": "limits.recipients",
        "value": 500,
        "origin": "environment GATEWAY_LIMITS__RECIPIENTS",
    }
    assert rows["hostname"]["origin"] == config
    assert call(monkeypatch, "config", "show", "--config", config) == 0
    assert "limits.recipients = 500" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["status", "--nonsense"], ["config", "check", "--config", "/nonexistent.toml"]],
)
def test_a_wrong_command_line_is_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, arguments: list[str]
) -> None:
    assert call(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert "Traceback" not in captured.err


def test_without_arguments_it_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    call(monkeypatch)
    captured = capsys.readouterr()
    assert "Administer the mail gateway" in captured.out + captured.err


@pytest.mark.parametrize("command", ["status", "verify", "health"])
def test_a_gateway_that_does_not_run_is_status_1_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, command: str
) -> None:
    assert call(monkeypatch, command, "--config", config) == 1
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    assert captured.err + captured.out


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ('person_filter = "(objectClass=person"', "directory.person_filter: found "),
        ('login_attributes = ["uid", ""]', "directory.login_attributes: found "),
    ],
)
def test_config_check_sees_what_the_directory_could_not_use(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, setting: str, key: str
) -> None:
    text = Path(config).read_text()
    Path(config).write_text(text.replace('kind = "ldif"', f'kind = "ldif"\n{setting}'))
    assert call(monkeypatch, "config", "check", "--config", config) == 2
    assert capsys.readouterr().err.startswith(f"{config}: {key}")


def test_a_full_disk_behind_standard_output_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert call(monkeypatch, "config", "show", "--config", config) == 1
        monkeypatch.undo()
        with suppress(OSError):
            full.close()
    assert capsys.readouterr().err == "gateway: No space left on device\n"


@pytest.mark.parametrize("seconds", ["0", "-1", "many"])
def test_a_timeout_that_is_none_is_a_wrong_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, seconds: str
) -> None:
    assert call(monkeypatch, "health", "--config", config, "--timeout", seconds) == 2
    assert "--timeout" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["config"], ["health"], ["status"], ["verify"]])
def test_every_command_has_help_without_cut_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: list[str]
) -> None:
    for option in ("-h", "--help"):
        assert call(monkeypatch, *command, option) == 0
        text = capsys.readouterr().out
        assert text.startswith("Usage: gateway")
        assert "..." not in text.replace("[ARGS]...", "")


def test_status_shows_warnings() -> None:
    answer = {
        "version": "1",
        "pid": 7,
        "uptime_s": 1,
        "listeners": [],
        "sessions": {},
        "queue": {"messages": 0, "recipients": 0, "oldest_s": None},
        "warnings": ["the certificate expires"],
    }
    assert as_text(answer).endswith("warning     the certificate expires")


def test_status_reads_well() -> None:
    text = as_text(
        {
            "version": "1.2",
            "pid": 7,
            "uptime_s": 90_061,
            "listeners": [{"protocol": "imap", "address": "0.0.0.0:993", "tls": "implicit"}],
            "sessions": {"imap": 3},
            "queue": {"messages": 2, "recipients": 5, "oldest_s": 61},
        }
    )
    assert "up 1 d 1 h" in text
    assert "3 imap" in text
    assert "2 messages to 5 recipients, the oldest for 1 min 1 s" in text


def test_status_shows_each_worker_and_what_is_wrong_with_it() -> None:
    def worker(number: int, **changed: object) -> dict[str, object]:
        plain = {"number": number, "pid": 100 + number, "uptime_s": 61, "restarts": 0}
        return {**plain, "ready": True, "runs_queue": False, "sessions": {"imap": 2}, **changed}

    workers = [
        worker(1, runs_queue=True),
        worker(2, sessions=None),
        worker(3, pid=None, ready=False, sessions=None, restarts=4),
        worker(4, ready=False, sessions=None),
    ]
    answer = {
        "version": "1",
        "pid": 100,
        "uptime_s": 70,
        "listeners": [],
        "workers": workers,
        "sessions": {"imap": 2},
        "queue": None,
    }
    lines = as_text(answer).splitlines()
    assert "  1   pid 101, up 1 min 1 s, 2 imap, runs the queue" in lines
    assert "  2   pid 102, does not answer" in lines
    assert "  3   not running, will be started again, restarts 4" in lines
    assert "  4   pid 104, starting" in lines
    assert "queue       not known, as no worker could tell" in lines
