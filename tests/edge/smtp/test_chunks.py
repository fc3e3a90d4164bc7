"""BDAT at the doors: what comes in chunks is a message, and no chunk is ever a command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import StoreFull, StoreUnavailable
from tests.support.smtp_fakes import AT_ONCE, Client, SmtpBench, codes

BODY = b"Subject: x\r\n\r\nhello\r\n"


def transaction(client: Client, mail: bytes = b"MAIL FROM:<a@far.test>") -> None:
    assert client.say(mail).startswith(b"250 2.1.0 ")
    assert client.say(b"RCPT TO:<alice@example.test>").startswith(b"250 2.1.5 ")


def chunk(octets: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_a_message_in_chunks_is_accepted_whatever_the_segments(step: int) -> None:
    bench = SmtpBench()
    client = bench.ready()
    octets = b"MAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\n"
    octets += chunk(BODY[:7]) + chunk(BODY[7:]) + b"BDAT 0 LAST\r\n" + b"NOOP\r\n"
    replies = b"".join(client.send(octets[i : i + step]) for i in range(0, len(octets), step))
    assert codes(replies) == [250] * 6
    assert b"250 2.0.0 7 octets received\r\n" in replies
    assert b"250 2.0.0 Accepted as 00000001-1\r\n" in replies
    assert bench.intake.content() == BODY


def test_S13_what_looks_like_commands_and_endings_inside_a_chunk_is_data() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    body = BODY + b"\r\nQUIT\r\n.\r\nRSET\r\n"
    assert codes(client.send(chunk(body, last=True))) == [250]
    assert bench.intake.content() == body and not client.closed()


def test_S10_a_chunk_without_a_transaction_is_swallowed() -> None:
    bench = SmtpBench()
    client = bench.connect()
    assert codes(client.send(chunk(b"EHLO x"))) == [503]
    client.say(b"EHLO client.test")
    assert codes(client.send(chunk(b"QUIT\r\n") + b"NOOP\r\n")) == [503, 250]
    client.say(b"MAIL FROM:<a@far.test>")
    assert codes(client.send(chunk(b"MAIL FROM:<b@far.test>\r\n", last=True))) == [503]
    client.say(b"RCPT TO:<alice@example.test>")
    assert codes(client.send(chunk(BODY, last=True))) == [250]
    assert bench.intake.content() == BODY


@pytest.mark.parametrize(
    "argument",
    [b"", b"-1", b"+5", b"0x10", b"5 FIRST", b"5 LAST x", b"1" * 20, b"9" * 40, b"LAST"],
)
def test_S11_a_chunk_of_unknown_size_ends_the_connection(argument: bytes) -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    assert codes(client.send(b"BDAT " + argument + b"\r\nQUIT\r\n")) == [501]
    assert client.closed()
    client.lose()
    assert bench.intake.accepted == [] and all(body.discarded for body in bench.intake.bodies)


def test_S11_too_big_is_told_behind_the_chunk_and_swallowing_is_bounded() -> None:
    limits = replace(AT_ONCE, size_octets=1000, discard_octets=3000)
    bench = SmtpBench(limits=limits)
    client = bench.ready()
    transaction(client)
    assert codes(client.send(chunk(b"x" * 1500))) == [552]
    assert codes(client.send(chunk(b"y" * 1000, last=True))) == [503]
    assert bench.intake.bodies[0].discarded
    transaction(client)
    assert codes(client.send(chunk(BODY, last=True))) == [250]
    transaction(client)
    assert codes(client.send(b"BDAT 99999999\r\n" + b"x" * 4000)) == [421]
    assert client.closed()


def test_S12_many_small_chunks_cost_one_body() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    replies = client.send(b"BDAT 1\r\nx" * 20_000)
    assert codes(replies) == [250] * 20_000
    assert codes(client.send(b"BDAT 0 LAST\r\n")) == [250]
    assert bench.intake.content() == b"x" * 20_000 and len(bench.intake.bodies) == 1


def test_S12_a_large_chunk_streams() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    client.send(b"BDAT 16000000 LAST\r\n")
    for number in range(1, 161):
        assert (client.send(b"y" * 100_000) == b"") is (number < 160)
        assert bench.intake.bodies[0].size_octets == number * 100_000
        assert client.connection.core.buffered == 0
    assert bench.intake.content() == b"y" * 16_000_000


def test_S13_data_and_bdat_do_not_mix() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    client.send(chunk(BODY))
    assert client.say(b"DATA").startswith(b"503 5.5.1 ")
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"503 5.5.1 ")
    assert client.say(b"RSET").startswith(b"250 ")
    assert bench.intake.bodies[0].discarded
    transaction(client)
    client.send(chunk(BODY, last=True))
    assert codes(client.send(chunk(b"more", last=True))) == [503]
    assert len(bench.intake.accepted) == 1
    transaction(client, b"MAIL FROM:<a@far.test> BODY=BINARYMIME")
    assert client.say(b"DATA").startswith(b"503 5.5.1 ")


@pytest.mark.parametrize("end", [b"RSET\r\n", b"QUIT\r\n", b"EHLO again\r\n", b""])
def test_S13_whoever_stops_between_chunks_stores_nothing(end: bytes) -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    client.send(chunk(BODY))
    client.send(end)
    client.lose()
    assert bench.intake.accepted == [] and bench.intake.bodies[0].discarded


def test_S14_bare_newlines_in_a_chunk_follow_the_doors_policy() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    assert client.send(chunk(b"a: b\r\n\r\nx\ny\r\n", last=True)).startswith(b"550 5.5.2 ")
    people = SmtpBench("submission")
    client = people.submitter()
    transaction(client, b"MAIL FROM:<alice@example.test>")
    assert codes(client.send(chunk(b"From: alice@example.test\n\nx\n", last=True))) == [250]
    assert people.intake.content().endswith(b"\r\n\r\nx\r\n")


def test_S14_bdat_after_helo_is_no_command_and_its_octets_are_none_either() -> None:
    client = SmtpBench().connect()
    client.say(b"HELO old.test")
    client.say(b"MAIL FROM:<a@far.test>")
    client.say(b"RCPT TO:<alice@example.test>")
    (code,) = codes(client.send(chunk(b"QUIT\r\n", last=True)))
    assert code in (502, 503) and not client.closed()


@pytest.mark.parametrize("error", [StoreFull(), StoreUnavailable()])
def test_S4_a_failing_store_ends_the_transaction(error: StoreFull) -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    bench.intake.fails = error
    assert codes(client.send(chunk(BODY, last=True)))[0] in (451, 452)
    assert codes(client.send(chunk(BODY, last=True))) == [503]
    bench.intake.fails = None
    bench.intake.open_fails = error
    transaction(client)
    assert codes(client.send(chunk(BODY) + chunk(BODY, last=True)))[0] in (451, 452)
    bench.intake.open_fails = None
    transaction(client)
    assert codes(client.send(chunk(BODY, last=True))) == [250]
    assert len(bench.intake.accepted) == 1


def test_N1_a_drip_between_and_inside_chunks_ends() -> None:
    bench = SmtpBench()
    client = bench.ready()
    transaction(client)
    client.send(b"BDAT 100000\r\n")
    for _ in range(400):
        bench.clock.advance(1)
        if client.send(b"x"):
            break
    bench.clock.advance(2)
    assert 299 < bench.clock.seconds() < 310 and client.closed()
