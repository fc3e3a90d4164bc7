"""``gateway import`` and ``gateway export``: what is said, and the exit status."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway.cli.desk import at_desk
from gateway.cli.main import main
from gateway.core.settings.load import load_from
from tests.cli.test_desk import ALICES_ID, PEOPLE

CONFIG = """
hostname = "mail.example.test"
state_dir = "{folder}/state"
[domains."example.test"]
[directory]
kind = "ldif"
path = "{folder}/people.ldif"
[tls]
self_signed = true
"""
TEXT = b"Subject: a\n\nb\n"

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "people.ldif").write_text(PEOPLE)
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.format(folder=tmp_path))
    settings = load_from(str(path), {}, lambda name: Path(name).read_text("utf-8")).settings
    at_desk(settings, lambda desk: desk.call(desk.store.ensure_account(ALICES_ID)))
    for name in ("mail/cur/1.a:2,S", "mail/cur/2.b:2,", "mail/.Old/cur/3.c:2,F"):
        message = tmp_path / name
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_bytes(TEXT)
    return path


def call(monkeypatch: pytest.MonkeyPatch, config: Path, *arguments: object) -> int:
    words = [str(one) for one in arguments]
    monkeypatch.setattr("sys.argv", ["gateway", *words, "--config", str(config)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_maildir_is_imported_with_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: Path
) -> None:
    path = config.parent / "mail"
    arguments = ("import", "maildir", "alice", path, "--map", "Old=Archive/Old")
    assert call(monkeypatch, config, *arguments, "--dry-run") == 0
    assert "to copy" in capsys.readouterr().out
    assert call(monkeypatch, config, *arguments) == 0
    captured = capsys.readouterr()
    rows = [line.split() for line in captured.out.splitlines()]
    assert rows[1:] == [
        [".", "INBOX", "2", "2", "0", "0", "0"],
        [".Old", "Archive/Old", "1", "1", "0", "0", "0"],
        ["total", "3", "3", "0", "0", "0"],
    ]
    assert "INBOX: 2 of 2 messages" in captured.err
    assert call(monkeypatch, config, *arguments, "--json") == 0
    (person,) = json.loads(capsys.readouterr().out)["people"]
    assert person["complete"]
    assert [one["already"] for one in person["folders"]] == [2, 1]


def test_what_failed_is_listed_and_the_status_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: Path
) -> None:
    path = config.parent / "mail"
    (path / "cur" / "9.link").symlink_to("/etc/passwd")
    assert call(monkeypatch, config, "import", "maildir", "alice", path) == 1
    captured = capsys.readouterr()
    assert "failed: cur/9.link: a symbolic link, which is not followed" in captured.err
    assert captured.out.splitlines()[1].split() == [".", "INBOX", "3", "2", "0", "1", "0"]


def test_export_and_import_of_mbox_files(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: Path
) -> None:
    call(monkeypatch, config, "import", "maildir", "alice", config.parent / "mail")
    out = config.parent / "out"
    assert call(monkeypatch, config, "export", "mbox", "alice", out, "--mailbox", "INBOX") == 0
    assert "already there" in capsys.readouterr().out
    assert (out / "INBOX").read_bytes().count(b"\nSubject: a\n") == 2
    assert call(monkeypatch, config, "export", "maildir", "alice", out) == 1
    assert "another account or form" in capsys.readouterr().err
    arguments = ("import", "mbox", "alice", out / "INBOX", "--into", "Back")
    assert call(monkeypatch, config, *arguments) == 0
    # Two mailboxes of one account do not share a UIDVALIDITY.
    assert ["INBOX", "Back", "2", "2", "0", "0", "0", "new"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("alice", "--map", "x"), "expected OLD=NEW"),
        (("alice", "--pop3-uidl", "%m"), "pop3_uidl_format"),
        (("alice", "--separator", "//"), "one character"),
    ],
)
def test_a_wrong_command_line_is_explained(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    config: Path,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    person, *rest = arguments
    path = config.parent / "mail"
    assert call(monkeypatch, config, "import", "maildir", person, path, *rest) == 2
    assert says in capsys.readouterr().err


def test_nobody_is_imported_for_a_stranger(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: Path
) -> None:
    assert call(monkeypatch, config, "import", "maildir", "mallory", config.parent / "mail") == 1
    assert "nobody in the directory" in capsys.readouterr().err


def test_passwords_come_from_files_that_others_cannot_read(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: Path
) -> None:
    monkeypatch.delenv("GATEWAY_IMPORT_PASSWORD", raising=False)
    people = config.parent / "people.csv"
    people.write_text("# person,login,password\nalice,al,pw\n")
    people.chmod(0o644)
    pull = ("import", "imap", "--host", "localhost", "--no-tls", "--port", 1)
    for arguments, says in (
        ((), "one PERSON"),
        (("alice", "--people-file", people), "one PERSON"),
        (("alice",), "--password-file"),
        (("--people-file", people), "chmod 600"),
    ):
        assert call(monkeypatch, config, *pull, *arguments) == 2
        assert says in capsys.readouterr().err
    people.chmod(0o600)
    people.write_text("alice,al\n")
    assert call(monkeypatch, config, *pull, "--people-file", people) == 2
    assert "line 1: expected person,login,password" in capsys.readouterr().err
    people.write_text("alice,al,pw\nmallory,m,pw\n")
    assert call(monkeypatch, config, *pull, "--people-file", people) == 1
    errors = capsys.readouterr().err
    assert "stopped: alice: localhost:1 cannot be reached" in errors
    assert "stopped: mallory: nobody in the directory" in errors
    assert os.environ.get("GATEWAY_IMPORT_PASSWORD") is None


@pytest.mark.parametrize(
    ("people", "password", "told"),
    [(b"alice,\xe4lice,pw\n", b"", "no CSV file in UTF-8"), (b"alice,al\n", b"\n", "is empty")],
)
def test_files_that_cannot_be_what_they_should_be_are_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    config: Path,
    people: bytes,
    password: bytes,
    told: str,
) -> None:
    for name, octets in (("people", people), ("password", password)):
        (config.parent / name).write_bytes(octets)
        (config.parent / name).chmod(0o600)
    options: tuple[object, ...] = ("--people-file", config.parent / "people", "--host", "127.0.0.1")
    if password:
        options += ("--auth-user", "admin", "--password-file", config.parent / "password")
    assert call(monkeypatch, config, "import", "imap", *options) == 2
    assert told in capsys.readouterr().err
