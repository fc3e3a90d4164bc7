"""A person's failures stay below the directory's lock-out, by whatever name and from wherever they
come (SECURITY A7, A8, L22)."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred

from gateway.auth.login_memory import Bounds
from gateway.core.errors import WrongCredentials
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.may_ask import Lockout, PasswordState
from tests.auth.desk_world import ABROAD, HOME, Desks, outcome

NAMES = ("alice", "alice@example.test", "a.smith@example.test", "ALICE", "A.Smith@example.test")


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for outages is not what is looked at here."""
    monkeypatch.setattr("gateway.auth.slow_hash.MEMORY_KIB", 8)
    monkeypatch.setattr("gateway.auth.slow_hash.PASSES", 1)


@pytest.mark.parametrize("threshold", [2, 3, 5, 10])
@pytest.mark.parametrize("tells", [True, False])
def test_L22_a_storm_by_all_names_from_everywhere_never_locks_anybody(
    threshold: int, tells: bool
) -> None:
    desks = Desks()
    desks.directory.lockout = Lockout(threshold, 1800)
    desks.directory.tells = tells
    assert desks.say("alice", b"secret") == "in alice"
    for n in range(200):
        door = ("imap", "pop3", "submission")[n % 3]
        ip = HOME if n % 2 else f"198.51.{n}.1"
        desks.say(NAMES[n % 5], b"wrong %d" % n, ip, process=n % 2, door=door)
        desks.clock.advance(1)
    assert desks.alice.failures <= threshold - 1
    assert not desks.directory.locked()


def test_L22_strangers_leave_a_try_for_where_the_person_is_known() -> None:
    desks = Desks()
    assert desks.say("alice", b"secret") == "in alice"
    for n in range(50):
        desks.say(NAMES[n % 3], b"wrong %d" % n, f"198.51.{n}.1", process=n % 2)
    assert desks.alice.failures == 3, "of 4 that the lock-out of 5 leaves"
    assert desks.say("a.smith@example.test", b"typo", HOME) == "LoginsPaused", "not known by that"
    desks.clock.advance(61)
    assert desks.say("alice", b"typo", HOME) == "WRONG_PASSWORD"
    assert desks.say("alice", b"typo 2", HOME) == "NotAsKept", "no longer the directory's word"
    assert desks.alice.failures == 4
    desks.alice.failures = 3
    desks.clock.advance(1801)
    assert desks.say("alice", b"secret", HOME) == "in alice"


def test_L22_a_login_that_works_begins_the_count_again_as_in_the_directory() -> None:
    desks = Desks(remembered_s=0)
    assert desks.say("alice", b"secret") == "in alice"
    for n in range(10):
        assert desks.say("alice", b"typo %d" % n) == "WRONG_PASSWORD"
        assert desks.say("alice", b"secret") == "in alice"
    assert not desks.directory.locked()


def test_A8_a_wrong_password_of_a_person_is_tried_once_by_whichever_name() -> None:
    desks = Desks()
    for n in range(12):
        for name in NAMES:
            said = desks.say(name, b"old password", process=n % 2)
            assert said in ("WRONG_PASSWORD", "WRONG_AGAIN")
        desks.clock.advance(100)  # 20 minutes: the directory still counts
    assert desks.directory.binds == [("alice", b"old password")]
    desks.clock.advance(1801)
    desks.say("alice", b"old password")
    assert len(desks.directory.binds) == 2


def test_A8_a_reset_is_seen_at_once() -> None:
    desks = Desks()
    assert desks.say("alice", b"new password") == "WRONG_PASSWORD"
    desks.alice.password, desks.alice.changed = b"new password", "2"
    desks.clock.advance(11)
    assert desks.say("alice", b"new password") == "in alice"


def test_A8_somebody_who_has_just_come_to_the_directory_gets_in_at_once() -> None:
    desks = Desks()
    assert desks.say("carol", b"fresh") == "UNKNOWN"
    desks.directory.add("carol", b"fresh")
    desks.clock.advance(11)
    assert desks.say("carol", b"fresh") == "in carol"


def test_L22_failures_that_others_cause_in_the_directory_count() -> None:
    desks = Desks()
    desks.alice.failures = 4
    assert desks.say("alice", b"secret") == "NotAsKept"
    assert not desks.directory.binds
    desks.alice.failures = 0
    assert desks.say("alice", b"secret") == "in alice"


def test_L22_after_a_restart_the_directory_says_what_it_counts() -> None:
    desks = Desks()
    for n in range(3):
        desks.say("alice", b"%d" % n, f"198.51.{n}.1")
    assert desks.alice.failures == 3
    desks.restart()
    for n in range(30):
        desks.say(NAMES[n % 3], b"again %d" % n, f"198.51.{n}.1", process=n % 2)
    assert not desks.directory.locked()


