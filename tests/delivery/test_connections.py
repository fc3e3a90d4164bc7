"""Connections that are kept for more mail: whose, how long, and when they turn out dead."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    NoRouteError,
    TimeoutError,
)

from gateway.core.queue import Outcome, Trouble
from gateway.delivery.connections import ConnectionLimits
from gateway.delivery.targets import Target
from tests.support.remote_world import (
    DEFERRED,
    DELIVERED,
    MX1,
    MX2,
    RELAY,
    SOCKET,
    WIRE,
    Source,
    World,
)
from tests.support.scripted_server import CHUNKING_EHLO, CLOSE, HANG, PLAIN_EHLO, Script


def test_the_next_message_uses_the_connection_at_hand() -> None:
    world = World()
    for _ in range(3):
        assert world.send()[0].verdict is DELIVERED
    assert len(world.mx1.connections) == 1
    assert world.mx1.lines.count("EHLO mail.x.example") == 1 and "RSET" not in world.mx1.lines
    assert world.mx1.bodies == [WIRE] * 3
    world.part()
    assert world.mx1.lines[-1] == "QUIT" and not world.mx1.connections[0].open


def test_domains_with_the_same_host_share_its_connection() -> None:
    world = World()
    world.routes.table["z.example"] = (replace(MX1, preference=5),)
    world.send()
    world.send(destination="z.example")
    assert len(world.mx1.connections) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"host": "other.example"},
        {"port": 26},
        {"protocol": "lmtp"},
        {"named": True},
    ],
    ids=str,
)
def test_what_differs_gets_a_connection_of_its_own(change: dict[str, object]) -> None:
    world = World()
    world.routes.table["z.example"] = (replace(MX1, **change),)  # type: ignore[arg-type]
    world.send()
    world.send(destination="z.example")
    assert len(world.mx1.connections) == 2


def test_an_open_connection_to_one_of_the_best_hosts_is_preferred() -> None:
    world = World()
    even = (replace(MX1, preference=1), replace(MX2, preference=1))
    world.routes.table["y.example"] = even
    world.send()
    world.routes.table["y.example"] = even[::-1]
    world.send()
    assert (len(world.mx1.bodies), len(world.mx2.bodies)) == (2, 0)
    world.routes.table["y.example"] = (replace(MX2, preference=0), MX1)
    world.send()
    assert len(world.mx2.bodies) == 1, "a better host comes before an open connection"


def test_a_connection_serves_so_many_messages() -> None:
    world = World(limits=ConnectionLimits(messages=2))
    for _ in range(5):
        world.send()
    assert len(world.mx1.connections) == 3 and world.mx1.lines.count("QUIT") == 2


def test_a_connection_serves_so_long() -> None:
    world = World(limits=ConnectionLimits(age_s=8))
    for _ in range(4):
        world.send()
        world.clock.advance(4)
    assert len(world.mx1.connections) == 2 and world.mx1.lines.count("QUIT") == 1


def test_RFC9422_the_servers_own_limit_of_messages_counts() -> None:
    world = World()
    world.mx1.ehlo = b"250-mx\r\n250 LIMITS MAILMAX=2\r\n"
    for _ in range(4):
        world.send()
    assert len(world.mx1.connections) == 2


def test_only_so_many_are_kept() -> None:
    world = World(limits=ConnectionLimits(idle=2, idle_per_target=1))
    together = [world.start() for _ in range(3)]
    world.clock.pump([0] * 20)
    assert all(each.called for each in together)
    assert sum(each.open for each in world.mx1.connections) == 1
    world.send(destination="relay")
    world.routes.table["z.example"] = (replace(MX2, host="z"),)
    world.send(destination="z.example")
    world.clock.pump([0] * 5)
    assert not any(each.open for each in world.mx1.connections), "the longest idle one goes"
    assert world.relay.connections[0].open and world.mx2.connections[0].open


@pytest.mark.parametrize("said", [b"421 4.4.2 timeout\r\n", b"250 ok\r\n", b"2"])
def test_S26_an_idle_connection_on_which_something_is_said_is_closed(said: bytes) -> None:
    world = World()
    world.send()
    world.mx1.connections[0].say(said)
    world.clock.pump([0] * 5)
    assert not world.mx1.connections[0].open
    assert world.send()[0].verdict is DELIVERED and len(world.mx1.connections) == 2


def test_an_idle_connection_that_the_server_closes_is_forgotten() -> None:
    world = World()
    world.send()
    world.mx1.connections[0].say(CLOSE)
    world.clock.pump([0] * 5)
    assert world.send()[0].verdict is DELIVERED and len(world.mx1.connections) == 2


@pytest.mark.parametrize("death", [CLOSE, b"421 4.4.2 bye\r\n", HANG])
@pytest.mark.parametrize("ehlo", [PLAIN_EHLO, CHUNKING_EHLO])
def test_a_kept_connection_that_is_dead_is_replaced_once(death: bytes, ehlo: bytes) -> None:
    world = World()
    world.mx1.ehlo = ehlo
    world.send()
    world.clock.advance(2)
    world.mx1.replies["MAIL"] = [death, b"250 ok\r\n"]
    (outcome,) = world.send()
    assert outcome.verdict is DELIVERED
    assert len(world.mx1.connections) == 2 and world.mx2.lines == []
    world.clock.advance(2)
    world.mx1.replies["MAIL"] = death
    (outcome,) = world.send()
    assert (outcome.verdict, outcome.remote) == (DELIVERED, "mx2.y.example")
    assert len(world.mx1.connections) == 3, "the new one is no better, so the next host it is"


@pytest.mark.parametrize("death", [CLOSE, HANG])
def test_D5_a_message_that_went_ahead_of_the_answers_is_not_sent_at_once_again(
    death: bytes,
) -> None:
    world = World()
    world.mx1.ehlo = CHUNKING_EHLO
    world.send()
    world.mx1.replies["MAIL"] = death
    (outcome,) = world.send()
    assert outcome.verdict is DEFERRED
    assert len(world.mx1.connections) == 1 and world.mx2.lines == []


@pytest.mark.parametrize("death", [CLOSE, HANG])
def test_D5_a_kept_connection_lost_after_the_dot_is_not_replaced(death: bytes) -> None:
    world = World()
    world.send()
    world.mx1.replies["."] = death
    (outcome,) = world.send()
    assert outcome.verdict is DEFERRED
    assert len(world.mx1.connections) == 1 and world.mx2.lines == []


def test_stopping_says_good_bye_to_all_and_waits_for_the_answers() -> None:
    world = World()
    world.send()
    world.send(destination="relay")
    stopped: list[None] = []
    Deferred.fromCoroutine(world.delivery.stop()).addCallback(stopped.append)
    assert stopped == []
    world.clock.pump([0] * 5)
    assert stopped == [None] and world.clock.getDelayedCalls() == []
    assert world.mx1.lines[-1] == world.relay.lines[-1] == "QUIT"
    world.send()
    world.clock.pump([0] * 5)
    assert world.mx1.lines[-1] == "QUIT", "nothing is kept any more"


def test_stopping_does_not_wait_for_who_never_answers() -> None:
    world = World()
    world.mx1.replies["QUIT"] = HANG
    world.send()
    stopped: Deferred[None] = Deferred.fromCoroutine(world.delivery.stop())
    world.clock.advance(10)
    world.clock.pump([0] * 5)
    assert stopped.called and not world.mx1.connections[0].open
    assert world.clock.getDelayedCalls() == []


# -- BDAT


def test_a_server_that_offers_chunking_gets_bdat() -> None:
    world = World()
    world.mx1.ehlo = CHUNKING_EHLO
    world.send()
    world.send()
    unstuffed = WIRE.replace(b"..dot", b".dot")
    assert world.mx1.bodies == [unstuffed, unstuffed]
    assert f"BDAT {len(unstuffed)} LAST" in world.mx1.lines and "DATA" not in world.mx1.lines


def test_a_server_that_offers_chunking_and_breaks_it_gets_data_for_a_while() -> None:
    world = World()
    world.mx1.ehlo, world.mx1.replies["BDAT"] = CHUNKING_EHLO, b"502 what\r\n"
    assert world.send()[0].verdict is DELIVERED
    assert world.mx1.bodies[-1] == WIRE and len(world.mx1.connections) == 2
    assert world.send()[0].verdict is DELIVERED
    assert world.mx1.lines.count("DATA") == 2
    assert sum(line.startswith("BDAT") for line in world.mx1.lines) == 1


def test_a_long_message_goes_by_data() -> None:
    world = World(source=Source(b"Return-Path: <a@x.example>\r\n" + b"x" * 70_000))
    world.mx1.ehlo = CHUNKING_EHLO
    assert world.send()[0].verdict is DELIVERED and "DATA" in world.mx1.lines


# -- LMTP, and how many recipients


def test_lmtp_has_an_outcome_for_each_recipient() -> None:
    world = World()
    script = world.network.add("192.0.2.9", Script(ehlo=b"250-x\r\n250 PIPELINING\r\n"))
    script.replies["."] = b"250 2.1.5 in\r\n552 5.2.2 full\r\n"
    for _ in range(2):
        outcomes = world.send("b@y.example", "c@y.example", destination="lmtp")
        assert [each.status for each in outcomes] == ["2.1.5", "5.2.2"]
    assert script.lines[0] == "LHLO mail.x.example" and len(script.connections) == 1


def test_lmtp_goes_over_a_socket_of_this_machine() -> None:
    world = World()
    offer = b"250-x\r\n250-STARTTLS\r\n250 PIPELINING\r\n"
    script = world.network.add(SOCKET, Script(ehlo=offer))
    script.replies["."] = b"250 2.1.5 in\r\n552 5.2.2 full\r\n"
    for _ in range(2):
        outcomes = world.send("b@y.example", "c@y.example", destination="socket")
        assert [each.status for each in outcomes] == ["2.1.5", "5.2.2"]
        assert {each.via for each in outcomes} == {f"localhost[{SOCKET}]"}
    assert script.lines[0] == "LHLO mail.x.example" and len(script.connections) == 1
    assert "STARTTLS" not in script.lines


@pytest.mark.parametrize(
    "problem, words",
    [
        (ConnectError(errno.ENOENT, "x"), "there is no such socket"),
        (ConnectError(errno.ENOTDIR, "x"), "there is no such socket"),
        (ConnectError(errno.EACCES, "x"), "the gateway's user may not connect to this socket"),
        (ConnectError(errno.EPROTOTYPE, "x"), "EPROTOTYPE"),
        (ConnectError(), "too many connections wait on this socket"),
        (ConnectionRefusedError(), "nobody listens on this socket"),
        (TimeoutError(), "no answer in time"),
    ],
)
def test_a_socket_that_cannot_be_had_lets_mail_wait_and_names_its_path(
    problem: Exception, words: str
) -> None:
    world = World()
    world.network.problems[SOCKET] = problem
    (outcome,) = world.send(destination="socket")
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.4.1")
    assert outcome.trouble is Trouble.DEAD
    assert outcome.reply == f"no connection to localhost[{SOCKET}]: {words}"
    world.network.add(SOCKET, Script(greeting=HANG))
    assert world.send(destination="socket")[0].verdict is DEFERRED
    assert not world.reachability.comes_last(""), "whatever has no address is not remembered by it"


def again(outcomes: list[Outcome]) -> list[bool]:
    return [each.again for each in outcomes]


def test_RFC9422_no_more_recipients_are_named_than_the_server_takes() -> None:
    world = World()
    world.mx1.ehlo = PLAIN_EHLO.replace(b"250 SIZE 0", b"250 LIMITS RCPTMAX=2")
    outcomes = world.send("a@y.example", "b@y.example", "c@y.example")
    assert again(outcomes) == [False, False, True]
    assert outcomes[2].verdict is DEFERRED
    assert sum(line.startswith("RCPT") for line in world.mx1.lines) == 2
    (rest,) = world.send("c@y.example")
    assert rest.verdict is DELIVERED and len(world.mx1.connections) == 1


def test_RFC9422_domains_are_counted_too() -> None:
    world = World()
    world.relay.ehlo = b"250-x\r\n250 LIMITS RCPTDOMAINMAX=1\r\n"
    outcomes = world.send("a@y.example", "b@z.example", "c@y.example", destination="relay")
    assert again(outcomes) == [False, True, False]


def test_limits_of_a_server_that_fails_do_not_keep_recipients_from_the_next() -> None:
    world = World()
    world.mx1.ehlo = PLAIN_EHLO.replace(b"250 SIZE 0", b"250 LIMITS RCPTMAX=1")
    world.mx1.replies["DATA"] = CLOSE
    outcomes = world.send("a@y.example", "b@y.example")
    assert [each.verdict for each in outcomes] == [DELIVERED, DELIVERED]
    assert len(world.mx2.bodies) == 1


def test_who_hears_too_many_recipients_is_sent_next() -> None:
    world = World()
    world.mx1.replies["RCPT TO:<c@y.example>"] = b"452 4.5.3 too many recipients\r\n"
    outcomes = world.send("b@y.example", "c@y.example")
    assert again(outcomes) == [False, True]
    (alone,) = world.send("c@y.example")
    assert not alone.again and alone.verdict is DEFERRED, "nobody was taken, so it is no limit"


def test_the_first_target_may_be_out_of_reach_of_the_table() -> None:
    world = World()
    world.routes.table["y.example"] = (Target("gone.example", "192.0.2.99"), RELAY)
    (outcome,) = world.send()
    assert (outcome.verdict, outcome.remote) == (DELIVERED, "relay.example")


@pytest.mark.parametrize("greeting", [None, CLOSE, HANG])
def test_what_does_not_answer_is_remembered_till_it_does(greeting: bytes | None) -> None:
    world = World()
    if greeting is None:
        del world.network.scripts["192.0.2.1"]
    else:
        world.mx1.greeting = greeting
    assert world.send()[0].verdict is DELIVERED
    assert world.reachability.comes_last("192.0.2.1")
    assert not world.reachability.comes_last("192.0.2.2")
    world.network.add("192.0.2.1")
    world.send()
    assert not world.reachability.comes_last("192.0.2.1")


def test_an_address_family_that_leads_nowhere_is_remembered() -> None:
    world = World()
    world.network.problems["2001:db8::1"] = NoRouteError()
    world.routes.table["y.example"] = (replace(MX1, ip="2001:db8::1"), MX2)
    world.send()
    assert world.reachability.comes_last("2001:db8::2")
    assert not world.reachability.comes_last("192.0.2.1")
