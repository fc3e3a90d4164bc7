"""Programs read what ``--json`` prints: its fields are those that ``docs/directory.md`` names."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.picture_status import PictureStatus, Shared
from gateway.core.ports.kept_passwords import Refusal
from gateway.core.ports.people_notes import FormerAddress, PersonNote, Writing
from tests.cli.test_commands import call
from tests.directory.contract import PEOPLE
from tests.directory.picturing import fill
from tests.store.house import NOW, House
from tests.support.pump import Pump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

DOCUMENT = Path(__file__).parents[2] / "docs" / "directory.md"
THE_SAME = {
    "gateway user show": "each of gateway user list",
    "gateway user app-password create": "each of gateway user app-password list and revoke",
}

ALICE = AccountId("11111111-2222-3333-4444-000000000001")
GERT = AccountId("0c2f4d1e-gone")
GONE = PersonNote(GERT, "gert", "gert@example.test", (), NOW, 0, NOW)
TEAM = f"""\
dn: cn=team,{SUFFIX}
objectClass: groupOfNames
objectClass: extensibleObject
entryUUID: 99999999-2222-3333-4444-000000000001
cn: team
mail: team@example.test
member: uid=alice,ou=people,{SUFFIX}
"""
CONFIGURATION = """
hostname = "localhost"
state_dir = "{folder}/state"
[domains."example.test"]
[tls]
self_signed = true
[[listen]]
protocol = "imap"
address = "127.0.0.1:1143"
[groups."team@example.test"]
mailbox = "shared"
[directory]
kind = "ldap"
uri = "{uri}"
base_dn = "{suffix}"
bind_dn = "{reader}"
bind_password = "{password}"
ca_file = "{ca_file}"
"""

Captured = pytest.CaptureFixture[str]
Json = Any
Fields = Mapping[str, frozenset[str]]


def documented(heading: str) -> dict[str, frozenset[str]]:
    """The rows of the table below ``heading``; what stands in brackets there explains fields."""
    section = DOCUMENT.read_text().partition("\n## In JSON\n")[2].partition("\n## ")[0]
    found: dict[str, frozenset[str]] = {}
    for line in section.partition(f"\n{heading}\n|---|---|\n")[2].partition("\n\n")[0].splitlines():
        name, text = (each.strip() for each in line.strip("|").split(" | "))
        name = name.replace("`", "")
        assert name not in found, name
        found[name] = frozenset(re.findall(r"`(.+?)`", re.sub(r"\(.*?\)", "", text)))
    return found


@pytest.fixture(scope="module")
def fields() -> Fields:
    """What a command prints, by the names of the document."""
    found = documented("| what | its fields |")
    for name, base in THE_SAME.items():
        found[name] |= found[base]
    return found


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("slapd"), PEOPLE + TEAM, overlays=["policy"])
    server.start()
    yield server
    server.stop()


class Site:
    """A gateway that is stopped, with all that can be known of some people."""

    def __init__(
        self, folder: Path, slapd: Slapd, patch: pytest.MonkeyPatch, taken: Captured
    ) -> None:
        self._folder = folder
        self._patch = patch
        self._taken = taken
        self._config = folder / "gateway.toml"
        uri = slapd.tls_uri.replace("127.0.0.1", "localhost")  # a name, so that DNS is a step
        self._config.write_text(CONFIGURATION.format(
            folder=folder, uri=uri, suffix=SUFFIX, reader=READER_DN, password=READER_PASSWORD,
            ca_file=slapd.ca_file,
        ))  # fmt: skip
        with House(folder / "state", keep_deleted_s=86_400) as house:
            house.deliver("1", ALICE, GERT)
            people, now = house.store.people, int(time.time())
            former = FormerAddress("alicia@example.test", ALICE, now)
            house.wait(people.notes.write(Writing(notes=[GONE], begin=[former])))
            refusal = Refusal(now, LoginReason.WRONG_PASSWORD, "imap", "192.0.2.7")
            house.wait(people.refusals.note(ALICE, refusal))
            house.wait(people.kept_passwords.keep(ALICE, "hash"))
        fill(folder / "state" / "directory.sqlite", Pump(), PEOPLE + TEAM)

    def asked(self, *arguments: str) -> Json:
        call(self._patch, *arguments, "--json", "--config", str(self._config))
        said = self._taken.readouterr()
        assert said.out, said.err
        return json.loads(said.out)


@pytest.fixture
def site(tmp_path: Path, slapd: Slapd, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Site:
    return Site(tmp_path, slapd, monkeypatch, capsys)


def each_has(rows: Sequence[Json], fields: frozenset[str]) -> None:
    assert rows
    for row in rows:
        assert set(row) == fields


def test_people(site: Site, fields: Fields) -> None:
    each_has(site.asked("user", "list"), fields["each of gateway user list"])
    made = site.asked("user", "app-password", "create", "alice", "--label", "tablet")
    each_has([made], fields["gateway user app-password create"])
    passwords = fields["each of gateway user app-password list and revoke"]
    each_has(site.asked("user", "app-password", "list", "alice"), passwords)
    alice = site.asked("user", "show", "alice")
    each_has([alice], fields["gateway user show"] - {"shared"})
    each_has([alice["quota"]], fields["quota"])
    each_has(alice["groups"], fields["each of groups"])
    each_has(alice["mail_goes"], fields["each of mail_goes"] - {"trouble"})
    each_has(alice["app_passwords"], passwords)
    each_has(alice["refusals"], fields["each of refusals"])
    each_has([alice["noted"]], fields["noted"])
    each_has(alice["noted"]["former_addresses"], fields["each of former_addresses"])
    each_has(site.asked("user", "app-password", "revoke", "alice", "--all"), passwords)
    shared = site.asked("user", "show", "team@example.test")
    each_has([shared], fields["gateway user show"] - {"known_from"})
    each_has([shared["shared"]], fields["shared"])


def test_reconcile(site: Site, fields: Fields) -> None:
    told = site.asked("user", "reconcile", "--delete-gone-after", "1", "--dry-run")
    each_has([told], fields["gateway user reconcile"] - {"deleted"})
    each_has(told["to_delete"], fields["each of away"])
    told = site.asked("user", "reconcile", "--delete-gone-after", "1", "--yes")
    each_has([told], fields["gateway user reconcile"])
    each_has([told["compared"]], fields["compared"])
    each_has(told["away"], fields["each of away"])
    each_has(told["moved"], fields["each of moved"])
    each_has(told["deleted"], fields["each of deleted"])


def test_pictures(fields: Fields) -> None:
    shared = Shared("login", "alice", ("a", "b"))
    status = PictureStatus("", 1, 0, 0, 0, "", "", False, 0, 0, 0, "", "", 0, (), (shared,))
    each_has([status.as_json()], fields["each of pictures"])
    each_has(status.as_json()["shared"], fields["each of shared there"])  # type: ignore[arg-type]


def test_check(site: Site, fields: Fields) -> None:
    each_has(site.asked("check"), fields["each of gateway check"])


def test_doctor(site: Site, fields: Fields) -> None:
    told = site.asked("doctor", "alice", "--ip", "192.0.2.1")
    each_has([told], fields["gateway doctor"])
    each_has(told["conclusions"], fields["each of conclusions"])
    each_has(told["steps"], fields["each of steps"])
    facts: dict[str, dict[str, Json]] = {}
    for step in told["steps"]:
        facts.setdefault(step["step"], {}).update(step["facts"])
    known = documented("| step | its facts |")
    inside = {name: known.pop(name) for name in list(known) if name.startswith("each of ")}
    assert {name: set(learnt) for name, learnt in facts.items() if learnt} == known
    each_has(facts["tls"]["chain"], inside.pop("each of chain"))
    each_has(facts["groups"]["groups"], inside.pop("each of groups there"))
    each_has(facts["refusals"]["refusals"], fields["each of refusals"])
    assert not inside
