"""``gateway mailbox`` on the store itself, with no gateway running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.desk import Desk, at_desk
from gateway.core.ids import AccountId
from gateway.core.messages import AppendMessage
from gateway.core.settings.model import Settings
from tests.cli.test_commands import Captured, call
from tests.cli.test_desk import ALICES_ID, settings_for
from tests.store.house import EVERY

CONFIG = """
hostname = "mail.example.test"
state_dir = "{folder}/state"
[domains."example.test"]
[directory]
kind = "ldif"
path = "{folder}/people.ldif"
[tls]
self_signed = true
[deleted_mail]
keep_days = {days}
"""
GREETING = (
    b"From: =?utf-8?q?B=C3=B6b?= <bob@example.test>\r\nSubject: =?utf-8?b?G1szMW0=?= red\r\n\r\nx"
)


class Office:
    """A store with alice in it, and the command as an administrator types it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, captured: Captured) -> None:
        self.settings: Settings = settings_for(folder)
        self.config = folder / "gateway.toml"
        self.config.write_text(CONFIG.format(folder=folder, days=14))
        self._patch = patch
        self._captured = captured

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Standard output of a command that ends with this status; its errors follow."""
        found = call(self._patch, "mailbox", *arguments, "--config", str(self.config))
        output = self._captured.readouterr()
        text = output.out + output.err
        assert found == status, text
        assert "Traceback" not in text
        return text

    def listed(self, *arguments: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(self("deleted", "alice", *arguments, "--json"))
        return rows

    def delete(self, name: str, *octets: bytes, account_id: AccountId = ALICES_ID) -> None:
        """Keep messages in a mailbox, then remove them for ever."""

        async def flow(desk: Desk) -> None:
            store = desk.store
            await store.ensure_account(account_id)
            messages = []
            for one in octets:
                body = store.open_body()
                body.write(one)
                messages.append(AppendMessage(body, frozenset({"\\Seen"}), 1_700_000_000))
            appended = await store.append(account_id, name, messages)
            await store.expunge(appended.mailbox_id, EVERY, only_deleted=False)

        at_desk(self.settings, lambda desk: desk.call(flow(desk)))


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Iterator[Office]:
    yield Office(tmp_path, monkeypatch, capsys)


def test_mailboxes_are_made_and_listed(office: Office) -> None:
    at_desk(office.settings, lambda desk: desk.call(desk.store.ensure_account(ALICES_ID)))
    assert office("create", "alice", "Work/Projekte", "--special-use", "archive") == (
        "made Work/Projekte\n"
    )
    text = office("list", "alice@example.test")
    assert "mailbox        messages  unseen  octets  special use\n" in text
    assert "Work/Projekte         0       0       0  \\Archive\n" in text
    listed = json.loads(office("list", "alice", "--json"))
    assert listed["account_id"] == ALICES_ID
    made = {row["name"]: row for row in listed["mailboxes"]}
    assert made["Work/Projekte"]["subscribed"]
    assert made["Work"]["messages"] == 0
    again = office("create", "alice", "Work/Projekte", status=1)
    assert again.startswith("gateway: alice has this mailbox already; `gateway mailbox list alice`")
    assert "reserved" in office("create", "alice", "a/../b", status=1)


def test_a_name_that_turns_the_line_around_is_shown_without_that(office: Office) -> None:
    at_desk(office.settings, lambda desk: desk.call(desk.store.ensure_account(ALICES_ID)))
    office("create", "alice", "a\u202ecod.exe")
    assert "a\ufffdcod.exe" in office("list", "alice")
    office.delete("a\u202ecod.exe", GREETING)
    assert "\u202e" not in office("deleted", "alice") + office("undelete", "alice", "--all")


def test_what_cannot_be_meant_is_said(office: Office) -> None:
    assert "there is no mail store in" in office("list", "alice", status=1)
    at_desk(office.settings, lambda desk: None)
    assert "alice has no mailboxes yet" in office("list", "alice")
    assert "nobody in the directory has the login or address" in office("list", "bob", status=1)
    assert "the store has no mailboxes of 'id:gone'" in office("deleted", "id:gone", status=1)
    assert "say which messages" in office("undelete", "alice", status=2)
    assert "say which messages" in office("undelete", "alice", "--all", "--id", "1", status=2)
    for since in ("yesterday", "7", "99999-01-01", "7d "):
        text = office("deleted", "alice", "--since", since, status=2)
        assert "expected an age such as 7d, 12h or 30m, or a date such as" in text
    for none in (("--all",), ("--mailbox", "Sent"), ("--since", "1d")):
        text = office("undelete", "alice", *none, status=1)
        assert "no such deleted mail of alice; what is deleted is kept for 14 days" in text


def test_deleted_mail_is_shown_with_what_its_header_says(office: Office) -> None:
    office.delete("INBOX", GREETING)
    text = office("deleted", "alice")
    assert "Böb <bob@example.test>  \N{REPLACEMENT CHARACTER}[31m red" in text
    assert "\x1b" not in text
    assert "1 messages" in text
    (row,) = office.listed()
    assert row["subject"] == "\N{REPLACEMENT CHARACTER}[31m red"
    assert row["flags"] == ["\\Seen"]
    assert row["size_octets"] == len(GREETING)
    assert row["internal_date"] == 1_700_000_000


def test_a_choice_comes_back(office: Office) -> None:
    office.delete("Sent", b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n")
    office.delete("INBOX", *[b"Subject: %d\r\n\r\n" % number for number in range(40)])
    assert len(office.listed()) == 42
    assert {row["mailbox"] for row in office.listed("--mailbox", "Sent")} == {"Sent"}
    assert len(office.listed("--since", "1h")) == 42
    assert office.listed("--since", "2999-01-01") == []

    text = office("undelete", "alice", "--all", "--dry-run")
    assert text == (
        "would come back to  messages  octets\n"
        "INBOX                     40     590\n"
        "Sent                       2      32\n"
    )
    assert len(office.listed()) == 42

    one, two = (str(row["id"]) for row in office.listed("--mailbox", "Sent"))
    assert "INBOX" not in office("undelete", "alice", "--id", one, "--id", two)
    text = office("undelete", "alice", "--id", one, status=1)
    assert text.startswith(f"gateway: no deleted message has the id {one}; `gateway mailbox del")
    assert len(office.listed()) == 40
    office("undelete", "alice", "--since", "1d", "--mailbox", "inbox", "--into", "Back/again")
    listed = json.loads(office("list", "alice", "--json"))["mailboxes"]
    counts = {row["name"]: (row["messages"], row["unseen"]) for row in listed}
    assert counts["Sent"] == (2, 0)
    assert counts["Back/again"] == (40, 0)
    assert counts["INBOX"] == (0, 0)
    assert office.listed() == []


def test_somebody_who_has_left_is_named_by_id(office: Office) -> None:
    office.delete("INBOX", b"Subject: last\r\n\r\n", account_id=AccountId("left-1"))
    Path(office.settings.directory.path).unlink()
    assert "last" in office("deleted", "id:left-1")
    office("undelete", "id:left-1", "--all", "--into", "Saved")
    assert "Saved" in office("list", "id:left-1")
    assert "people.ldif" in office("list", "alice", status=2)


def test_keeping_nothing_is_said(office: Office) -> None:
    office.delete("INBOX", b"x")
    office.config.write_text(office.config.read_text().replace("= 14", "= 0"))
    text = "deleted mail is not kept: the setting deleted_mail.keep_days is 0"
    assert text in office("deleted", "alice")
    assert text in office("undelete", "alice", "--all", status=1)


@pytest.mark.parametrize("command", ["list", "create", "deleted", "undelete"])
def test_each_command_has_help(office: Office, command: str) -> None:
    text = office(command, "--help")
    assert text.startswith(f"Usage: gateway mailbox {command} [OPTIONS] PERSON")
    assert "--config FILE" in text
    assert "..." not in text
