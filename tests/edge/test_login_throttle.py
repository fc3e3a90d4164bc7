"""What guessing costs at each door and with each mechanism (SECURITY A5-A8)."""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

import pytest

from gateway.auth.login_memory import Bounds, LoginMemory
from gateway.auth.mechanisms import NAMES
from gateway.auth.throttle import LoginThrottle
from gateway.core.errors import DirectoryUnavailable
from gateway.core.shared_counters import SLOTS, SharedCounters
from gateway.core.shared_marks import WORDS, SharedMarks
from tests.auth.worlds import FULL
from tests.edge.login_doors import CHANNEL, DOORS, Answer, Client, LoginBench, log_in

every_door = pytest.mark.parametrize("door", DOORS)
every_mechanism = pytest.mark.parametrize("mechanism", NAMES)
GUESSED = [name for name in NAMES if name not in ("EXTERNAL", "OAUTHBEARER", "XOAUTH2")]
ROOMY = Bounds(1000, 10_000)


@pytest.fixture(autouse=True)
def channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transports in memory have no TLS to ask."""
    monkeypatch.setattr("gateway.edge.login.channel_of", lambda transport: CHANNEL)


class World:
    """All doors of one gateway."""

    def __init__(self, bounds: Bounds = ROOMY) -> None:
        self.benches: dict[str, LoginBench] = {}

        def now() -> float:
            return max(bench.clock.seconds() for bench in self.benches.values())

        tables = [array("Q", bytes(8 * WORDS)) for _ in range(3)]
        marks = (SharedMarks(table, b"k" * 16, now) for table in tables)
        counters = SharedCounters(array("d", bytes(8 * SLOTS)), b"k" * 16, now)
        means = replace(FULL, throttle=LoginThrottle(bounds, LoginMemory(counters, *marks)))
        self.benches |= {door: LoginBench(door, means=means) for door in DOORS}

    def connect(self, door: str, ip: str = "") -> Client:
        client = self.benches[door].connect()
        if ip:
            client.connection.peer_ip = ip
        return client

    def asked(self) -> int:
        return sum(len(bench.checker.asked) for bench in self.benches.values())


def end(client: Client, answer: Answer) -> Answer:
    """Of a login that may be answered late."""
    if answer.kind == "nothing":
        client.bench.clock.advance(1.1)
        answer = client.answer(client.read())
    if answer.kind == "more" and b"status" in answer.challenge:
        answer = client.line(b"\x01")
    return answer


def plain(client: Client, login: bytes, password: bytes) -> Answer:
    return client.auth("PLAIN", b"\0%b\0%b" % (login, password))


def test_A8_a_wrong_password_is_asked_about_once_at_all_doors() -> None:
    world = World()
    for door in DOORS:
        client = world.connect(door)
        assert end(client, plain(client, b"alice", b"x")).kind == "wrong"
        client.auth("LOGIN")
        client.line(b" ALICE")
        assert end(client, client.line(b"x")).kind == "wrong"
    assert world.asked() == 1
    for door in DOORS:
        assert log_in(world.connect(door), "PLAIN").kind == "in"


def test_A8_also_by_the_commands_without_sasl() -> None:
    world = World()
    imap, pop3 = world.connect("imap"), world.connect("pop3")
    for _ in range(2):
        assert end(imap, imap.answer(imap.say(b"a LOGIN alice x"))).kind == "wrong"
        pop3.say(b"USER alice")
        assert end(pop3, pop3.answer(pop3.say(b"PASS x"))).kind == "wrong"
    assert world.asked() == 1
    assert imap.answer(imap.say(b"a LOGIN alice secret")).kind == "in"


@every_door
def test_A6_remembered_unknown_and_wrong_look_alike(door: str) -> None:
    said = set()
    lately = World()
    before = lately.connect(door)
    assert end(before, plain(before, b"alice", b"x")).kind == "wrong"
    for world, login in ((lately, b"alice"), (World(), b"alice"), (World(), b"nobody")):
        client = world.connect(door)
        assert plain(client, login, b"x").kind == "nothing"
        octets = client.later().octets  # not before a second is over, and then at once
        said.add(octets.partition(b" [")[0] if door == "submission" else octets)
    assert len(said) == 1


@every_door
@every_mechanism
def test_A7_an_address_over_its_limit_is_sent_away_before_anything(
    door: str, mechanism: str
) -> None:
    world = World(Bounds(2, 50))
    for n in range(2):
        client = world.connect(door)
        assert end(client, plain(client, b"nobody%d" % n, b"x")).kind == "wrong"
    asked = world.asked()
    client = world.connect(door)
    command = b"a AUTHENTICATE " if door == "imap" else b"AUTH "
    said = client.say(command + mechanism.encode())
    expected = {
        "submission": b"421 4.7.0 too many failed logins from your address",
        "pop3": b"-ERR [SYS/TEMP] too many failed logins from your address",
        "imap": b"a NO [UNAVAILABLE] Try again later\r\n* BYE Too many failed logins",
    }
    assert said.lower().startswith(expected[door].lower()), said
    assert client.closed() and world.asked() == asked
    assert log_in(world.connect(door, "198.51.100.7"), "PLAIN").kind == "in"


@every_door
def test_A7_also_without_sasl(door: str) -> None:
    world = World(Bounds(1, 50))
    client = world.connect(door)
    assert end(client, plain(client, b"nobody", b"x")).kind == "wrong"
    if door == "imap":
        assert client.say(b"a LOGIN alice secret").startswith(b"a NO [UNAVAILABLE]")
    elif door == "pop3":
        client.say(b"USER alice")
        assert client.say(b"PASS secret").startswith(b"-ERR [SYS/TEMP]")
    else:
        assert client.say(b"AUTH LOGIN").startswith(b"421 ")
    assert client.closed()


@every_door
@pytest.mark.parametrize("mechanism", GUESSED)
def test_A7_no_mechanism_tells_strangers_what_is_right_once_there_were_too_many(
    door: str, mechanism: str
) -> None:
    world = World()
    for n in range(4):
        client = world.connect(door, f"198.51.{n}.1")
        # Each a password of its own, to each mechanism its proof.
        guess = log_in(client, mechanism, right=False) if mechanism not in (
            "PLAIN", "LOGIN",
        ) else plain(client, b"alice", b"x%d" % n)  # fmt: skip
        assert end(client, guess).kind == "wrong"
    client = world.connect(door, "203.0.113.5")
    kinds = []
    for right in (True, False):
        if mechanism.startswith("SCRAM"):
            answer = client.auth(mechanism, _first_of(mechanism))
        else:
            answer = log_in(client, mechanism, right=right)
        assert answer.kind == "nothing", "told as late as a wrong one"
        kinds.append(end(client, answer).kind)
    assert kinds == ["later", "later"]


def _first_of(mechanism: str) -> bytes:
    header = b"p=tls-exporter,," if mechanism.endswith("PLUS") else b"n,,"
    return header + b"n=alice,r=abcdef"


@every_door
def test_A7_a_person_who_is_known_there_gets_in_all_the_same(door: str) -> None:
    world = World()
    first = world.connect(door, "203.0.113.5")
    assert log_in(first, "PLAIN").kind == "in"
    first.connection.connectionLost()
    for n in range(5):
        client = world.connect(door, f"198.51.{n}.1")
        end(client, plain(client, b"alice", b"x%d" % n))
    for mechanism in NAMES:
        client = world.connect(door, "203.0.113.6")
        assert log_in(client, mechanism).kind == "in"
        client.connection.connectionLost()


@every_door
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5"])
def test_A7_an_exchange_that_was_cancelled_used_up_nothing(door: str, mechanism: str) -> None:
    world = World()
    for _ in range(6):
        client = world.connect(door)
        if mechanism == "SCRAM-SHA-256":
            assert client.auth(mechanism, _first_of(mechanism)).kind == "more"
        else:
            assert client.auth(mechanism).kind == "more"
        assert client.answer(client.say(b"*")).kind == "bad"
    assert log_in(world.connect(door), mechanism).kind == "in"


@every_door
def test_A5_trouble_counts_for_nothing(door: str) -> None:
    world = World(Bounds(2, 10))
    bench = world.benches[door]
    bench.checker.fails = DirectoryUnavailable()
    client = world.connect(door)
    for _ in range(12):
        assert plain(client, b"alice", b"secret").kind == "later"
    bench.checker.fails = None
    assert plain(client, b"alice", b"secret").kind == "in"


@every_door
def test_a_login_that_fails_often_is_answered_later(door: str) -> None:
    world = World()
    waits = []
    for n in range(8):
        client = world.connect(door, "127.0.0.1")
        assert plain(client, b"alice", b"x%d" % n).kind == "nothing"
        clock: Any = client.bench.clock
        waited = 0
        while not (said := client.read()):
            clock.advance(1)
            waited += 1
        assert client.answer(said).kind == "wrong"
        waits.append(waited)
    assert waits == [1, 1, 1, 1, 2, 4, 8, 8]
    assert log_in(world.connect(door, "127.0.0.1"), "PLAIN").kind == "in", "at once"
