"""ETRN: who may have waiting mail sent, and what they hear."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.queue import Start
from tests.support.smtp_fakes import AT_ONCE, SmtpBench, codes


def bench_with_server() -> SmtpBench:
    return SmtpBench(may_etrn=lambda ip: ip == "192.0.2.9")


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (Start.STARTED, b"250 2.0.0 "),
        (Start.NOTHING_WAITS, b"251 2.0.0 "),
        (Start.UNKNOWN, b"459 4.5.4 "),
    ],
)
def test_rfc_1985_answers(outcome: Start, reply: bytes) -> None:
    bench = bench_with_server()
    client = bench.ready()
    bench.starter.says = outcome
    assert client.say(b"ETRN Branch.Example.test").startswith(reply)
    assert client.say(b"ETRN @example.test").startswith(reply)
    assert bench.starter.asked == ["branch.example.test", "@example.test"]


def test_a_queue_that_cannot_start_is_458() -> None:
    bench = bench_with_server()
    bench.starter.fails = StoreUnavailable()
    assert bench.ready().say(b"ETRN example.test").startswith(b"458 4.3.0 ")


def test_strangers_hear_nothing_of_the_queue() -> None:
    bench = bench_with_server()
    client = bench.ready("192.0.2.10")
    assert client.say(b"ETRN example.test").startswith(b"459 4.7.1 ")
    assert bench.starter.asked == []


def test_people_may_ask() -> None:
    bench = SmtpBench("submission")
    assert bench.submitter().say(b"ETRN example.test").startswith(b"250 ")
    assert bench.ready().say(b"ETRN example.test").startswith(b"459 ")


def test_syntax_and_order() -> None:
    client = bench_with_server().connect()
    assert codes(client.say(b"ETRN example.test")) == [503]
    client.say(b"EHLO client.test")
    for wrong in (b"ETRN", b"ETRN #queue", b"ETRN a..b", b"ETRN @", b"ETRN a b"):
        assert client.say(wrong).startswith(b"501 5.5.4 "), wrong
    client.say(b"MAIL FROM:<a@far.test>")
    assert client.say(b"ETRN example.test").startswith(b"503 ")


def test_S25_asking_for_ever_is_bounded() -> None:
    bench = SmtpBench(may_etrn=lambda ip: True, limits=replace(AT_ONCE, idle_commands=10))
    client = bench.ready()
    replies = b"".join(client.say(b"ETRN example.test") for _ in range(10))
    assert codes(replies) == [250] * 9 + [421] and client.closed()
