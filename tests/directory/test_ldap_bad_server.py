"""The LDAP directory against a server that hangs, drips, floods, babbles and goes away."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest
from twisted.internet.defer import CancelledError

from gateway.core.errors import DirectoryUnavailable
from tests.directory.bad_server import (
    BIND,
    BIND_RESPONSE,
    EXTENDED_RESPONSE,
    SEARCH,
    SEARCH_DONE,
    UNBIND,
    BadServer,
    Dialogue,
    Request,
    Script,
    alice,
    ber,
    entry,
    message,
    result,
    serve_alice,
)
from tests.directory.ldap_bench import ALICE, SERVICE_PASSWORD, bench, searching
from tests.support.reactor_pump import ReactorPump


def test_L9_a_stale_connection_is_replaced_once(pump: ReactorPump) -> None:
    def close_after_one(dialogue: Dialogue) -> None:
        dialogue.accept_bind()
        request = dialogue.must_come()
        dialogue.send(alice(request.number), result(request.number, SEARCH_DONE, 0))
        # Close as an idle server does, without a word; the next search meets a dead connection.

    with bench(pump, close_after_one) as (made, server):
        for number in range(1, 4):
            assert made.find() is not None
            pump.until(lambda number=number: len(server.ended) == number)  # type: ignore[misc]
    assert server.connections == 3


def test_L9_a_fresh_connection_that_dies_is_not_tried_for_ever(pump: ReactorPump) -> None:
    def close_at_search(dialogue: Dialogue) -> None:
        dialogue.accept_bind()
        dialogue.next()

    with bench(pump, close_at_search) as (made, server):
        made.unavailable()
    assert server.connections == 1


def test_L9_a_persons_bind_is_never_sent_twice(pump: ReactorPump) -> None:
    def serve(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                if dialogue.connection:
                    return  # the answer to the person's bind is lost
                dialogue.send(result(request.number, BIND_RESPONSE, 0))
            elif request.kind == SEARCH:
                dialogue.send(alice(request.number), result(request.number, SEARCH_DONE, 0))

    with bench(pump, serve, serve) as (made, server):
        made.unavailable()
    assert server.connections == 2


def test_L9_an_idle_connection_is_not_used_again(pump: ReactorPump) -> None:
    with bench(pump, serve_alice) as (made, server):
        made.find()
        made.clock.advance(239)
        made.find()
        assert server.connections == 1
        made.clock.advance(241)
        made.find()
        assert server.connections == 2
        pump.until(lambda: server.ended)
        assert server.kinds(0) == [BIND, SEARCH, SEARCH, UNBIND]


def test_L9_an_idle_connection_is_closed_without_being_asked(pump: ReactorPump) -> None:
    with bench(pump, serve_alice) as (made, server):
        made.find()
        made.clock.advance(240)
        pump.until(lambda: server.ended)
        assert server.kinds(0) == [BIND, SEARCH, UNBIND]


def drip(dialogue: Dialogue) -> None:
    request = dialogue.must_come()
    pause = Event()
    for octet in result(request.number, BIND_RESPONSE, 0) * 100:
        dialogue.send(bytes([octet]))
        pause.wait(0.05)


def hang(dialogue: Dialogue) -> None:
    dialogue.wait_for_end()


def swallow(dialogue: Dialogue) -> None:
    """Take a TLS handshake's first octets and say nothing."""
    dialogue.server.requests.append(Request(0, 0, 0, dialogue.peer.recv(5)))
    while dialogue.peer.recv(4096):
        pass


def test_L10_a_handshake_that_hangs_is_cut_off(pump: ReactorPump) -> None:
    with BadServer(swallow) as server:
        uri = server.uri.replace("ldap:", "ldaps:")
        with bench(pump, swallow, uris=(uri,)) as (made, _):
            pending = pump.start(made.directory.find_by_address(ALICE))
            pump.until(lambda: server.requests)
            assert server.requests[0].octets[:2] == b"\x16\x03"
            made.clock.advance(3)
            with pytest.raises(DirectoryUnavailable):
                pump.wait_for(pending)
            pump.until(lambda: server.ended)


@pytest.mark.parametrize("script", [drip, hang])
def test_F4_L10_a_bind_has_one_deadline_whatever_arrives(pump: ReactorPump, script: Script) -> None:
    with bench(pump, script) as (made, server):
        pending = pump.start(made.directory.find_by_address(ALICE))
        pump.until(lambda: server.requests)
        made.clock.advance(3)
        with pytest.raises(DirectoryUnavailable, match="no answer in"):
            pump.wait_for(pending)
        pump.until(lambda: server.ended)
        assert made.states() == ["down"]


