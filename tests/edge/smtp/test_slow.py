"""Clients that drip, and clients in great numbers: each costs a bounded time and leaves nothing."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest

from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes


@pytest.mark.parametrize("protocol", ["smtp", "submission", "lmtp"])
def test_N1_a_command_that_drips_ends_as_if_nothing_came(protocol: str) -> None:
    bench = SmtpBench(protocol)
    client = bench.connect()
    for _ in range(40):
        bench.clock.advance(10)
        if client.send(b"E"):
            break
    assert 295 <= bench.clock.seconds() <= 310 and client.closed()


def test_N1_an_answer_to_a_command_begins_a_new_wait() -> None:
    bench = SmtpBench()
    client = bench.ready()
    for _ in range(5):
        bench.clock.advance(250)
        assert codes(client.say(b"NOOP")) == [250]
    bench.clock.advance(299)
    assert not client.closed()
    bench.clock.advance(2)
    assert client.read().startswith(b"421 4.4.2 ") and client.closed()


def test_N1_a_slow_check_does_not_count_against_the_client() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.say(b"MAIL FROM:<a@far.test>")
    bench.router.hold()
    client.say(b"RCPT TO:<alice@example.test>")
    bench.clock.advance(290)
    bench.router.release()
    assert codes(client.read()) == [250]
    bench.clock.advance(290)
    assert not client.closed()


def test_N1_octets_of_a_refused_chunk_end_as_well() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.send(b"BDAT 1000000\r\n")
    for _ in range(40):
        bench.clock.advance(10)
        client.send(b"x")
        if client.closed():
            break
    assert 295 <= bench.clock.seconds() <= 310 and client.closed()


@pytest.mark.parametrize(
    "begin", [[], [b"MAIL FROM:<a@far.test>", b"RCPT TO:<alice@example.test>"]]
)
def test_N1_a_steady_refused_chunk_takes_as_long_as_it_must(begin: list[bytes]) -> None:
    bench = SmtpBench(limits=replace(AT_ONCE, size_octets=700_000, discard_octets=900_000))
    client = bench.ready()
    bench.clock.advance(200)
    for line in begin:
        client.say(line)
    client.send(b"BDAT 800000 LAST\r\n")  # out of order, or too large
    for number in range(100):
        bench.clock.advance(10)
        assert (client.send(b"x" * 8_000)[:3] in (b"503", b"552")) is (number == 99)
    bench.clock.advance(299)
    assert codes(client.say(b"NOOP")) == [250]


def test_N1_each_refused_chunk_has_its_own_time() -> None:
    bench = SmtpBench()
    client = bench.ready()
    for _ in range(5):
        client.send(b"BDAT 2\r\n")
        bench.clock.advance(200)
        assert codes(client.send(b"xx")) == [503]


def test_N1_a_steady_large_message_takes_as_long_as_it_must() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    for _ in range(100):
        bench.clock.advance(10)
        assert client.send(b"x" * 8_000) == b""
    assert codes(client.send(b"\r\n.\r\n")) == [250]
    assert bench.clock.seconds() == 1000


def test_N1_who_reads_no_replies_is_let_go_with_what_it_began() -> None:
    bench = SmtpBench()
    client = bench.ready()
    client.open_content()
    client.send(b"half a message")
    client.connection.pauseProducing()
    client.send(b"\r\n.\r\nRSET\r\n")
    bench.clock.advance(AT_ONCE.idle_s + 1)
    assert client.closed()
    bench.clock.advance(11)
    assert client.aborted()
    client.lose()
    assert bench.clock.getDelayedCalls() == []


def test_N2_too_many_connections_are_told_and_counted_nowhere() -> None:
    bench = SmtpBench()
    bench.sessions.reason = "too many connections"
    for _ in range(100):
        client = Client(bench, "192.0.2.9")
        assert client.read().startswith(b"421 4.7.0 too many connections")
        client.lose()
    assert bench.sessions.open == set() and bench.clock.getDelayedCalls() == []


def test_N4_one_connection_keeps_one_question_waiting() -> None:
    bench = SmtpBench()
    clients = [bench.ready() for _ in range(50)]
    bench.router.hold()
    for client in clients:
        client.say(b"MAIL FROM:<a@far.test>")
        client.send(b"RCPT TO:<alice@example.test>\r\n" * 100)
    assert len(bench.router.waiting) == len(clients)
    for client in clients:
        client.lose()
    assert bench.clock.getDelayedCalls() == []


def test_N5_ten_thousand_connections_leave_nothing() -> None:
    bench = SmtpBench()
    bench.trace.records = Forgetful()

    def visit(number: int) -> None:
        client = bench.connect(f"198.51.{number // 250}.{number % 250}")
        client.say(b"EHLO host%d.test" % number)
        if number % 2:
            client.say(b"MAIL FROM:<a%d@far.test>" % number)
            client.say(b"RCPT TO:<b%d@example.test>" % number)
            client.send(b"BDAT 100\r\nhalf")
            bench.intake.bodies.clear()
            bench.router.asked.clear()
        else:
            client.say(b"JUNK %d" % number)
        client.lose()

    for number in range(2_000):
        visit(number)  # fills what is kept on purpose, such as parsed lines
    gc.collect()
    before = len(gc.get_objects())
    for number in range(2_000, 12_000):
        visit(number)
    gc.collect()
    assert len(gc.get_objects()) - before < 200
    assert bench.sessions.open == set() and bench.clock.getDelayedCalls() == []


class Forgetful(list):  # type: ignore[type-arg]
    def append(self, _: object) -> None:
        """Trace records are the store's to keep."""
