"""One attempt, seen from the queue: outcomes for every way a server can behave."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import TCPTimedOutError

from gateway.core.address import Address
from gateway.core.errors import StoreDamaged
from gateway.core.queue import Outcome, Verdict
from gateway.delivery.targets import NoRoute
from tests.support.remote_world import (
    DEFERRED,
    DELIVERED,
    FAILED,
    LOCAL_HEADER,
    MESSAGE,
    WIRE,
    Source,
    World,
)
from tests.support.scripted_server import CLOSE, HANG, Script


def test_a_message_arrives_without_its_local_header_and_with_whole_line_ends() -> None:
    world = World()
    via = "mx1.y.example[192.0.2.1]:25"
    assert world.one() == Outcome(0, DELIVERED, "2.0.0", "250 ok", "mx1.y.example", via=via)
    assert world.mx1.bodies == [WIRE]
    assert world.mx1.lines == [
        "EHLO mail.x.example",
        f"MAIL FROM:<a@x.example> SIZE={len(MESSAGE)}",
        "RCPT TO:<b@y.example>",
        "DATA",
        ".",
        "QUIT",
    ]
    assert world.network.tried == [("192.0.2.1", 25)]


def test_the_null_sender_is_written_as_such() -> None:
    world = World()
    world.one(sender=None)
    assert world.mx1.lines[1].startswith("MAIL FROM:<> ")


def test_every_recipient_gets_exactly_one_outcome() -> None:
    world = World()
    world.mx1.replies = {
        "RCPT TO:<b@y.example>": b"550 5.1.1 no\r\n",
        "RCPT TO:<c@y.example>": b"450 4.2.0 grey\r\n",
    }
    outcomes = world.attempt("a@y.example", "b@y.example", "c@y.example", "d\r\nx@y.example")
    assert [(o.verdict, o.status) for o in outcomes] == [
        (DELIVERED, "2.0.0"),
        (FAILED, "5.1.1"),
        (DEFERRED, "4.2.0"),
        (FAILED, "5.1.3"),
    ]
    assert [o.number for o in outcomes] == [0, 1, 2, 3]
    assert world.network.tried == [("192.0.2.1", 25)]


def test_S8_an_envelope_that_could_inject_never_gets_a_connection() -> None:
    world = World()
    outcome = world.one(sender=Address("a>\r\nRCPT TO:<evil", "x.example"))
    assert (outcome.verdict, outcome.status) == (FAILED, "5.1.7")
    assert world.network.tried == []


@pytest.mark.parametrize(
    "change",
    [
        {"greeting": b"421 busy\r\n"},
        {"greeting": b"450 busy\r\n"},
        {"greeting": b"554 no\r\n"},
        {"greeting": CLOSE},
        {"greeting": HANG},
        {"greeting": b"junk\r\n"},
        {"ehlo": b"421 busy\r\n"},
        {"ehlo": CLOSE},
        {"ehlo": HANG},
        {"replies": {"MAIL": b"451 busy\r\n"}},
        {"replies": {"MAIL": CLOSE}},
        {"ehlo": b"250 slow\r\n", "replies": {"RCPT": HANG}},
        {"replies": {"RCPT": b"421 busy\r\n"}},
        {"replies": {"DATA": CLOSE}},
        {"replies": {"DATA": HANG}},
    ],
    ids=str,
)
def test_a_host_that_cannot_take_it_makes_room_for_the_next(change: dict[str, Any]) -> None:
    world = World()
    world.mx1 = world.network.add("192.0.2.1", Script(**change))
    outcome = world.one()
    assert (outcome.verdict, outcome.remote) == (DELIVERED, "mx2.y.example")
    assert world.mx2.bodies == [WIRE]
    assert world.mx1.bodies == []


def test_no_connection_makes_room_for_the_next_host_and_the_last_word_is_told() -> None:
    world = World()
    del world.network.scripts["192.0.2.1"]
    assert world.one().verdict is DELIVERED
    world.network.problems["192.0.2.2"] = TCPTimedOutError()
    del world.network.scripts["192.0.2.2"]
    outcome = world.one()
    assert (outcome.verdict, outcome.status, outcome.remote) == (DEFERRED, "4.4.1", "")
    assert outcome.reply == "no connection to mx2.y.example[192.0.2.2]:25: no answer in time"


def test_hosts_that_all_take_no_mail_fail_and_one_that_may_defers() -> None:
    world = World()
    world.mx1.greeting = world.mx2.greeting = b"521 5.3.2 this host takes no mail\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.reply) == (FAILED, "521 5.3.2 this host takes no mail")
    world.mx1.greeting = b"450 later\r\n"
    assert world.one().verdict is DEFERRED


def test_a_greeting_that_refuses_us_leaves_the_mail_waiting() -> None:
    world = World()
    world.mx1.greeting = world.mx2.greeting = b"554 5.7.1 we do not like you\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.3.2")
    assert outcome.reply == "554 5.7.1 we do not like you"


def test_what_a_host_said_is_told_rather_than_that_another_is_down() -> None:
    world = World()
    world.mx1.greeting = b"450 4.3.2 busy\r\n"
    del world.network.scripts["192.0.2.2"]
    assert world.one().reply == "450 4.3.2 busy"


def test_a_refused_sender_is_final_though_another_host_was_down() -> None:
    world = World()
    del world.network.scripts["192.0.2.1"]
    world.mx2.replies["MAIL"] = b"550 5.7.1 blocked\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.reply) == (FAILED, "550 5.7.1 blocked")
    assert outcome.remote == "mx2.y.example"


@pytest.mark.parametrize(
    "reply, verdict",
    [(b"554 5.7.1 spam\r\n", FAILED), (b"451 later\r\n", DEFERRED)],
)
def test_a_refusal_after_the_dot_is_final_for_this_attempt(reply: bytes, verdict: Verdict) -> None:
    world = World()
    world.mx1.replies["."] = reply
    assert world.one().verdict is verdict
    assert world.mx2.lines == []


@pytest.mark.parametrize("reply", [CLOSE, HANG, b"421 bye\r\n"])
def test_D5_no_answer_to_the_dot_defers(reply: bytes) -> None:
    world = World()
    world.mx1.replies["."] = reply
    outcome = world.one()
    assert outcome.verdict is DEFERRED
    assert len(world.mx1.bodies) == 1 and world.mx2.lines == []


def test_a_connection_lost_in_the_message_defers() -> None:
    world = World(source=Source(LOCAL_HEADER + b"x" * 300_000))
    world.mx1.close_in_body = True
    assert world.one().verdict is DEFERRED
    assert world.mx2.lines == []


def test_a_silent_server_costs_its_time_and_no_more() -> None:
    world = World()
    world.mx1.greeting = HANG
    world.one()
    assert 300 <= world.clock.seconds() < 400
    assert world.mx1.connections[0].aborted


def test_N1_dripping_octets_do_not_move_the_deadline() -> None:
    world = World()
    world.mx1.greeting = HANG
    deferred = world.start()
    for _ in range(61):
        transport = world.mx1.connections[0]
        if transport.open:
            transport.protocol.dataReceived(b"2")
        world.clock.advance(5)
    assert not world.mx1.connections[0].open
    world.clock.pump([0] * 20)
    assert deferred.called


@pytest.mark.parametrize("where", ["RCPT", "DATA", "."])
def test_N1_dripping_replies_moves_the_deadline_only_so_far(where: str) -> None:
    world = World()
    many = [f"r{number}@y.example" for number in range(50)]
    world.mx1.replies[where] = HANG
    world.mx2.greeting = CLOSE
    deferred = world.start(*many)
    world.clock.pump([0] * 10)
    for _ in range(60):
        transport = world.mx1.connections[0]
        if transport.open:
            transport.protocol.dataReceived(b"250-still\r\n" if where == "." else b"250 ok\r\n")
        world.clock.advance(60)
    world.clock.pump([0] * 20)
    assert deferred.called and not world.mx1.connections[0].open


@pytest.mark.parametrize("problem_from", [0, 70_000])
@pytest.mark.parametrize("problem", [StoreDamaged(), OSError("disk"), CancelledError()])
def test_an_unreadable_message_is_never_completed(problem: Exception, problem_from: int) -> None:
    source = Source(LOCAL_HEADER + b"x" * 200_000)
    source.problem, source.problem_from = problem, problem_from
    world = World(source=source)
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (DEFERRED, "4.3.0")
    assert not world.mx1.connections[0].written.endswith(b".\r\n")
    assert world.mx1.bodies == [] and world.mx2.lines == []


def test_a_message_shorter_than_recorded_is_never_completed() -> None:
    world = World()
    world.source.content = LOCAL_HEADER + b"x" * 10
    for size in (99, 100_000):
        assert world.one(size=size).verdict is DEFERRED
    assert world.mx1.bodies == [] and world.mx2.bodies == []


def test_a_slow_reader_pauses_the_reading_of_the_store() -> None:
    source = Source(LOCAL_HEADER + b"x" * 1_000_000)
    world = World(source=source)
    world.start()
    while world.mx1.connections[0].producer is None:
        world.mx1.replies["."] = HANG
        # Block at the moment the body starts.
        world.mx1.connections[0].registerProducer = _blocking(world)  # type: ignore[method-assign]
        world.clock.advance(0)
    world.clock.pump([0] * 20)
    reads = source.reads
    assert reads == 1
    world.mx1.connections[0].producer.resumeProducing()
    world.clock.pump([0] * 20)
    assert source.reads > 10


def _blocking(world: World) -> Any:
    def register(producer: Any, streaming: bool) -> None:
        world.mx1.connections[0].producer = producer
        producer.pauseProducing()

    return register


# -- routes


@pytest.mark.parametrize("verdict, status", [(FAILED, "5.1.2"), (DEFERRED, "4.4.3")])
def test_what_routes_say_becomes_outcomes(verdict: Verdict, status: str) -> None:
    world = World()
    world.routes.table["y.example"] = NoRoute(verdict, status, "no way", unreachable=True)
    outcome = world.one()
    assert (outcome.verdict, outcome.status, outcome.reply) == (verdict, status, "no way")
    assert world.network.tried == []


def test_S34_a_host_with_our_name_is_a_loop() -> None:
    world = World()
    world.mx1.ehlo = b"250 mail.x.example\r\n"
    outcome = world.one()
    assert (outcome.verdict, outcome.status) == (FAILED, "5.4.6")


# -- stopping


@pytest.mark.parametrize("hang_at", ["greeting", "."])
def test_breaking_off_closes_the_connection(hang_at: str) -> None:
    world = World()
    if hang_at == "greeting":
        world.mx1.greeting = HANG
    else:
        world.mx1.replies[hang_at] = HANG
    deferred = world.start()
    world.clock.pump([0] * 30)
    deferred.cancel()
    failures: list[Any] = []
    deferred.addErrback(failures.append)
    assert failures[0].check(CancelledError)
    world.clock.pump([0] * 5)
    assert not world.mx1.connections[0].open
    assert world.clock.getDelayedCalls() == [] and world.mx2.lines == []
