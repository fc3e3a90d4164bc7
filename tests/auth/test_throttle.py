"""What guessing costs (SECURITY A6-A8, L4, L22), on a clock: nothing here asks a real directory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher

from gateway.auth.login_memory import Bounds
from gateway.auth.login_names import counted_name, networks_of, typed_name
from gateway.core.errors import DirectoryUnavailable, TooManyFailures
from tests.auth.throttle_world import ELSEWHERE, FAR, HERE, World

# -- A8


def test_A8_the_same_wrong_password_is_asked_about_once_by_all_processes() -> None:
    world = World()
    for process in (0, 1, 0, 1):
        assert world.say(HERE, "alice", b"x", process=process) == "WrongCredentials"
        assert world.say(FAR, "alice", b"x", process=process) == "WrongCredentials"
    assert world.asked == [("alice", b"x")]
    world.clock.advance(9)
    assert world.say(HERE, "alice", b"x") == "WrongCredentials"
    assert len(world.asked) == 1
    world.clock.advance(2)
    assert world.say(HERE, "alice", b"x") == "WrongCredentials"
    assert len(world.asked) == 2, "it may have become right; who it is decides (person_budget)"


def test_A8_also_for_those_whose_address_is_exempt() -> None:
    world = World()
    for ip in ("127.0.0.1", "::1", "local", "10.1.2.3") * 3:
        assert world.say(ip, "alice", b"x") == "WrongCredentials"
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    "login", ["ALICE", " alice ", "ａlice", "Ａlice@Example.test".partition("@")[0], "alice\u3000"]
)
def test_L4_another_spelling_is_the_same_login(login: str) -> None:
    world = World()
    world.say(HERE, "alice", b"x")
    assert world.say(HERE, login, b"x") == "WrongCredentials"
    assert len(world.asked) == 1


def test_A8_another_password_and_another_login_are_asked_about() -> None:
    world = World()
    world.say(HERE, "alice", b"x")
    world.say(HERE, "bob", b"x")
    world.say(HERE, "alice", b"X")
    assert len(world.asked) == 3
    assert world.say(HERE, "alice", b"secret") == "in"


def test_A8_trouble_is_never_remembered() -> None:
    world = World()
    world.trouble = DirectoryUnavailable()
    for _ in range(20):
        assert world.say(HERE, "alice", b"secret") == "DirectoryUnavailable"
    world.trouble = ValueError("a fault")
    failed: list[Any] = []
    world.begin(HERE, "alice", b"secret").addErrback(failed.append)
    assert failed[0].check(ValueError)
    world.trouble = None
    assert world.say(HERE, "alice", b"secret") == "in"


def test_A8_connections_that_come_at_once_with_one_password_ask_once() -> None:
    """A mail program opens five connections with the password it kept."""
    world = World()
    world.held = Deferred()
    coming = [world.begin(HERE, "alice", b"x", process=n % 2) for n in range(5)]
    world.clock.pump([0.1] * 10)
    assert len(world.asked) == 1
    world.held.callback(None)
    world.clock.advance(0.6)
    assert [world.outcome(each) for each in coming] == ["WrongCredentials"] * 5
    assert len(world.asked) == 1


def test_connections_that_come_at_once_with_the_right_password_get_in() -> None:
    world = World()
    world.held = Deferred()
    coming = [world.begin(HERE, "alice", b"secret", process=n % 2) for n in range(9)]
    world.held.callback(None)
    world.clock.advance(0.6)
    assert [world.outcome(each) for each in coming] == ["in"] * 9


def test_A8_nobody_waits_for_ever_and_no_timer_is_left() -> None:
    world = World()
    world.held = Deferred()
    world.begin(HERE, "alice", b"x")
    waiting, gone = (world.begin(HERE, "alice", b"x") for _ in range(2))
    gone.addErrback(lambda _: None)
    gone.cancel()
    world.clock.pump([0.5] * 40)
    assert world.outcome(waiting) == "LoginsPaused"
    assert not world.clock.getDelayedCalls()


def test_A7_who_hangs_up_has_asked_all_the_same() -> None:
    world = World()
    world.held = Deferred()
    gone = world.begin(HERE, "alice", b"x")
    gone.addErrback(lambda _: None)
    gone.cancel()
    right = world.begin(HERE, "alice", b"secret")
    right.addErrback(lambda _: None)
    right.cancel()
    world.held.callback(None)
    assert world.logouts == 1
    assert world.say(HERE, "alice", b"x") == "WrongCredentials"
    assert len(world.asked) == 2


# -- A7: addresses


def guess(world: World, ip: str, times: int, start: int = 0) -> list[str]:
    """So many logins that are nobody's."""
    return [world.say(ip, f"nobody{start + n}", b"x", process=n % 2) for n in range(times)]