def test_F4_L10_a_search_has_one_deadline(pump: ReactorPump) -> None:
    """The server goes on to answer probes, so that it stays in use."""

    def hang_at_people(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND:
                dialogue.send(result(request.number, BIND_RESPONSE, 0))
            elif b"alice" not in request.octets:
                dialogue.send(entry(request.number, "", {"vendorName": ["bad"]}))
                dialogue.send(result(request.number, SEARCH_DONE, 0))

    with bench(pump, hang_at_people) as (made, server):
        pending = pump.start(made.directory.find_by_address(ALICE))
        pump.until(lambda: SEARCH in server.kinds())
        made.clock.advance(8 / 3)  # a probe asks what is the matter
        pump.until(lambda: made.states() == ["suspect"])
        pump.until(lambda: made.states() == ["up"])
        assert server.kinds(1) == [BIND, SEARCH]
        made.clock.advance(5)
        assert not pending.called
        made.clock.advance(0.4)
        with pytest.raises(DirectoryUnavailable):
            pump.wait_for(pending)
        pump.until(lambda: made.states() == ["up"])


def test_F4_a_huge_reply_is_refused(pump: ReactorPump) -> None:
    def flood(dialogue: Dialogue) -> None:
        dialogue.must_come()
        dialogue.send(b"\x30\x84\x7f\xff\xff\xff")
        while True:
            dialogue.send(b"\x00" * 65536)

    def flood_entries(dialogue: Dialogue) -> None:
        request = dialogue.must_come()
        big = alice(request.number, cn=["x" * 60_000])
        while True:
            dialogue.send(big)

    for script in (flood, searching(flood_entries)):
        with bench(pump, script, reply_limit_octets=300_000) as (made, _):
            assert "taken" in made.unavailable()


def test_a_caller_that_goes_away_ends_the_question(pump: ReactorPump) -> None:
    with bench(pump, hang) as (made, server):
        pending = pump.start(made.directory.authenticate("alice", b"wonderland"))
        pump.until(lambda: server.requests)
        pending.cancel()
        with pytest.raises(CancelledError):
            pump.wait_for(pending)


def test_close_cuts_off_what_runs(pump: ReactorPump) -> None:
    with bench(pump, hang) as (made, server):
        pending = [pump.start(made.directory.find_by_address(ALICE)) for _ in range(3)]
        pump.until(lambda: server.requests)
        pump.wait(made.directory.close())
        made.clock.advance(3)  # of a connection that is being opened, what its bind may take
        for one in pending:
            with pytest.raises(DirectoryUnavailable):
                pump.wait_for(one)
        pump.until(lambda: server.ended)
        with pytest.raises(DirectoryUnavailable, match="closed"):
            made.find()


def test_N4_a_full_queue_is_unavailable_at_once(pump: ReactorPump) -> None:
    with bench(pump, searching(hang), running=1, waiting=2) as (made, server):
        pending = [pump.start(made.directory.find_by_address(ALICE)) for _ in range(3)]
        pump.until(lambda: SEARCH in server.kinds())
        assert not any(one.called for one in pending)
        with pytest.raises(DirectoryUnavailable, match="waiting"):
            made.find()
        made.clock.advance(8)
        for one in pending:
            with pytest.raises(DirectoryUnavailable):
                pump.wait_for(one)


GARBAGE: list[bytes | Callable[[int], bytes]] = [
    b"",
    b"\x30\x00",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x30\x03\x02\x01",
    b"\xff" * 400,
    b"\x30\x82\x03\xe8" + b"\x30\x80" * 500,
    lambda number: message(number, BIND_RESPONSE),
    lambda number: message(number, BIND_RESPONSE, b"\x00" * 30),
    # Successes: with the number of no request of ours, and as the answer to something else.
    lambda number: result(number + 50, BIND_RESPONSE, 0),
    lambda number: result(number - 1, BIND_RESPONSE, 0),
    lambda number: result(0, BIND_RESPONSE, 0),
    lambda number: result(number, SEARCH_DONE, 0),
    lambda number: result(number, EXTENDED_RESPONSE, 0),
    # Notice of disconnection (RFC 4511 section 4.4.1).
    lambda _: message(
        0,
        EXTENDED_RESPONSE,
        *(ber(0x0A, b"\x34"), ber(0x04), ber(0x04)),
        ber(0x8A, b"1.3.6.1.4.1.1466.20036"),
    ),
    # Result codes that are negative, enormous, or of another type.
    lambda number: message(number, BIND_RESPONSE, ber(0x0A, b"\xff"), ber(0x04), ber(0x04)),
    lambda number: message(number, BIND_RESPONSE, ber(0x0A, b"\x7f" * 20), ber(0x04), ber(0x04)),
    lambda number: message(number, BIND_RESPONSE, ber(0x04, b"\x00"), ber(0x04), ber(0x04)),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_F2_L23_garbage_is_never_a_verdict(
    pump: ReactorPump, garbage: bytes | Callable[[int], bytes]
) -> None:
    """As the answer to the person's bind, where a mistake would open the mailbox."""

    def serve(dialogue: Dialogue) -> None:
        while (request := dialogue.next()) is not None:
            if request.kind == BIND and SERVICE_PASSWORD.encode() not in request.octets:
                dialogue.send(garbage(request.number) if callable(garbage) else garbage)
                return
            if request.kind == BIND:
                dialogue.send(result(request.number, BIND_RESPONSE, 0))
            elif request.kind == SEARCH:
                dialogue.send(alice(request.number), result(request.number, SEARCH_DONE, 0))

    with bench(pump, serve) as (made, _):
        made.unavailable()
