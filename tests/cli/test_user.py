"""``gateway user`` on a store that nobody serves; and how people and their passwords look."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.user_shown import app_passwords, details, listing
from gateway.core.ids import AccountId
from gateway.core.ports.people_notes import FormerAddress, PersonNote, Writing
from tests.cli.test_commands import call
from tests.cli.test_queue import configuration
from tests.directory.picturing import fill
from tests.store.house import NOW, House
from tests.support.pump import Pump

PEOPLE = """\
dn: uid=alice,dc=example,dc=test
objectClass: inetOrgPerson
entryUUID: 5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6a01
uid: alice
cn: Alice
sn: Liddell
mail: alice@example.test
userPassword: wonderland

dn: uid=bob,dc=example,dc=test
objectClass: inetOrgPerson
entryUUID: 5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6a02
uid: bob
cn: Bob
sn: Builder
mail: bob@example.test
"""
BOB_ID = "5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6a02"
PICTURED = PEOPLE.replace("alice", "alice2")
HOSTILE = "x\x1b[2J\u202e"


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a gateway that is stopped; its store is there."""
    (tmp_path / "people.ldif").write_text(PEOPLE)
    with House(tmp_path / "state"):
        pass
    return configuration(tmp_path)


@dataclass(frozen=True)
class Answer:
    exit_code: int
    output: str


Run = Callable[..., Answer]


@pytest.fixture
def run(config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def user(*arguments: str, config: str = config) -> Answer:
        code = call(monkeypatch, "user", *arguments, "--config", config)
        said = capsys.readouterr()
        return Answer(code, said.out + said.err)

    return user


def test_app_passwords_beside_a_stopped_gateway(run: Run, config: str) -> None:
    made = run(
        "app-password", "create", "alice@example.test", "--label", "my phone",
        "--protocol", "imap,submission", "--network", "10.0.0.0/8", "--expires", "30", "--json",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    password = json.loads(made.output)["password"]
    shown = run("app-password", "create", "alice", "--label", "tablet").output
    assert "app password 2 of alice for tablet" in shown and "it is shown only now" in shown
    listed = run("app-password", "list", "alice").output
    assert "my phone" in listed and "imap,submission" in listed and "10.0.0.0/8" in listed
    assert "uid " in listed and password not in listed
    # Neither the store nor what it logs of itself has it, in whatever form.
    state = Path(config).parent / "state"
    for path in state.rglob("*"):
        if path.is_file():
            octets = path.read_bytes()
            assert password.encode() not in octets
            assert password.replace("-", "").encode() not in octets
    assert run("app-password", "revoke", "alice").exit_code == 2
    assert run("app-password", "revoke", "alice", "1", "--all").exit_code == 2
    assert "has no app password 7" in run("app-password", "revoke", "alice", "7").output
    assert "revoked 1, my phone" in run("app-password", "revoke", "alice", "1").output
    assert "revoked 2, tablet" in run("app-password", "revoke", "alice", "--all").output
    assert "has no app passwords" in run("app-password", "list", "alice").output


def test_people_beside_a_stopped_gateway(run: Run) -> None:
    listed = json.loads(run("list", "--json").output)
    assert [each["login"] for each in listed] == ["alice", "bob"]
    assert "bob@example.test" in run("list", "--match", "BOB").output
    assert run("list", "--match", "nothing").output.strip() == "nobody who fits"
    assert run("list", "--disabled", "--json").output.strip() == "[]"
    assert "--limit or --all shows more" in run("list", "--limit", "1").output
    shown = run("show", "bob").output
    assert "bob@example.test: the mailbox here" in shown and "enabled" in shown
    assert run("show", "carol").exit_code == 1
    wrong = run("list", "--directory", "other")
    assert wrong.exit_code == 1 and "other" in wrong.output


def test_people_of_servers_are_listed_as_a_stopped_gateway_had_them(run: Run, config: str) -> None:
    state = Path(config).parent / "state"
    pump = Pump()
    fill(state / "directory.sqlite", pump, PICTURED)
    servers = Path(config).parent / "servers.toml"
    text = Path(config).read_text().replace('kind = "ldif"', 'kind = "ldap"')
    servers.write_text(re.sub("path = .*", 'uri = "ldap://127.0.0.1:1"\nbase_dn = "dc=x"', text))
    told = run("list", config=str(servers))
    assert told.exit_code == 0, told.output
    assert "alice2" in told.output and "as they were at 2023-11-1" in told.output
    wrong = run("list", "--directory", "other", config=str(servers))
    assert "gateway: there is no directory 'other'; there is directory" in wrong.output
    assert "alice2" in run("list", "--directory", "directory", config=str(servers)).output


def test_whoever_is_gone_is_found_by_what_they_were_called(run: Run, config: str) -> None:
    note = PersonNote(AccountId("id-gert"), "Gert", "gert@example.test", (), NOW, 0, NOW)
    former = FormerAddress("bobby@example.test", AccountId(BOB_ID), NOW)
    with House(Path(config).parent / "state") as house:
        house.wait(house.store.people.notes.write(Writing(notes=[note], begin=[former])))
    assert "once Gert, gert@example.test" in run("show", "gert").output
    assert "id-gert" in run("show", "Gert@example.test").output
    assert "login       bob" in run("show", "Bobby@example.test").output
    refused = run("app-password", "create", "gert", "--label", "x")
    assert refused.exit_code == 1 and "it was that of id:id-gert" in refused.output


def test_no_store_is_made_by_looking(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "people.ldif").write_text(PEOPLE)
    answer = run("list", config=configuration(folder))
    assert answer.exit_code == 1 and not (folder / "state").exists()


def person(**fields: Any) -> dict[str, Any]:
    return {
        "id": "a1", "login": HOSTILE, "address": "", "name": HOSTILE, "state": "locked",
        "condition": HOSTILE, "octets": 3 * 1024**2, "messages": 7, "last_login_at": None,
        "quota": {"octets": 10 * 1024**2, "messages": 100, "percent": 30, "unreadable": HOSTILE},
        "groups": [{"name": HOSTILE, "address": "g@x.test"}], "groups_trouble": "away",
        "mail_goes": [{"address": "a@x.test", "to": [], "trouble": HOSTILE}],
        "app_passwords": [password()],
        "refusals": [{"at": 0, "reason": "r", "protocol": "imap", "from": HOSTILE}],
        **fields,
    }  # fmt: skip


def password(**fields: Any) -> dict[str, Any]:
    return {
        "number": 3, "label": HOSTILE, "begins_with": "k7", "protocols": [], "networks": [],
        "made_by": "uid 0", "made_at": 0, "expires_at": 86_400, "expired": True,
        "used_at": 1, "used_from": "::1", "used_protocol": "pop3", **fields,
    }  # fmt: skip


def test_A9_nothing_of_the_directory_steers_a_terminal() -> None:
    text = "\n".join(details(person()))
    for shown in (text, listing([person()], headings=True), app_passwords([password()])):
        assert shown.replace("\n", "").isprintable()
    assert "3.0 MiB, 7 messages; 30 % of 10.0 MiB and 100 messages" in text
    assert "pop3 from ::1" in text and "(over)" in text and "away" in text


def test_several_pages_stand_below_each_other() -> None:
    first = listing([person(login="alice")], headings=True).splitlines()
    (second,) = listing([person(login="bartholomew")], headings=False).splitlines()
    assert first[0].index("state") == first[1].index("locked") == second.index("locked")