def test_A7_an_address_that_guesses_is_refused_without_asking_anybody() -> None:
    world = World(Bounds(3, 5))
    assert guess(world, HERE, 5) == ["WrongCredentials"] * 3 + ["TooManyFailures"] * 2
    assert len(world.asked) == 3
    for throttle in world.processes:
        with pytest.raises(TooManyFailures):
            throttle.admit(HERE)
        throttle.admit("192.0.2.10")
    assert world.say(HERE, "alice", b"secret") == "TooManyFailures"
    world.clock.advance(60)
    assert guess(world, HERE, 3, 10) == ["WrongCredentials"] * 2 + ["TooManyFailures"]
    world.clock.advance(3600)
    assert guess(world, HERE, 1, 20) == ["TooManyFailures"], "the day's"
    world.clock.advance(86_400)
    assert guess(world, HERE, 1, 30) == ["WrongCredentials"]


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        ([f"192.0.2.{n}" for n in range(64)], 3 * 3),  # /26
        ([f"192.0.{n % 8}.{n}" for n in range(64)], 9 * 3),  # /21
        ([f"2001:db8::{n}" for n in range(64)], 3),  # /64
        ([f"2001:db8:0:{n}::1" for n in range(64)], 3 * 3),  # /48
        ([f"2001:db8:{n}::1" for n in range(64)], 9 * 3),  # /40
        ([f"::ffff:192.0.2.{n}" for n in range(64)], 3 * 3),  # IPv4 all the same
    ],
)
def test_A7_so_are_the_networks_around_it(addresses: list[str], allowed: int) -> None:
    world = World(Bounds(3, 100))
    said = [guess(world, ip, 1, n)[0] for n, ip in enumerate(addresses)]
    assert said == ["WrongCredentials"] * allowed + ["TooManyFailures"] * (64 - allowed)
    assert guess(world, FAR, 1) == ["WrongCredentials"]


def test_A7_neighbours_do_not_shut_out_a_person_who_is_known_there() -> None:
    world = World(Bounds(3, 100))
    assert world.say("192.0.2.200", "alice", b"secret") == "in"
    for n in range(64):
        guess(world, f"192.0.{n % 8}.{n}", 1, n)
    assert guess(world, "192.0.2.201", 1) == ["TooManyFailures"]
    assert world.say("192.0.2.201", "alice", b"secret") == "in"
    assert world.say("192.0.2.201", "bob", b"secret") == "TooManyFailures"


def test_A7_repeats_and_trouble_do_not_count_for_an_address() -> None:
    world = World(Bounds(3, 5))
    for _ in range(50):
        assert world.say(HERE, "alice", b"old password") == "WrongCredentials"
    world.trouble = DirectoryUnavailable()
    for n in range(50):
        assert world.say(HERE, "alice", b"%d" % n) == "DirectoryUnavailable"
    world.trouble = None
    assert world.say(HERE, "alice", b"secret") == "in"


def test_A7_loopback_and_named_networks_are_exempt() -> None:
    world = World(Bounds(3, 5))
    for ip in ("127.0.0.1", "::1", "local", "10.1.2.3"):
        assert guess(world, ip, 20) == ["WrongCredentials"] * 20
        for n in range(20):
            assert world.say(ip, "alice", f"{ip}{n}".encode()) == "WrongCredentials"
        assert world.say(ip, "alice", b"secret") == "in"


