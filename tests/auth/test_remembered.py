"""A login that worked works again for a minute without asking anybody (SECURITY L21)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.auth.people_followed import ForgetsLogins
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.people import PersonChange
from tests.auth.desk_world import Desks, now_of


def test_L21_a_repeated_login_asks_no_server_for_a_minute() -> None:
    desks = Desks()
    assert desks.say("alice", b"secret") == "in alice"
    for _ in range(5):
        desks.clock.advance(11)
        assert desks.say("alice", b"secret") == "in alice"
    assert desks.directory.searches == 1
    desks.clock.advance(11)
    assert desks.say("alice", b"secret") == "in alice"
    assert desks.directory.searches == 2


def test_L21_another_password_or_person_is_never_let_in_by_it() -> None:
    desks = Desks()
    assert desks.say("alice", b"secret") == "in alice"
    assert desks.say("bob", b"secret") == "WRONG_PASSWORD"
    assert desks.say("alice", b"secret\0") == "WRONG_PASSWORD"
    assert desks.say("alice", b"Secret") == "WRONG_PASSWORD"
    desks.directory.people.remove(desks.alice)
    desks.directory.add("bob2", b"other", "alice")
    desks.clock.advance(61)
    assert desks.say("alice", b"secret") == "WRONG_PASSWORD", "the name is somebody else's now"


def test_L21_any_failure_of_the_person_ends_it_in_all_processes() -> None:
    desks = Desks()
    for process in (0, 1):
        assert desks.say("alice", b"secret", process=process) == "in alice"
    before = desks.directory.searches
    assert desks.say("a.smith@example.test", b"x", process=1) == "WRONG_PASSWORD"
    desks.clock.advance(11)
    assert desks.say("alice", b"secret", process=0) == "in alice"
    assert desks.directory.searches == before + 2


def test_L21_it_is_not_extended_while_the_directory_is_down() -> None:
    desks = Desks(outage_days=0)
    assert desks.say("alice", b"secret") == "in alice"
    desks.be_down()
    desks.clock.advance(59)
    assert desks.say("alice", b"secret") == "in alice"
    desks.clock.advance(2)
    assert desks.say("alice", b"secret") == "DirectoryUnavailable"


def test_L21_nothing_is_remembered_where_the_settings_say_so() -> None:
    desks = Desks(remembered_s=0)
    for _ in range(3):
        assert desks.say("alice", b"secret") == "in alice"
    assert desks.directory.searches == 3


@pytest.mark.parametrize("what", ["disabled", "locked", "gone", "renamed"])
def test_L16_a_change_that_is_seen_ends_it_everywhere(what: str) -> None:
    desks = Desks()
    assert desks.say("alice", b"secret") == "in alice"
    before = desks.alice.account
    after = {
        "disabled": replace(before, enabled=False),
        "locked": replace(before, locked=True),
        "renamed": replace(before, login="alison"),
        "gone": None,
    }[what]
    desks.alice.account = after or before
    desks.alice.refusal = (LoginReason.DISABLED, True) if what != "renamed" else None
    follower = ForgetsLogins(desks.processes[1][2].remembered, desks.processes[1][2].keeper)
    assert before.account_id in desks.kept.rows
    now_of(follower.changed([PersonChange("main", before, after)]))
    now_of(follower.listed("main"))
    assert (before.account_id in desks.kept.rows) is (what == "renamed")
    assert desks.say("alice", b"secret") == ("in alison" if what == "renamed" else "DISABLED")


def test_L21_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.auth.remembered.MAX_NAMES", 2)
    desks = Desks()
    for name in ("alice", "a.smith@example.test", "alice@example.test"):
        assert desks.say(name, b"secret") == "in alice"
    assert desks.say("alice", b"secret") == "in alice"
    assert desks.directory.searches == 4
