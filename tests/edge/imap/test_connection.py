"""What a connection bears and how it ends: strangers, wrong commands, silence, drain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred

from tests.support.imap_client import Bench


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.0\r\n", b"CONNECT host:25 HTTP/1.1\r\n"]
)
def test_S20_web_browsers_are_sent_away_at_once(bench: Bench, line: bytes) -> None:
    client = bench.connect()
    client.take()
    client.feed(line + b"Host: x\r\n\r\n")
    assert client.lines() == [b"* BYE This is not a web server"]
    assert client.closed


def test_S20_tls_on_the_clear_port_is_dropped_at_once(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    client.feed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert client.transport.aborted
    assert client.take() == b""


def test_I1_strangers_may_be_wrong_three_times(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    assert client.last(b"((((((((((").startswith(b"T BAD")
    assert client.last(b"ID ((((((((((").startswith(b"T BAD")
    assert client.say(b"SELECT INBOX")[-1] == b"* BYE Too many bad commands"
    assert client.closed


def test_I1_people_may_be_wrong_twenty_times_in_a_row(bench: Bench) -> None:
    client = bench.log_in()
    for _ in range(2):
        for _ in range(19):
            assert client.last(b"XYZZY").startswith(b"T BAD")
        assert client.say(b"NOOP") == [b"T OK Done"]
    for _ in range(20):
        client.say(b"XYZZY")
    assert client.closed


@pytest.mark.parametrize("literal", [b"{4294967295}", b"{99999999999999999999}", b"{1025}"])
def test_I2_large_literals_of_strangers_are_refused_without_a_go_ahead(
    bench: Bench, literal: bytes
) -> None:
    client = bench.connect()
    client.take()
    lines = client.say(b"LOGIN " + literal)
    assert lines[0].startswith(b"T NO [TOOBIG]") or lines[0].startswith(b"T BAD")
    assert not any(line.startswith(b"+") for line in lines)


def test_I2_I3_large_literals_that_come_unasked_end_the_connection(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    assert client.last(b"LOGIN {4097+}").startswith(b"* BYE [TOOBIG]")
    assert client.closed


def test_I4_the_octets_of_a_refused_literal_are_no_command(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    client.feed(b"a LOGIN {600+}\r\n" + b"x NOOP\r\n" * 75 + b" y\r\nb NOOP\r\n")
    assert [line[:4] for line in client.lines()] == [b"a NO", b"b OK"]


def test_I16_replies_hold_nothing_of_what_the_client_sent(bench: Bench) -> None:
    client = bench.log_in()
    for command in (b"<script>", b"SELECT <script>", b"FETCH <script> x", b"LIST <script"):
        assert b"script" not in b"".join(client.say(command))


def test_N1_strangers_have_three_minutes_whatever_they_send(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    client.protocol.handshakeCompleted()
    for _ in range(5):
        bench.clock.advance(30)
        assert client.say(b"NOOP") == [b"T OK Done"]
    bench.clock.advance(31)
    assert client.take().startswith(b"* BYE ")
    assert client.closed


def test_N1_a_stranger_whose_login_hangs_is_dropped_too(bench: Bench) -> None:
    bench.people.held = Deferred()
    client = bench.connect()
    client.protocol.handshakeCompleted()
    client.feed(b"a LOGIN alice wonderland\r\n")
    client.take()
    bench.clock.advance(181)
    assert client.take().startswith(b"* BYE ")
    client.lose()
    bench.people.held.callback(None)
    assert client.take() == b""


def test_N1_people_have_half_an_hour_between_commands(bench: Bench) -> None:
    client = bench.log_in()
    bench.clock.advance(1_790)
    assert client.say(b"NOOP") == [b"T OK Done"]
    client.feed(b"x")  # not a command
    bench.clock.advance(1_790)
    client.feed(b" NO")
    assert client.take() == b""
    bench.clock.advance(11)
    assert client.take().startswith(b"* BYE ")


def test_N2_too_many_connections(bench: Bench) -> None:
    bench.sessions.reason = "Too many connections from your address"
    bench.door = bench.make_door(implicit_tls=False)
    client = bench.connect()
    assert client.lines() == [b"* BYE [LIMIT] Too many connections from your address"]
    assert client.closed


def test_logout_says_bye_before_ok_and_gives_all_back(bench: Bench) -> None:
    client = bench.select()
    assert client.say(b"LOGOUT") == [b"* BYE Logging out", b"T OK Goodbye"]
    assert client.closed
    client.protocol.dataReceived(b"x NOOP\r\n")
    assert client.take() == b""


def test_id_is_answered_without_a_version(bench: Bench) -> None:
    client = bench.connect()
    client.take()
    expected = [b'* ID ("name" "mail-gateway")', b"T OK Pleased to meet you"]
    assert client.say(b'ID ("name" "x\x1b[31m" "os" NIL)') == expected
    assert client.say(b"ID NIL") == expected


def test_I14_oversized_id_is_refused(bench: Bench) -> None:
    client = bench.log_in()
    pairs = b" ".join(b'"k%d" "v"' % i for i in range(31))
    assert client.last(b"ID (" + pairs + b")").startswith(b"T BAD")
    assert client.last(b'ID ("' + b"k" * 31 + b'" "v")').startswith(b"T BAD")
    assert client.last(b'ID ("k" "' + b"v" * 1_025 + b'")').startswith(b"T BAD")


def test_whoever_is_dismissed_is_told_to_log_in_again(bench: Bench) -> None:
    client = bench.log_in()
    client.protocol.dismiss()
    assert client.lines() == [b"* BYE This login is not valid any more, log in again"]


def test_drain_says_goodbye_when_idle_and_after_the_running_command(bench: Bench) -> None:
    idle = bench.log_in()
    busy = bench.select()
    bench.store.hold("search")
    busy.feed(b"a SEARCH ALL\r\nb NOOP\r\n")
    for client in (idle, busy):
        client.protocol.drain()
    farewell = b"* BYE [UNAVAILABLE] The server is shutting down"
    assert idle.lines() == [farewell]
    assert not busy.closed
    bench.store.release("search")
    assert busy.lines() == [b"* SEARCH", b"a OK Searched", farewell]


def test_limits_are_the_doors_own(bench: Bench) -> None:
    bench.services = replace(bench.services, limits=replace(bench.services.limits, failed_logins=1))
    client = bench.connect()
    client.say(b"LOGIN alice wrong")
    assert client.closed
