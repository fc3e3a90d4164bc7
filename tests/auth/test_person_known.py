"""What the gateway keeps of one person, as the doctor asks for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from gateway.auth.person_known import Obstacles, PersonKnown, Question, question_in
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.kept_passwords import Refusal
from gateway.core.ports.may_ask import Lockout, PasswordState
from gateway.core.ports.people_notes import FormerAddress, PersonNote, Writing
from tests.auth.desk_world import ABROAD, HOME, Desks
from tests.store.house import House

ALICE = AccountId("5c2f4d1e-7a36-4f0b-9a58-0d8c9e1b6a01")
HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
ASKED = Question(ALICE, "alice", HOME, PasswordState())


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.auth.slow_hash.MEMORY_KIB", 8)
    monkeypatch.setattr("gateway.auth.slow_hash.PASSES", 1)


def test_what_is_kept_and_never_the_hash(tmp_path: Path) -> None:
    now = int(time.time())
    with House(tmp_path) as house:
        people = house.store.people
        known = PersonKnown(people, lambda: now, outage_days=14)
        nothing = house.wait(known.told(ASKED))
        assert nothing["notes"] is None and nothing["kept_password_age_s"] is None
        assert not nothing["running"] and not nothing["paused"]
        house.wait(people.kept_passwords.keep(ALICE, HASH))
        refusal = Refusal(now, LoginReason.DISABLED, "imap", "192.0.2.7")
        house.wait(people.refusals.note(ALICE, refusal))
        note = PersonNote(ALICE, "alice", "alice@example.test", disabled_since=now)
        former = FormerAddress("a.smith@example.test", ALICE, now)
        house.wait(people.notes.write(Writing([note], begin=[former])))
        kept = house.wait(people.kept_passwords.kept(ALICE))
        assert kept is not None
        later = kept.confirmed_at + 3 * 86_400
        known = PersonKnown(people, lambda: later, outage_days=14)
        told = house.wait(known.told(ASKED))
        assert told["kept_password_age_s"] == 3 * 86_400 and told["kept_password_serves"]
        assert told["refusals"][0]["reason"] == "the account is disabled"
        assert told["notes"]["disabled_since"] == now
        assert told["notes"]["former_addresses"] == ["a.smith@example.test"]
        assert HASH not in str(told)
        late = PersonKnown(people, lambda: later, outage_days=2)
        assert not house.wait(late.told(ASKED))["kept_password_serves"]


def obstacle(desks: Desks, ip: str, state: PasswordState | None = None) -> str:
    throttle, _, aids = desks.processes[1]
    person = desks.alice.account.account_id
    asked = Question(person, "alice", ip, state or PasswordState())
    return Obstacles(throttle, aids.budget).obstacle(asked)


def test_A7_obstacles_are_told_and_nothing_is_counted() -> None:
    desks = Desks()
    assert desks.say("alice", b"secret") == "in alice"
    for ip in (HOME, ABROAD, ""):
        assert obstacle(desks, ip) == ""
    for n in range(5):
        desks.say("alice", b"wrong %d" % n, f"198.51.{n}.1")
    failures = desks.alice.failures
    for _ in range(20):
        assert obstacle(desks, ABROAD), "a stranger would not be asked about"
        assert obstacle(desks, HOME) == obstacle(desks, "") == ""
    assert desks.say("alice", b"secret", HOME) == "in alice"
    assert desks.alice.failures <= failures


def test_L22_what_the_directory_counts_is_an_obstacle() -> None:
    state = PasswordState(failures=4, lockout=Lockout(5, 1800.0))
    desks = Desks()
    told = "failures: 4; the directory may count 4 at most"
    assert desks.say("alice", b"secret") == "in alice"
    assert obstacle(desks, HOME, state).startswith(told)


@pytest.mark.parametrize(
    "change", [{"id": 3}, {"failures": "3"}, {"login": None}, {"window_s": "x"}]
)
def test_questions_that_are_none(change: dict[str, Any]) -> None:
    good = {
        "id": "a",
        "login": "alice",
        "ip": "",
        "changed": "",
        "failures": None,
        "threshold": 3,
        "window_s": 60.0,
    }
    asked = question_in(good)
    assert asked is not None and asked.state.lockout == Lockout(3, 60.0)
    assert question_in({**good, **change}) is None
    assert question_in({}) is None
