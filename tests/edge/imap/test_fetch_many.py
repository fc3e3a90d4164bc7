"""FETCH of many messages: in batches, of bounded size, whatever single messages are like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred

from gateway.core.ids import AccountId
from gateway.edge.imap.fetch import GROUP_OCTETS
from gateway.edge.imap.sections import HEADER_OCTETS
from tests.support.imap_client import MESSAGE, Bench

HEADERS = b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]"
ITEMS = [HEADERS, b"BODY.PEEK[HEADER]", b"BODY.PEEK[TEXT]", b"BODY.PEEK[]", b"(UID ENVELOPE)"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    Deferred.fromCoroutine(bench.store.ensure_account(AccountId("alice")))
    yield bench
    bench.close()


def numbers(lines: list[bytes]) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.startswith(b"* ")]


@pytest.mark.parametrize("items", ITEMS)
def test_M6_a_damaged_message_in_the_middle_of_a_batch(bench: Bench, items: bytes) -> None:
    bench.deliver(30)
    client = bench.select()
    bench.store.damaged.add(17)
    lines = client.say(b"FETCH 1:* " + items)
    assert numbers(lines) == [n for n in range(1, 31) if n != 17]
    assert lines[-1].startswith(b"T NO [CORRUPTION]")
    assert client.say(b"UID FETCH 17 " + items)[-1].startswith(b"T NO [CORRUPTION]")


@pytest.mark.parametrize("items", ITEMS)
def test_M6_a_message_expunged_meanwhile_does_not_hide_the_others(
    bench: Bench, items: bytes
) -> None:
    bench.deliver(30)
    client = bench.select()
    del bench.store.blobs[17]  # its row was still there when the batch's rows were read
    lines = client.say(b"FETCH 1:* " + items)
    assert numbers(lines) == [n for n in range(1, 31) if n != 17]
    assert lines[-1].startswith(b"T NO [EXPUNGEISSUED]")
    assert client.say(b"UID FETCH 17 " + items) == [b"T OK Fetched"]


def test_expunged_by_another_client_while_headers_are_read(bench: Bench) -> None:
    bench.deliver(3)
    client, other = bench.select(), bench.select()
    bench.store.hold("read_many")
    client.feed(b"f FETCH 1:* " + HEADERS + b"\r\n")
    assert other.last(b"UID STORE 2 +FLAGS.SILENT (\\Deleted)").startswith(b"T OK")
    assert other.last(b"EXPUNGE").startswith(b"T OK")
    bench.store.release("read_many")
    lines = client.lines()
    assert numbers(lines) == [1, 2, 3]  # no EXPUNGE within a FETCH (RFC 3501 section 7.4.1)
    assert lines[-1] == b"f OK Fetched"
    assert b"* 2 EXPUNGE" in client.say(b"NOOP")


def test_headers_of_three_thousand_messages(bench: Bench) -> None:
    for number in range(1, 3_001):
        bench.deliver_to("alice", b"From: a\r\nSubject: %d\r\n\r\nHello\r\n" % number)
    client = bench.select()
    bench.store.calls.clear()
    client.feed(b"f FETCH 1:* (UID " + HEADERS + b")\r\n")
    expected = [
        b"* %d FETCH (UID %d BODY[HEADER.FIELDS (SUBJECT)] {%d}\r\nSubject: %d\r\n\r\n)\r\n"
        % (number, number, len(b"Subject: %d\r\n\r\n" % number), number)
        for number in range(1, 3_001)
    ]
    assert client.take() == b"".join(expected) + b"f OK Fetched\r\n"
    # A client that lists a mailbox makes nobody compute summaries, and few hand-overs.
    assert bench.store.calls == ["rows", "read_many"] * 6


@pytest.mark.parametrize("items", [b"BODY.PEEK[]", b"(BODY.PEEK[HEADER] BODY.PEEK[]<0.90000>)"])
def test_I8_bodies_read_at_once_are_bounded(bench: Bench, items: bytes) -> None:
    body = b"Subject: x\r\n\r\n" + b"y" * 100_000
    for _ in range(40):
        bench.deliver_to("alice", body)
    client = bench.select()
    lines = client.say(b"FETCH 1:* " + items)
    assert numbers(lines) == list(range(1, 41))
    assert 500_000 < bench.store.largest_batch <= GROUP_OCTETS


def test_I8_a_section_asked_for_again_and_again_counts_each_time(bench: Bench) -> None:
    body = b"Subject: x\r\n\r\n" + b"y" * 50_000
    bench.deliver_to("alice", body)
    client = bench.select()
    client.transport.full = True
    partials = b" ".join(b"BODY.PEEK[]<%d.50000>" % n for n in range(20))
    client.feed(b"f FETCH 1 (" + partials + b")\r\n")
    assert len(client.take()) < 200_000
    client.transport.full = False
    client.protocol.resumeProducing()
    assert client.take().endswith(b"f OK Fetched\r\n")


def test_I8_long_names_of_sections_count_too(bench: Bench) -> None:
    bench.deliver(200)
    client = bench.select()
    names = b" ".join(b"X-%d-%b" % (n, b"y" * 60) for n in range(100))
    bench.store.calls.clear()
    client.transport.full = True
    client.feed(b"f FETCH 1:* BODY.PEEK[HEADER.FIELDS (%b)]\r\n" % names)
    assert 0 < len(client.take()) <= GROUP_OCTETS
    assert bench.store.calls == ["rows", "read_many"]


def test_I8_little_of_many_large_messages_is_read_in_pieces(bench: Bench) -> None:
    for _ in range(40):
        bench.deliver_to("alice", b"Subject: x\r\n\r\n" + b"y" * 1_000_000)
    client = bench.select()
    bench.store.calls.clear()
    assert len(numbers(client.say(b"FETCH 1:* BODY.PEEK[]<0.10>"))) == 40
    assert bench.store.calls == ["rows", "read_many", "read_many", "read_many"]


def test_I8_a_client_that_reads_nothing_gets_one_batch(bench: Bench) -> None:
    header = b"Subject: " + b"x" * 5_000 + b"\r\n\r\n"
    for _ in range(1_000):
        bench.deliver_to("alice", header)
    client = bench.select()
    bench.store.calls.clear()
    client.transport.full = True
    client.feed(b"f FETCH 1:* BODY.PEEK[HEADER]\r\n")
    first = len(client.take())
    assert first < GROUP_OCTETS * 1.1
    assert bench.store.calls == ["rows", "read_many"]
    client.protocol.resumeProducing()
    assert first < 2 * len(client.take()) < 4 * first
    bench.clock.advance(301)
    assert client.transport.aborted


@pytest.mark.parametrize("end", [-40, -3, -2, -1, 0, 1, 2, 3, 40, 5_000])
def test_headers_longer_than_what_is_read_first(bench: Bench, end: int) -> None:
    room = HEADER_OCTETS + end - len(b"Subject: \r\nX: y\r\n\r\n")
    header = b"Subject: " + b"s" * room + b"\r\nX: y\r\n\r\n"
    for message in (MESSAGE, header + b"Hello\r\n", MESSAGE):
        bench.deliver_to("alice", message)
    client = bench.select()
    client.feed(b"f FETCH 2 BODY.PEEK[HEADER]\r\n")
    assert client.take() == (
        b"* 2 FETCH (BODY[HEADER] {%d}\r\n%b)\r\nf OK Fetched\r\n" % (len(header), header)
    )
    client.feed(b"f FETCH 2 BODY.PEEK[HEADER.FIELDS (X)]\r\n")
    assert client.take() == (
        b"* 2 FETCH (BODY[HEADER.FIELDS (X)] {8}\r\nX: y\r\n\r\n)\r\nf OK Fetched\r\n"
    )
    lines = client.say(b"FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)]<0.4>)")
    assert sorted(numbers(lines)) == [1, 2, 3]


def test_chunks_smaller_than_a_header() -> None:
    bench = Bench(limits=None)
    limits = replace(bench.services.limits, chunk_octets=1_000)
    bench.services = replace(bench.services, limits=limits)
    header = b"Subject: " + b"x" * 3_000 + b"\r\n\r\n"
    bench.deliver_to("alice", header)
    bench.deliver_to("alice", MESSAGE)
    client = bench.select()
    client.feed(b"f FETCH 1:2 (BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS (TO)])\r\n")
    absent = b"BODY[HEADER.FIELDS (TO)] {2}\r\n\r\n)\r\n"
    short = MESSAGE[:-7]
    assert client.take() == (
        b"* 2 FETCH (BODY[HEADER] {%d}\r\n%b " % (len(short), short)
        + absent
        + b"* 1 FETCH (BODY[HEADER] {%d}\r\n%b " % (len(header), header)
        + absent
        + b"f OK Fetched\r\n"
    )
    assert max(bench.store.largest_batch, bench.store.largest_read) <= 1_000
    bench.close()


def test_messages_without_a_body_or_a_header(bench: Bench) -> None:
    for message in (b"", b"\r\n", b"no header", b"A: b", b"A: b\r\n"):
        bench.deliver_to("alice", message)
    client = bench.select()
    client.feed(b"f FETCH 1:* BODY.PEEK[HEADER]\r\n")
    headers = (b"", b"\r\n", b"", b"A: b", b"A: b\r\n")
    assert (
        client.take()
        == b"".join(
            b"* %d FETCH (BODY[HEADER] {%d}\r\n%b)\r\n" % (number, len(header), header)
            for number, header in enumerate(headers, 1)
        )
        + b"f OK Fetched\r\n"
    )


def test_reading_headers_without_peek_marks_all_with_one_write(bench: Bench) -> None:
    bench.deliver(60)
    client = bench.select()
    lines = client.say(b"FETCH 1:* BODY[HEADER]")
    assert sum(b"FLAGS (\\Seen" in line for line in lines) == 60
    assert bench.store.calls.count("store_flags") == 1