def test_A7_failures_that_could_not_be_refused_have_to_be_waited_for() -> None:
    """All of them were on their way before the first was known to be wrong."""
    world = World(Bounds(3, 100))
    world.held = Deferred()
    coming = [world.begin(HERE, f"nobody{n}", b"x") for n in range(9)]
    world.held.callback(None)
    assert {world.outcome(each) for each in coming} == {"WrongCredentials"}
    world.clock.advance(100)
    assert guess(world, HERE, 1, 100) == ["TooManyFailures"]
    world.clock.advance(41)
    assert guess(world, HERE, 1, 100) == ["WrongCredentials"]


# -- A7, L22: a login


def test_L22_a_directory_is_not_asked_beyond_its_lock_out_for_strangers() -> None:
    world = World()
    said = [world.say(f"198.51.{n}.1", "alice", b"%d" % n, process=n % 2) for n in range(40)]
    assert said == ["WrongCredentials"] * 4 + ["LoginsPaused"] * 36
    assert len(world.asked) == 4
    assert world.say(FAR, "alice@example.test", b"secret") == "LoginsPaused"
    assert world.say(FAR, "álice", b"secret") == "LoginsPaused"
    assert world.say("100.64.0.1", "bob", b"secret") == "in"
    # Known to be wrong is known to be wrong.
    assert world.say(FAR, "alice", b"0") == "WrongCredentials"
    world.clock.advance(1799)
    assert world.say(FAR, "alice", b"secret") == "LoginsPaused"
    world.clock.advance(2)
    assert world.say(FAR, "alice", b"secret") == "in"


def test_L22_the_count_ends_half_an_hour_after_the_last_failure_as_in_directories() -> None:
    world = World()
    for n in range(4):
        assert world.say(f"198.51.{n}.1", "alice", b"%d" % n) == "WrongCredentials"
        world.clock.advance(1000)
    assert world.say(FAR, "alice", b"x") == "LoginsPaused"
    world.clock.advance(801)
    assert world.say(FAR, "alice", b"x") == "WrongCredentials"


def test_A7_nobody_is_locked_out_by_name_where_they_are_known() -> None:
    world = World()
    assert world.say(HERE, "alice", b"secret") == "in"
    for n in range(100):
        world.say(f"198.51.{n}.1", "alice", b"%d" % n)
    assert world.say(HERE, "alice", b"secret") == "in"
    assert world.say("192.0.3.77", "Alice@example.test", b"secret") == "in", "the same /21"
    assert world.say(FAR, "alice", b"secret") == "LoginsPaused"
    world.clock.advance(15 * 86_400)
    world.say("198.51.0.1", "alice", b"x")
    assert world.say(FAR, "alice", b"secret") == "in"


def test_A7_a_login_is_not_guessed_at_for_ever_where_it_is_known() -> None:
    world = World(Bounds(10, 50))
    assert world.say(HERE, "alice", b"secret") == "in"
    said = [world.say(f"192.0.2.{n}", "alice", b"%d" % n) for n in range(20)]
    assert said == ["WrongCredentials"] * 10 + ["LoginsPaused"] * 10
    assert world.say(HERE, "bob", b"secret") == "in"
    world.clock.advance(61)
    assert world.say(HERE, "alice", b"secret") == "in"


def test_L22_guesses_at_once_do_not_get_past_the_count() -> None:
    world = World()
    world.held = Deferred()
    coming = [world.begin(f"198.51.{n}.1", "alice", b"%d" % n, process=n % 2) for n in range(30)]
    world.clock.pump([0.1] * 20)
    assert len(world.asked) == 4
    world.held.callback(None)
    world.clock.advance(0.6)
    said = [world.outcome(each) for each in coming]
    assert said == ["WrongCredentials"] * 4 + ["LoginsPaused"] * 26
    assert len(world.asked) == 4


