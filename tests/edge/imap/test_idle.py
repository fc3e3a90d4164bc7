"""IDLE: news as it happens, signs of life, and the ways it ends."""

from __future__ import annotations

import pytest

from tests.support.imap_client import Bench, Client


def idling(bench: Bench) -> Client:
    client = bench.select()
    client.feed(b"i IDLE\r\n")
    assert client.lines() == [b"+ idling"]
    return client


def test_changes_are_pushed_at_once(bench: Bench) -> None:
    bench.deliver(2)
    client, other = idling(bench), bench.select()
    bench.deliver(1)
    assert client.lines() == [b"* 3 EXISTS", b"* 3 RECENT"]
    other.say(b"STORE 1 +FLAGS (\\Deleted)")
    assert client.lines() == [b"* 1 FETCH (FLAGS (\\Deleted \\Recent))"]
    other.say(b"EXPUNGE")
    assert client.lines() == [b"* 1 EXPUNGE", b"* 2 RECENT"]
    client.feed(b"DONE\r\n")
    assert client.lines() == [b"i OK Idling ended"]


def test_what_happened_before_is_told_first(bench: Bench) -> None:
    client = bench.select()
    bench.deliver(1)
    client.feed(b"i IDLE\r\n")
    assert client.lines() == [b"+ idling", b"* 1 EXISTS", b"* 1 RECENT"]


def test_idle_and_done_in_one_segment(bench: Bench) -> None:
    client = bench.select()
    client.feed(b"i IDLE\r\nDONE\r\nj NOOP\r\n")
    assert client.lines() == [b"+ idling", b"i OK Idling ended", b"j OK Done"]


def test_ten_thousand_in_one_segment_do_not_recurse() -> None:
    bench = Bench()
    client = bench.log_in()
    client.feed(b"i IDLE\r\nDONE\r\n" * 10_000)
    assert client.take().count(b"i OK Idling ended") == 10_000
    bench.close()


def test_done_behind_a_slow_command(bench: Bench) -> None:
    client = bench.select()
    bench.store.hold("search")
    client.feed(b"s SEARCH ALL\r\ni IDLE\r\nDONE\r\n")
    bench.store.release("search")
    assert client.lines() == [
        b"* SEARCH",
        b"s OK Searched",
        b"+ idling",
        b"i OK Idling ended",
    ]


def test_idle_without_a_mailbox(bench: Bench) -> None:
    client = bench.log_in()
    client.feed(b"i IDLE\r\n")
    bench.deliver(1)
    assert client.lines() == [b"+ idling"]
    client.feed(b"done\r\n")
    assert client.lines() == [b"i OK Idling ended"]


@pytest.mark.parametrize("line", [b"NOOP", b"x NOOP", b"", b"D" * 1_000])
def test_I13_other_text_than_done_is_bad(bench: Bench, line: bytes) -> None:
    client = idling(bench)
    client.feed(line + b"\r\n")
    assert client.lines() == [b"i BAD Only DONE ends IDLE"]
    assert client.say(b"NOOP") == [b"T OK Done"]


def test_I13_signs_of_life_and_the_end_after_half_an_hour(bench: Bench) -> None:
    client = idling(bench)
    for _ in range(14):
        bench.clock.advance(120)
        assert client.lines() == [b"* OK Still here"]
    bench.clock.advance(119)
    assert client.lines() == []
    bench.clock.advance(2)
    assert client.lines()[-1].startswith(b"* BYE")
    assert client.closed


def test_I13_the_mailbox_is_deleted_meanwhile(bench: Bench) -> None:
    client = bench.select(b"Archive")
    client.feed(b"i IDLE\r\n")
    client.take()
    bench.log_in().say(b"DELETE Archive")
    assert client.lines() == [b"* BYE The selected mailbox was deleted"]


def test_a_client_that_goes_away_while_idling(bench: Bench) -> None:
    client = idling(bench)
    client.lose()
    bench.deliver(1)
    bench.clock.advance(500)
    assert client.take() == b""


def test_drain_ends_idling(bench: Bench) -> None:
    client = idling(bench)
    client.protocol.drain()
    assert client.lines() == [b"* BYE [UNAVAILABLE] The server is shutting down"]


def test_changes_that_come_while_changes_are_read_are_not_lost(bench: Bench) -> None:
    client = idling(bench)
    bench.store.hold("changes")
    bench.deliver(1)
    bench.deliver(1)
    bench.store.release("changes")
    bench.deliver(1)
    told = client.lines()
    assert told[-2:] == [b"* 3 EXISTS", b"* 3 RECENT"]
