"""Logins while the directory is away: the password that worked last, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.auth.login_memory import Bounds
from gateway.auth.outage import MAX_STRANGERS
from gateway.auth.slow_hash import SALT_OCTETS, fits, slow_hash
from gateway.core.errors import DirectoryMistake, LoginsPaused, StoreUnavailable
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.may_ask import Lockout
from tests.auth.desk_world import ABROAD, DAY_S, HOME, Desks, outcome


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same function with parameters that cost nothing."""
    monkeypatch.setattr("gateway.auth.slow_hash.MEMORY_KIB", 8)
    monkeypatch.setattr("gateway.auth.slow_hash.PASSES", 1)


def used(**more: Any) -> Desks:
    """Alice has logged in, and it is two minutes later."""
    desks = Desks(**more)
    assert desks.say("alice", b"secret") == "in alice"
    desks.clock.advance(120)
    return desks


def test_the_hash_is_slow_and_of_the_octets() -> None:
    hashed = slow_hash("pässword".encode(), b"s" * SALT_OCTETS)
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert fits(hashed, "pässword".encode())
    assert not fits(hashed, b"password") and not fits("no hash", b"x") and not fits("ä", b"x")


def test_the_parameters_are_beyond_what_owasp_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert slow_hash(b"x", b"s" * SALT_OCTETS).startswith("$argon2id$v=19$m=32768,t=2,p=1$")


def test_whoever_logged_in_lately_logs_in_while_the_directory_is_away() -> None:
    desks = used()
    desks.be_down()
    for process in (0, 1):
        assert desks.say("alice", b"secret", process=process) == "in alice"
        assert desks.say("a.smith@example.test", b"secret", ABROAD, process=process) == "in alice"


def test_A5_nobody_is_told_that_a_password_is_wrong_meanwhile() -> None:
    desks = used()
    desks.be_down()
    assert desks.say("alice", b"typo") == "NotAsKept"
    assert desks.say("alice", b"typo") == "DirectoryUnavailable", "said before: no guess"
    assert desks.say("bob", b"builder") == "NotAsKept", "has never logged in"
    assert desks.say("mallory", b"x") == "NotAsKept", "is nobody"


def test_A6_in_an_outage_everybody_costs_the_same_work() -> None:
    desks = used()
    desks.restart()  # nothing is remembered in memory
    desks.be_down()
    desks.say("mallory", b"first")  # makes the hash that nobody has
    work = []
    for login in ("alice", "bob", "mallory"):
        before = desks.threads.done
        assert desks.say(login, b"guess") == "NotAsKept"
        work.append(desks.threads.done - before)
    assert work == [1, 1, 1]


def test_A7_guesses_in_an_outage_are_counted_as_ever() -> None:
    desks = used(outage_days=14)
    desks.be_down()
    said = [desks.say("alice", b"%d" % n, f"198.51.{n}.1") for n in range(10)]
    assert said == ["NotAsKept"] * 4 + ["LoginsPaused"] * 6
    assert desks.say("alice", b"secret", HOME) == "in alice"
    # By other names no stranger gets further with her.
    said = [desks.say("a.smith@example.test", b"%d" % n, f"198.52.{n}.1") for n in range(10)]
    assert said == ["NotAsKept"] * 4 + ["LoginsPaused"] * 6, "as for anybody"
    assert desks.say("a.smith@example.test", b"secret", "198.53.1.1") != "in alice"
    desks = Desks(bounds=Bounds(3, 100))
    desks.be_down()
    said = [desks.say(f"nobody{n}", b"x") for n in range(6)]
    assert said == ["NotAsKept"] * 3 + ["TooManyFailures"] * 3


def test_A7_guesses_from_everywhere_leave_the_threads_to_people_who_are_known() -> None:
    desks = used()
    desks.restart()  # nothing of what is kept is in memory
    desks.be_down()
    desks.threads.held = []
    waiting = [
        desks.begin(f"nobody{n}", b"x", f"198.{51 + n // 250}.{n % 250}.1") for n in range(400)
    ]
    said = [outcome(each) for each in waiting]
    assert said.count("waits") == MAX_STRANGERS and said.count("DirectoryUnavailable") == 384
    alice = desks.begin("alice", b"secret", "127.0.0.1")
    assert len(desks.threads.held) == MAX_STRANGERS + 1
    finish(desks)
    assert outcome(alice) == "in alice"
    assert outcome(desks.begin("nobody", b"x", ABROAD)) == "waits", "there is room again"


def test_a_program_that_repeats_a_new_password_in_an_outage_shuts_nobody_out() -> None:
    """Changed elsewhere: nobody can say that it is right, nor that it is wrong."""
    desks = Desks(bounds=Bounds(3, 10))
    assert desks.say("alice", b"secret") == "in alice"
    desks.be_down()
    for _ in range(200):
        assert desks.say("alice", b"new password") in ("NotAsKept", "DirectoryUnavailable")
        desks.clock.advance(300)
    assert desks.say("alice", b"secret") == "in alice"
    desks.directory.down = None
    desks.alice.password = b"new password"
    assert desks.say("alice", b"new password") == "in alice"