def test_A7_certificates_and_tokens_do_not_use_up_what_a_password_has() -> None:
    world = World()
    for n in range(20):
        assert world.outcome(world.begin(FAR, "alice", b"%d" % n, guessed=False)) == (
            "WrongCredentials"
        )
    assert world.say(ELSEWHERE, "alice", b"secret") == "in"


def test_A6_an_unknown_login_is_treated_as_a_known_one() -> None:
    known, unknown = World(), World()
    known.say(HERE, "alice", b"secret")
    said = [
        [world.say(f"198.51.{n}.1", login, b"%d" % (n // 2)) for n in range(12)]
        for world, login in ((known, "alice"), (unknown, "nobody"))
    ]
    assert said[0] == said[1]
    assert known.processes[0].slower("alice") == unknown.processes[1].slower("nobody")


def test_A7_a_login_that_fails_often_is_answered_later_up_to_a_bound() -> None:
    world = World()
    slower = []
    for n in range(12):
        slower.append(world.processes[n % 2].slower(" ALICE "))
        world.say("127.0.0.1", "alice", b"%d" % n)
    assert slower == [1, 1, 1, 1, 1, 2, 4, 8, 8, 8, 8, 8]
    world.say("127.0.0.1", "alice", b"0")
    assert world.processes[0].slower("bob") == 1
    world.clock.advance(1801)
    assert world.processes[0].slower("alice") == 1


# -- bounds, and what is kept


def test_N2_one_line_for_each_period_and_nothing_of_a_password() -> None:
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(" ".join(f"{key}={value}" for key, value in event.items()))

    observer: Any = note
    globalLogPublisher.addObserver(observer)
    try:
        world = World(Bounds(3, 100))
        guess(world, HERE, 50)
        for n in range(50):
            world.say(f"198.51.{n}.1", "alice\r\n", b"Hidden%d" % n, process=n % 2)
        assert len(lines) == 2, lines
        assert "192.0.2.9/32" in lines[0] and "alice\\r\\n" in lines[1]
        assert "Hidden" not in "".join(lines)
        world.clock.advance(601)
        guess(world, HERE, 50, 50)
        assert len(lines) == 3
    finally:
        globalLogPublisher.removeObserver(observer)


def test_memory_is_bounded_under_random_logins() -> None:
    world = World()

    def grown_by(first: int, last: int) -> int:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(first, last):
            world.asked.clear()
            world.say("203.0.113.7", f"login{n}", b"x")
        return tracemalloc.get_traced_memory()[0] - before

    grown_by(0, 95_000)
    tracemalloc.start()
    grown_by(95_000, 98_000)  # what caches hold is new once
    grown = grown_by(98_000, 100_000)
    tracemalloc.stop()
    assert grown < 40_000, "20 octets a login"
    assert world.say(FAR, "alice", b"secret") == "in"


def test_names_and_networks() -> None:
    assert typed_name("  Ａlice   Smith ") == "alice smith" == typed_name("ALICE SMITH")
    assert typed_name("STRASSE") == typed_name("straße")
    assert len(typed_name("x" * 20_000)) == 1024
    assert counted_name("Àlice@Example.test") == "alice" == counted_name("alice")
    assert counted_name("@example.test") == "@example.test"
    assert networks_of("192.0.2.9") == ("192.0.2.9/32", "192.0.2.0/26", "192.0.0.0/21")
    assert networks_of("2001:db8:1:2::3") == (
        "2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/40",
    )  # fmt: skip
    assert networks_of("local") == ()


def test_A7_a_program_that_repeats_a_wrong_password_all_day_shuts_nobody_out() -> None:
    world = World(Bounds(10, 50))
    for _ in range(288):
        assert world.say(HERE, "alice", b"old password") == "WrongCredentials"
        world.clock.advance(301)
    assert world.say(HERE, "alice", b"secret") == "in", "a repeat is no guess"
    assert world.say(HERE, "bob", b"secret") == "in"