def test_L22_a_directory_that_does_not_say_counts_half_for_a_while_after_the_start() -> None:
    desks = Desks(fresh=True)
    desks.directory.tells = False
    desks.directory.lockout = Lockout(9, 1800)
    for n in range(30):
        desks.say("alice", b"%d" % n, "127.0.0.1")
    assert desks.alice.failures == 4
    desks.clock.advance(1801)
    desks.alice.failures = 0
    for n in range(30, 60):
        desks.say("alice", b"%d" % n, "127.0.0.1")
    assert desks.alice.failures == 8
    # One process that is started again finds the memory of the others.
    assert desks.processes[1][2].budget.most(None, known=True, untold=True) == 4


def test_L22_without_a_word_about_its_lock_out_it_is_asked_less() -> None:
    desks = Desks()
    desks.directory.lockout = None
    for n in range(30):
        desks.say("alice", b"%d" % n, "127.0.0.1")
    assert desks.alice.failures == 4
    desks = Desks()
    desks.directory.lockout = Lockout(0, 0)  # it never locks
    for n in range(30):
        desks.say("alice", b"%d" % n, "127.0.0.1")
    assert desks.alice.failures == 8


def test_L22_guesses_at_once_do_not_get_past_the_count() -> None:
    desks = Desks()
    budget = desks.aids.budget
    whose, state = desks.alice.account.account_id, PasswordState("1", 0, Lockout(5, 1800))
    assert [budget.most(state.lockout, known=known) for known in (True, False)] == [4, 3]
    permits = [budget.permit(b"%d" % n, known=True) for n in range(10)]
    asked = [Deferred.fromCoroutine(permit.allowed(whose, state)) for permit in permits]
    assert [each.called for each in asked] == [True] * 4 + [False] * 6
    desks.clock.pump([0.1] * 50)
    assert sum(each.called for each in asked) == 4
    for permit in permits[:2]:
        permit.unsaid()
        permit.unsaid()  # once is enough
    desks.clock.pump([0.1] * 5)
    assert sum(each.called for each in asked) == 6
    for permit in permits:
        permit.wrong(WrongCredentials(LoginReason.WRONG_PASSWORD, account_id=whose))
    desks.clock.pump([0.1] * 5)
    assert [outcome(each) for each in asked[6:]] == ["LoginsPaused"] * 4
    assert all(permit.paused for permit in permits[6:])


def test_L22_whoever_waits_for_a_silent_directory_does_so_for_a_while() -> None:
    desks = Desks()
    whose, state = desks.alice.account.account_id, PasswordState("1", 0, Lockout(2, 1800))
    permits = [desks.aids.budget.permit(b"%d" % n, known=True) for n in range(3)]
    first, waits, leaves = (
        Deferred.fromCoroutine(permit.allowed(whose, state)) for permit in permits
    )
    leaves.cancel()
    desks.clock.pump([0.1] * 200)
    assert first.called and outcome(waits) == "LoginsPaused"
    leaves.addErrback(lambda failure: failure.trap(CancelledError))
    assert not desks.clock.getDelayedCalls()


def test_A7_many_devices_at_once_with_the_right_password_all_get_in() -> None:
    desks = Desks(remembered_s=0)
    desks.directory.slow = desks.clock
    said = [desks.begin(NAMES[n % 5], b"secret", HOME, process=n % 2) for n in range(40)]
    assert not any(each.called for each in said)
    desks.clock.pump([0.05] * 400)
    assert {outcome(each) for each in said} == {"in alice"}
    assert not desks.directory.locked()


def test_L15_the_right_password_of_somebody_refused_counts_nowhere() -> None:
    desks = Desks()
    desks.alice.refusal = (LoginReason.PASSWORD_EXPIRED, True)
    for _ in range(20):
        assert desks.say("alice", b"secret", "127.0.0.1") == "PASSWORD_EXPIRED"
        desks.clock.advance(61)
    assert len(desks.directory.binds) == 20
    desks.alice.refusal = None
    assert desks.say("alice", b"secret") == "in alice"


def test_A7_nobody_is_locked_out_of_their_known_place_by_strangers() -> None:
    desks = Desks(bounds=Bounds(10, 50))
    assert desks.say("alice", b"secret", HOME) == "in alice"
    for n in range(500):
        desks.say(NAMES[n % 5], b"%d" % n, f"198.{51 + n // 250}.{n % 250}.1", process=n % 2)
    desks.clock.advance(61)
    assert desks.say("alice", b"secret", HOME) == "in alice"
    assert desks.say("alice", b"secret", ABROAD) in ("LoginsPaused", "in alice")