@pytest.mark.parametrize("days", [13, 15])
def test_it_serves_for_so_many_days_after_the_directory_confirmed_it(days: int) -> None:
    desks = used()
    desks.clock.advance(days * DAY_S)
    desks.restart()
    desks.be_down()
    assert desks.say("alice", b"secret") == ("in alice" if days < 14 else "NotAsKept")


def test_zero_days_keep_nothing() -> None:
    desks = used(outage_days=0)
    assert not desks.kept.rows
    desks.be_down()
    assert desks.say("alice", b"secret") == "DirectoryUnavailable"
    assert not desks.threads.done


@pytest.mark.parametrize("what", [{"enabled": False}, {"locked": True}])
def test_L16_who_was_disabled_or_locked_when_last_seen_stays_out(what: dict[str, bool]) -> None:
    desks = used()
    desks.change(desks.alice, **what)
    desks.be_down()
    assert desks.say("alice", b"secret") == "NotAsKept"


def test_L5_a_mistake_in_the_directory_is_no_outage() -> None:
    desks = used()
    desks.be_down(DirectoryMistake())
    assert desks.say("alice", b"secret") == "DirectoryMistake"


def test_L22_the_right_person_gets_in_where_the_directory_is_not_asked_any_more() -> None:
    desks = used()
    desks.alice.failures = 4  # one below its lock-out, by another service
    assert desks.say("alice", b"secret") == "in alice"
    assert len(desks.directory.binds) == 1
    desks.alice.failures = 5
    desks.clock.advance(601)
    for _ in range(3):
        assert desks.say("alice", b"secret") == "LoginsPaused", "it has locked her"
    assert [refusal.reason for _, refusal in desks.kept.noted] == [LoginReason.LOCKED]


def test_pauses_at_the_door_are_no_outage() -> None:
    desks = used()
    for n in range(4):
        desks.say("alice", b"%d" % n, f"198.51.{n}.1")
    assert desks.say("alice", b"secret", ABROAD) == "LoginsPaused"


# -- what is kept, and for how long


def test_repeated_logins_hash_nothing_and_write_once_a_day() -> None:
    desks = used()
    assert (desks.threads.done, desks.kept.writes) == (1, 1)
    for _ in range(20):
        assert desks.say("alice", b"secret") == "in alice"
        desks.clock.advance(3600)
    assert (desks.threads.done, desks.kept.writes) == (1, 1)
    desks.clock.advance(DAY_S)
    assert desks.say("alice", b"secret") == "in alice"
    assert (desks.threads.done, desks.kept.writes) == (1, 2)


def test_another_process_hashes_no_second_time_what_fits() -> None:
    desks = used()
    assert desks.say("alice", b"secret", process=1) == "in alice"
    assert (desks.threads.done, desks.kept.writes) == (2, 1), "one comparison, no new hash"


def test_a_new_password_takes_the_place_of_the_old_one() -> None:
    desks = used()
    desks.alice.password, desks.alice.changed = b"new", "2"
    assert desks.say("alice", b"new") == "in alice"
    desks.clock.advance(61)
    desks.be_down()
    assert desks.say("alice", b"secret") == "NotAsKept"
    assert desks.say("alice", b"new") == "in alice"


@pytest.mark.parametrize("process", [0, 1])
def test_the_old_password_is_forgotten_once_the_directory_refuses_it(process: int) -> None:
    desks = used()
    desks.alice.password, desks.alice.changed = b"new", "2"
    assert desks.say("alice", b"typo", process=process) == "WRONG_PASSWORD"
    assert desks.alice.account.account_id in desks.kept.rows, "that was another one"
    assert desks.say("alice", b"secret", process=process) == "WRONG_PASSWORD"
    assert not desks.kept.rows
    desks.be_down()
    desks.clock.advance(11)
    for each in (0, 1):
        assert desks.say("alice", b"secret", process=each).endswith(("Kept", "Unavailable"))


@pytest.mark.parametrize(
    "reason",
    [
        LoginReason.DISABLED,
        LoginReason.ACCOUNT_EXPIRED,
        LoginReason.PASSWORD_EXPIRED,
        LoginReason.MUST_CHANGE,
        LoginReason.LOCKED,
        LoginReason.GONE,
    ],
)
def test_L16_whoever_may_not_log_in_keeps_no_password(reason: LoginReason) -> None:
    desks = used()
    desks.alice.refusal = (reason, False)
    assert desks.say("alice", b"secret") == reason.name
    assert not desks.kept.rows


def test_a_refusal_for_the_time_of_day_forgets_nothing() -> None:
    desks = used()
    desks.alice.refusal = (LoginReason.NOT_NOW, True)
    assert desks.say("alice", b"secret") == "NOT_NOW"
    assert desks.kept.rows


