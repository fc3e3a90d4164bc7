"""``gateway user reconcile`` on a store that nobody serves, and how its report looks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.user_reconcile_shown import report
from gateway.core.ids import AccountId
from gateway.core.ports.people_notes import PersonNote, Writing
from tests.cli.test_commands import call
from tests.cli.test_queue import configuration
from tests.cli.test_user import HOSTILE, PEOPLE, Answer
from tests.store.house import NOW, House

GONE, ALICE = AccountId("0c2f4d1e-gone"), AccountId("5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6a01")


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Alice is in the directory; one with a mailbox is not, and was noted as gone long ago."""
    (tmp_path / "people.ldif").write_text(PEOPLE)
    with House(tmp_path / "state", keep_deleted_s=86_400) as house:
        house.deliver("1", GONE, ALICE)
        note = PersonNote(GONE, "gert", "gert@example.test", ("gert@example.test",), NOW, 0, NOW)
        house.wait(house.store.people.notes.write(Writing(notes=[note])))
    return configuration(tmp_path)


Run = Callable[..., Answer]


@pytest.fixture
def run(config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def reconcile(*arguments: str) -> Answer:
        code = call(monkeypatch, "user", "reconcile", *arguments, "--config", config)
        taken = capsys.readouterr()
        return Answer(code, taken.out + taken.err)

    return reconcile


def told_by(run: Run, *arguments: str) -> dict[str, Any]:
    answer = run("--json", *arguments)
    assert answer.exit_code == 0, answer.output
    told: dict[str, Any] = json.loads(answer.output)
    return told


def contents(config: str, account_id: AccountId) -> int:
    with House(Path(config).parent / "state") as house:
        return len(house.contents(account_id))


def test_nothing_is_deleted_unless_it_is_said_and_agreed_to(
    run: Run, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = told_by(run, "--dry-run", "--delete-gone-after", "30")
    assert [each["login"] for each in told["to_delete"]] == ["gert"] and "deleted" not in told
    report_ = run().output
    assert "2 people with mailboxes or notes" in report_ and "gert" in report_
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert "gert" in run("--delete-gone-after", "30").output
    assert contents(config, GONE) == 1
    assert (
        "nobody with mailboxes has been gone for 36000 days"
        in run("--delete-gone-after", "36000").output
    )
    assert "deleted 1 messages of gert" in run("--delete-gone-after", "30", "--yes").output
    assert (contents(config, GONE), contents(config, ALICE)) == (0, 1)
    told = told_by(run, "--delete-gone-after", "30", "--yes")
    assert told["to_delete"] == [] and told["away"][0]["removed_at"]


@pytest.mark.parametrize(
    "arguments",
    [("--dry-run", "--accept"), ("--json", "--delete-gone-after", "3"),
     ("--delete-gone-after", "0")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_report_has_all_that_is_told_and_obeys_no_name() -> None:
    picture = {
        "name": "branch", "people": 100, "stopped": "30 of 100 people are not found any more",
        "shared": [{"what": "address", "key": "x@example.test", "owners": ["id-1", "id-2"]}],
    }  # fmt: skip
    gone = {
        "id": "id-1", "login": HOSTILE, "address": "", "octets": 2**20, "messages": 3,
        "disabled_since": None, "gone_since": NOW, "removed_at": None,
    }  # fmt: skip
    told = {
        "dry_run": True,
        "accepted": {},
        "pictures": [picture],
        "compared": {
            "looked_at": 3, "with_mailboxes": 40, "changes": 1, "events": [f"{HOSTILE}: gone"],
            "gone": 20, "held": "20 of 60 people", "unfinished": "away",
        },
        "away": [
            gone,
            {**gone, "login": "dis", "gone_since": None, "disabled_since": NOW, "octets": None},
            {**gone, "login": "del", "removed_at": NOW},
        ],
        "moved": [{"address": "old@example.test", "id": "id-3", "since": NOW, "login": "new",
                   "now": ""}],
    }  # fmt: skip
    text = "\n".join(report(told))
    day = time.strftime("%Y-%m-%d", time.localtime(NOW))
    for each in (
        "1 changes would be noted", "not everybody: away", "held back in branch until --accept",
        "not believed without --accept: 20 of 60", "1.0 MiB", "no mailbox", f"deleted {day}",
        f"old@example.test: new, since {day}", "address x@example.test: id-1, id-2",
        "60 of 100 people in the directory have no mailbox yet",
    ):  # fmt: skip
        assert each in text, text
    assert "\x1b" not in text and "\u202e" not in text
