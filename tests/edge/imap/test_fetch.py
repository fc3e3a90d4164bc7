"""FETCH: items, sections, partials, \\Seen, large and broken messages, slow readers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import StoreDamaged, StoreFull
from tests.support.imap_client import MESSAGE, Bench

MULTIPART = (
    b"From: a@example.test\r\nSubject: two parts\r\nX-Long: a\r\n b\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\n\r\ninner body\r\n--b--\r\n"
)


def fetched(bench: Bench, items: bytes) -> bytes:
    """The octets of a FETCH of message 1, without the tagged line."""
    client = bench.select()
    client.feed(b"f FETCH 1 " + items + b"\r\n")
    answer, tagged, rest = client.take().partition(b"f OK Fetched\r\n")
    assert tagged and not rest
    return answer


def test_attributes_come_in_the_order_asked(bench: Bench) -> None:
    bench.deliver(1, flags=frozenset({"\\Flagged", "$Work"}))
    assert fetched(bench, b"(RFC822.SIZE UID INTERNALDATE FLAGS)") == (
        b'* 1 FETCH (RFC822.SIZE 45 UID 1 INTERNALDATE "14-Nov-2023 22:13:20 +0000"'
        b" FLAGS (\\Flagged $Work \\Recent))\r\n"
    )


def test_envelope_and_structure_come_from_the_summary(bench: Bench) -> None:
    bench.deliver(1)
    answer = fetched(bench, b"(ENVELOPE BODYSTRUCTURE BODY)")
    assert answer.startswith(b'* 1 FETCH (ENVELOPE (NIL "one" ((NIL NIL "a" "example.test"))')
    assert b' BODYSTRUCTURE ("text" "plain" ' in answer
    assert b' BODY ("text" "plain" ' in answer
    assert {"read", "read_many"}.isdisjoint(bench.store.calls)


@pytest.mark.parametrize(
    ("section", "octets"),
    [
        (b"BODY[]", MULTIPART),
        (b"BODY[HEADER]", MULTIPART[: MULTIPART.index(b"preamble")]),
        (b"BODY[TEXT]", MULTIPART[MULTIPART.index(b"preamble") :]),
        (b"BODY[1]", b"first"),
        (b"BODY[1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
        (b"BODY[2]", b"Subject: inner\r\n\r\ninner body"),
        (b"BODY[2.HEADER]", b"Subject: inner\r\n\r\n"),
        (b"BODY[2.TEXT]", b"inner body"),
        (b"BODY[2.1]", b"inner body"),
        (b"BODY[HEADER.FIELDS (x-long)]", b"X-Long: a\r\n b\r\n\r\n"),
        (
            b"BODY[HEADER.FIELDS.NOT (From Content-Type MIME-Version X-Long)]",
            b"Subject: two parts\r\n\r\n",
        ),
        (b"BODY[2.HEADER.FIELDS (SUBJECT)]", b"Subject: inner\r\n\r\n"),
        (b"BODY[HEADER.FIELDS (absent)]", b"\r\n"),
    ],
)
def test_sections(bench: Bench, section: bytes, octets: bytes) -> None:
    bench.deliver(1, MULTIPART)
    peek = section.replace(b"BODY", b"BODY.PEEK")
    expected = b"* 1 FETCH (%b {%d}\r\n%b)\r\n" % (section, len(octets), octets)
    assert fetched(bench, b"(" + peek + b")") == expected


@pytest.mark.parametrize("section", [b"BODY[3]", b"BODY[1.HEADER]", b"BODY[1.1.1.1]"])
def test_I8_a_part_that_does_not_exist_is_nil(bench: Bench, section: bytes) -> None:
    bench.deliver(1, MULTIPART)
    peek = section.replace(b"BODY", b"BODY.PEEK")
    assert fetched(bench, peek) == b"* 1 FETCH (%b NIL)\r\n" % section


@pytest.mark.parametrize(
    ("partial", "label", "octets"),
    [
        (b"<0.4>", b"<0>", MESSAGE[:4]),
        (b"<3.5>", b"<3>", MESSAGE[3:8]),
        (b"<40.4294967295>", b"<40>", MESSAGE[40:]),
        (b"<4294967295.1>", b"<4294967295>", b""),
    ],
)
def test_I8_partials_end_where_the_section_ends(
    bench: Bench, partial: bytes, label: bytes, octets: bytes
) -> None:
    bench.deliver(1)
    assert fetched(bench, b"BODY.PEEK[]" + partial) == (
        b"* 1 FETCH (BODY[]%b {%d}\r\n%b)\r\n" % (label, len(octets), octets)
    )


def test_a_partial_of_chosen_fields_counts_from_the_chosen(bench: Bench) -> None:
    bench.deliver(1)
    assert fetched(bench, b"BODY.PEEK[HEADER.FIELDS (Subject)]<9.3>") == (
        b"* 1 FETCH (BODY[HEADER.FIELDS (Subject)]<9> {3}\r\none)\r\n"
    )


def test_reading_a_body_sets_seen_and_says_so_once(bench: Bench) -> None:
    bench.deliver(2)
    client = bench.select()
    assert client.say(b"FETCH 1 BODY[TEXT]") == [
        b"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {7}",
        b"Hello",
        b")",
        b"T OK Fetched",
    ]
    assert client.say(b"FETCH 1 (FLAGS BODY[TEXT])")[0] == (
        b"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {7}"
    )
    assert client.say(b"FETCH 2 RFC822.HEADER")[0] == b"* 2 FETCH (RFC822.HEADER {38}"
    assert client.say(b"FETCH 2 FLAGS")[0] == b"* 2 FETCH (FLAGS (\\Recent))"


def test_another_session_hears_of_seen(bench: Bench) -> None:
    bench.deliver(1)
    reader, other = bench.select(), bench.select()
    reader.say(b"UID FETCH 1 (UID BODY[])")
    assert other.say(b"NOOP") == [b"* 1 FETCH (FLAGS (\\Seen))", b"T OK Done"]


def test_nothing_is_marked_in_a_mailbox_opened_for_reading(bench: Bench) -> None:
    bench.deliver(1)
    client = bench.select(verb=b"EXAMINE")
    assert client.say(b"FETCH 1 BODY[TEXT]")[0] == b"* 1 FETCH (BODY[TEXT] {7}"
    assert "store_flags" not in bench.store.calls


def test_D6_mail_can_be_read_when_nothing_can_be_written(bench: Bench) -> None:
    bench.deliver(1)
    client = bench.select()
    bench.store.fail("store_flags", StoreFull())
    assert client.say(b"FETCH 1 BODY[TEXT]") == [
        b"* 1 FETCH (BODY[TEXT] {7}",
        b"Hello",
        b")",
        b"T OK Fetched",
    ]


def test_uid_fetch_ignores_uids_that_do_not_exist(bench: Bench) -> None:
    bench.deliver(3)
    client = bench.select()
    assert client.say(b"UID FETCH 7 FLAGS") == [b"T OK Fetched"]
    # "*" is the last message, whatever the other bound (RFC 3501 section 6.4.8).
    assert client.say(b"UID FETCH 999:* (FLAGS)") == [
        b"* 3 FETCH (UID 3 FLAGS (\\Recent))",
        b"T OK Fetched",
    ]


@pytest.mark.parametrize("numbers", [b"4", b"1:4", b"4294967295:1", b"2,9"])
def test_I7_numbers_that_do_not_exist_are_refused(bench: Bench, numbers: bytes) -> None:
    bench.deliver(3)
    client = bench.select()
    assert client.say(b"FETCH " + numbers + b" FLAGS") == [
        b"T BAD There is no message of that number"
    ]


@pytest.mark.parametrize("numbers", [b"0", b"1,,2", b"4294967296", b"$", b"1:"])
def test_I7_numbers_that_are_none_are_bad(bench: Bench, numbers: bytes) -> None:
    bench.deliver(3)
    assert bench.select().last(b"FETCH " + numbers + b" FLAGS").startswith(b"T BAD")


def test_I7_an_empty_mailbox(bench: Bench) -> None:
    client = bench.select()
    assert client.say(b"FETCH 1:* FLAGS") == [b"T BAD There is no message of that number"]
    assert client.say(b"UID FETCH 1:* FLAGS") == [b"T OK Fetched"]
    assert client.say(b"UID SEARCH UID 1:*") == [b"* SEARCH", b"T OK Searched"]


def test_large_bodies_are_streamed_in_chunks() -> None:
    bench = Bench(limits=None)
    bench.services = replace(
        bench.services, limits=replace(bench.services.limits, chunk_octets=1_000)
    )
    large = b"Subject: large\r\n\r\n" + b"x" * 78 * 100 + b"\r\n"
    bench.deliver_to("alice", large)
    bench.deliver_to("alice", MESSAGE)
    client = bench.select()
    client.feed(b"f FETCH 1:2 (UID BODY[] BODY[TEXT]<5.10>)\r\n")
    whole = client.take()
    assert whole == (
        b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) BODY[] {%d}\r\n%b BODY[TEXT]<5> {10}\r\n"
        b"xxxxxxxxxx)\r\n"
        b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) BODY[] {45}\r\n%b BODY[TEXT]<5> {2}\r\n\r\n)\r\n"
        b"f OK Fetched\r\n" % (len(large), large, MESSAGE)
    )
    assert bench.store.largest_read <= 1_000
    bench.close()


def test_I8_a_client_that_reads_nothing_is_waited_for_and_then_dropped() -> None:
    bench = Bench()
    bench.services = replace(
        bench.services, limits=replace(bench.services.limits, chunk_octets=1_000)
    )
    bench.deliver_to("alice", b"x" * 50_000)
    client = bench.select()
    client.transport.full = True
    client.feed(b"f FETCH 1 BODY.PEEK[]\r\n")
    assert len(client.take()) < 2_000
    client.protocol.resumeProducing()
    assert len(client.take()) == 1_000
    bench.clock.advance(299)
    early = client.transport.aborted
    bench.clock.advance(2)
    assert (early, client.transport.aborted) == (False, True)
    bench.close()


def test_M6_a_damaged_message_does_not_hide_the_others(bench: Bench) -> None:
    bench.deliver(3)
    client = bench.select()
    bench.store.damaged.add(2)
    for item in (b"ENVELOPE", b"BODY.PEEK[]"):
        lines = client.say(b"FETCH 1:3 " + item)
        numbers = [line[:9] for line in lines if line.startswith(b"* ")]
        assert numbers == [b"* 1 FETCH", b"* 3 FETCH"]
        assert lines[-1].startswith(b"T NO [CORRUPTION]")
    assert client.say(b"FETCH 2 FLAGS")[-1] == b"T OK Fetched"


def test_M6_damage_inside_an_announced_literal_ends_the_connection() -> None:
    bench = Bench()
    bench.services = replace(
        bench.services, limits=replace(bench.services.limits, chunk_octets=1_000)
    )
    bench.deliver_to("alice", b"x" * 5_000)
    client = bench.select()
    bench.store.fail("read", StoreDamaged())
    client.feed(b"f FETCH 1 BODY.PEEK[]\r\n")
    assert client.transport.aborted
    assert b"f OK" not in client.take()
    bench.close()


def test_A_client_that_goes_away_while_bodies_are_read(bench: Bench) -> None:
    bench.deliver(5)
    client = bench.select()
    bench.store.hold("read_many")
    client.feed(b"f FETCH 1:* BODY[]\r\n")
    client.lose()
    bench.store.release("read_many")
    assert client.take() == b""
    assert "store_flags" not in bench.store.calls


def test_commands_behind_a_fetch_are_answered_in_order(bench: Bench) -> None:
    bench.deliver(2)
    client = bench.select()
    bench.store.hold("rows")
    client.feed(b"a FETCH 1 FLAGS\r\nb NOOP\r\nc FETCH 2 FLAGS\r\n")
    assert client.take() == b""
    bench.store.release("rows")
    assert client.lines() == [
        b"* 1 FETCH (FLAGS (\\Recent))",
        b"a OK Fetched",
        b"b OK Done",
        b"* 2 FETCH (FLAGS (\\Recent))",
        b"c OK Fetched",
    ]


def test_reading_pauses_when_much_waits_behind_a_command() -> None:
    bench = Bench()
    bench.deliver_to("alice", MESSAGE)
    client = bench.select()
    bench.store.hold("rows")
    client.feed(b"a FETCH 1 FLAGS\r\n" + b"n NOOP\r\n" * 10_000)
    assert client.transport.producerState == "paused"
    bench.store.release("rows")
    assert client.transport.producerState == "producing"
    assert client.take().count(b"n OK Done") == 10_000
    bench.close()


def test_replies_to_pipelined_commands_leave_in_one_write() -> None:
    bench = Bench()
    bench.deliver_to("alice", MESSAGE)
    client = bench.select()
    before = client.transport.writes
    client.feed(b"a NOOP\r\nb CHECK\r\nc SEARCH ALL\r\nd NOOP\r\n")
    assert client.take().count(b" OK ") == 4
    assert client.transport.writes - before <= 2
    bench.close()


def test_sparse_sets_do_not_cost_a_read_for_each_number(bench: Bench) -> None:
    bench.deliver(40)
    client = bench.select()
    before = bench.store.calls.count("rows")
    numbers = b",".join(b"%d" % n for n in range(1, 41, 2))
    lines = client.say(b"UID FETCH " + numbers + b" (UID)")
    assert lines[:-1] == [b"* %d FETCH (UID %d)" % (n, n) for n in range(1, 41, 2)]
    assert bench.store.calls.count("rows") - before == 1


def test_I8_pipelined_commands_of_a_client_that_reads_nothing_wait() -> None:
    bench = Bench()
    client = bench.log_in()
    client.transport.full = True
    client.feed(b'a LIST "" *\r\n' * 5_000)
    assert len(client.take()) < 200_000
    bench.clock.advance(301)
    assert client.transport.aborted
    bench.close()


def test_N1_a_stranger_that_reads_nothing_gets_no_more_time() -> None:
    bench = Bench()
    client = bench.connect()
    client.protocol.handshakeCompleted()
    client.transport.full = True
    client.feed(b"a CAPABILITY\r\n" * 5_000)
    assert len(client.take()) < 200_000
    bench.clock.advance(181)
    assert client.closed
    bench.close()
