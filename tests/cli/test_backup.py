"""``gateway backup``, ``restore`` and ``verify --repair`` as the administrator sees them."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.cli.test_commands import GOOD, Captured, call
from tests.store.house import ALICE, BOB, CAROL, House


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a gateway that has some mail."""
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD.format(state_dir=tmp_path / "state"))
    with House(tmp_path / "state") as house:
        house.deliver("1", ALICE, BOB, remote=[CAROL])
        house.append("Sent", b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n")
    return str(path)


def damage(tmp_path: Path, statement: str) -> None:
    connection = sqlite3.connect(tmp_path / "state/store/index.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()


def cell(text: str, name: str) -> str:
    """What stands beside the name in a table."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name}  "))
    return line.removeprefix(name).strip()


def test_backup_and_restore_end_with_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "backup")
    assert call(monkeypatch, "backup", target, "--config", config, "--limit-mib-s", "100") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"backup 1 in {target} is complete\n")
    assert cell(shown.out, "messages") == "4"
    assert cell(shown.out, "queued") == "1"
    assert "copying messages: " in shown.err, "progress is not in the result"

    assert call(monkeypatch, "restore", target, "--config", config) == 1
    assert "--force" in capsys.readouterr().err
    arguments = ["restore", target, "--config", config, "--force", "--without-queue"]
    assert call(monkeypatch, *arguments) == 0
    shown = capsys.readouterr()
    assert cell(shown.out, "left out of the queue") == "1"
    assert cell(shown.out, "backup").startswith("number 1 of mail.example.com, from 20")
    assert Path(cell(shown.out, "the store before")).is_dir()
    assert shown.out.endswith("4 messages in 12 mailboxes, 0 queued, 0 deleted ones kept, "
                              "136 octets: sound\n")  # fmt: skip


def test_results_are_there_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "backup")
    assert call(monkeypatch, "backup", target, "--config", config, "--json", "--verify") == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["hostname"] == "mail.example.com"
    assert call(monkeypatch, "restore", target, "--config", config, "--json", "--force") == 0
    assert json.loads(capsys.readouterr().out)["report"]["sound"] is True
    assert call(monkeypatch, "verify", "--repair", "--config", config, "--json") == 0
    repaired = json.loads(capsys.readouterr().out)
    assert (repaired["sound"], repaired["done"], repaired["lost"]) == (True, [], [])


def test_damage_in_a_backup_is_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, tmp_path: Path
) -> None:
    damage(tmp_path, "UPDATE blobs SET checksums = x'00000000' WHERE blob_id = 2")
    target = str(tmp_path / "backup")
    assert call(monkeypatch, "backup", target, "--config", config) == 1
    assert "octets 2: " in capsys.readouterr().out
    assert call(monkeypatch, "restore", target, "--config", config, "--force") == 1
    assert "NOT sound" in capsys.readouterr().out


def test_repair_says_what_it_did_and_names_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, tmp_path: Path
) -> None:
    damage(tmp_path, "UPDATE mailboxes SET messages = 9 WHERE messages = 2")
    assert call(monkeypatch, "verify", "--config", config) == 1
    assert "NOT sound" in capsys.readouterr().out
    assert call(monkeypatch, "verify", "--repair", "--config", config) == 0
    shown = capsys.readouterr().out
    assert "counts 9 messages" in shown
    assert "counted anew" in shown
    assert "no message was lost" in shown
    damage(tmp_path, "DELETE FROM blobs WHERE blob_id = 2")
    assert call(monkeypatch, "verify", "--repair", "--config", config) == 1
    shown = capsys.readouterr().out
    assert "messages lost: 1" in shown
    assert f"{ALICE} Sent" in shown
    assert call(monkeypatch, "verify", "--config", config) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["backup"],
        ["backup", "x", "--limit-mib-s", "0"],
        ["restore", "/nonexistent"],
        ["verify", "--accept-loss"],
    ],
)
def test_a_wrong_command_line_is_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, arguments: list[str]
) -> None:
    assert call(monkeypatch, *arguments, "--config", config) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_help_has_no_cut_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: str
) -> None:
    assert call(monkeypatch, command, "--help") == 0
    assert "..." not in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can back up another user's store")
def test_root_is_told_whose_the_files_are(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, config: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "backup")
    os.chown(tmp_path / "state", 12345, 12345)
    assert call(monkeypatch, "backup", target, "--config", config) == 0
    assert f"`chown -R 12345 {target}`" in capsys.readouterr().err
    (tmp_path / "state").rename(tmp_path / "before")
    assert call(monkeypatch, "restore", target, "--config", config) == 0
    assert "belongs to root now" in capsys.readouterr().err