def test_when_more_is_refused_than_can_be_compared_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.auth.keeping.MAX_WAITING", 1)
    desks = used()
    desks.restart()
    desks.threads.held = []
    assert desks.say("bob", b"x") == "WRONG_PASSWORD"
    assert desks.say("alice", b"x") == "WRONG_PASSWORD"
    assert desks.say("alice", b"y") == "WRONG_PASSWORD"
    assert desks.kept.rows
    assert desks.say("alice", b"z", "127.0.0.1") == "WRONG_PASSWORD"
    assert not desks.kept.rows, "better no login in an outage than one with an old password"


def test_passwords_that_wait_are_few_and_hashing_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.auth.keeping.MAX_WAITING", 2)
    desks = Desks(bounds=Bounds(10_000, 100_000))
    desks.threads.held = []
    for n in range(5):
        desks.directory.add(f"p{n}", b"p")
        assert desks.say(f"p{n}", b"p") == f"in p{n}", "nobody waits for a hash"
    assert len(desks.threads.held) == 1
    desks.clock.advance(0.05)
    desks.threads.held.pop()()
    assert not desks.threads.held, "it rests four times as long"
    desks.clock.advance(0.21)
    assert len(desks.threads.held) == 1


@pytest.mark.parametrize("process", [0, 1])
def test_a_password_that_is_refused_while_it_is_hashed_is_not_kept(process: int) -> None:
    desks = Desks()
    desks.threads.held = []
    assert desks.say("alice", b"secret") == "in alice"
    desks.alice.password, desks.alice.changed = b"new", "2"
    desks.clock.advance(61)
    assert desks.say("alice", b"secret", process=process) == "WRONG_PASSWORD"
    finish(desks)
    assert not desks.kept.rows
    # Set back to the old one, it is kept like any other.
    desks.alice.password, desks.alice.changed = b"secret", "3"
    desks.clock.advance(61)
    assert desks.say("alice", b"secret") == "in alice"
    finish(desks)
    assert desks.kept.rows


@pytest.mark.parametrize("process", [0, 1])
def test_L16_whoever_is_disabled_while_their_password_is_hashed_keeps_none(process: int) -> None:
    desks = Desks()
    desks.threads.held = []
    assert desks.say("alice", b"secret") == "in alice"
    desks.alice.refusal = (LoginReason.DISABLED, True)
    desks.clock.advance(61)
    assert desks.say("alice", b"secret", process=process) == "DISABLED"
    finish(desks)
    assert not desks.kept.rows


def finish(desks: Desks) -> None:
    """All that waits for a thread is done."""
    assert desks.threads.held is not None
    while desks.threads.held:
        desks.threads.held.pop(0)()
        desks.clock.advance(10)


def test_trouble_of_the_store_costs_no_login() -> None:
    desks = Desks()
    desks.kept.trouble = StoreUnavailable()
    assert desks.say("alice", b"secret") == "in alice"
    assert desks.say("alice", b"x") == "WRONG_PASSWORD"
    desks.kept.trouble = None
    desks.clock.advance(61)
    assert desks.say("alice", b"secret") == "in alice"
    assert desks.kept.rows


def test_reasons_are_noted_by_person_and_repeats_are_not() -> None:
    desks = Desks()
    for _ in range(3):
        desks.say("a.smith@example.test", b"x", ABROAD, door="pop3")
    desks.say("mallory", b"x")
    ((whose, refusal),) = desks.kept.noted
    assert whose == desks.alice.account.account_id
    assert refusal.reason is LoginReason.WRONG_PASSWORD
    assert (refusal.protocol, refusal.peer_ip) == ("pop3", ABROAD)


def test_no_order_of_events_lets_an_old_password_outlive_its_refusal() -> None:
    """Random logins in two processes: whatever the directory has refused since it was last right
    lets nobody in during an outage."""
    for seed in range(30):
        dice = random.Random(seed)
        desks = Desks(asked_per_person=60, bounds=Bounds(10_000, 100_000, 200))
        desks.directory.lockout = Lockout(0, 0)
        refused: set[bytes] = set()
        passwords = [b"one", b"two", b"three"]
        desks.alice.password = b"one"
        for _ in range(40):
            password = dice.choice(passwords)
            if dice.random() < 0.2:
                desks.alice.password = dice.choice(passwords)
                desks.alice.changed = str(dice.random())
            desks.clock.advance(dice.choice([1, 11, 70, 400]))
            said = desks.say("alice", password, "127.0.0.1", process=dice.randrange(2))
            if said == "in alice" and password == desks.alice.password:
                refused.discard(password)
            elif said == "WRONG_PASSWORD":
                refused.add(password)
        desks.clock.advance(100)
        desks.be_down()
        for password in refused:
            for process in (0, 1):
                assert not desks.say("alice", password, "127.0.0.1", process=process).startswith(
                    "in"
                )


def test_only_the_budget_of_a_person_counts_as_no_verdict() -> None:
    desks = used()
    desks.be_down(LoginsPaused())
    assert desks.say("alice", b"secret") == "in alice"
