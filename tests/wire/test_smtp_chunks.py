"""BDAT: counted exactly, never run as commands, bounded (SECURITY S4, S10-S14, RFC 3030)."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.smtp_chunks import MAX_EMPTY_CHUNKS, ChunkReader
from gateway.wire.smtp_commands import Bdat
from gateway.wire.smtp_content import Newlines
from gateway.wire.smtp_data import DataReader
from gateway.wire.smtp_events import ChunkEnded, Refused
from gateway.wire.smtp_extensions import Offer
from gateway.wire.smtp_limits import SmtpLimits
from gateway.wire.smtp_order import Phase
from gateway.wire.smtp_replies import BARE_NEWLINES, HEADER_TOO_BIG, TOO_MANY_HOPS, Reply
from tests.support.smtp_core import ALL, EHLO, LIMITS, MAIL, RCPT, Talk, door_offer

BINARY = b"MAIL FROM:<a@b.test> BODY=BINARYMIME"
SMALL = SmtpLimits(size_octets=100, discard_octets=300, line_octets=200, auth_line_octets=300)


def ready(**how: object) -> Talk:
    return Talk(EHLO, MAIL, RCPT, **how)  # type: ignore[arg-type]


def bdat(octets: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


# -- a message


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7, 50])
def test_chunks_make_one_message(step: int) -> None:
    talk = ready()
    octets = bdat(b"Subject: x\r\n") + bdat(b"\r\n.\r\n..\r\n") + bdat(b"end", last=True)
    names = talk.say(octets + b"NOOP\r\n" + MAIL + b"\r\n", step)
    assert names == ["BDAT", "ChunkEnded"] * 3 + ["NOOP", "MAIL"]
    assert talk.messages == [b"Subject: x\r\n\r\n.\r\n..\r\nend"]


@pytest.mark.parametrize("step", [0, 1, 5])
def test_S13_what_looks_like_commands_in_a_chunk_is_content(step: int) -> None:
    content = b"x\r\nQUIT\r\n.\r\nEHLO y\r\nBDAT 3\r\n"
    talk = ready()
    assert talk.say(bdat(content, last=True), step) == ["BDAT", "ChunkEnded"]
    assert talk.messages == [content] and talk.core.phase is Phase.READY


def test_an_empty_last_chunk_ends_a_message() -> None:
    talk = ready()
    assert talk.say(bdat(b"all of it\r\n") + bdat(b"", last=True))[-1] == "ChunkEnded"
    assert talk.messages == [b"all of it\r\n"]
    empty = ready()
    assert empty.say(b"BDAT 0 LAST\r\n") == ["BDAT", "ChunkEnded"]
    assert empty.messages == [b""]


def test_S13_rset_and_ehlo_between_chunks_forget_the_message() -> None:
    for line in (b"RSET", EHLO):
        talk = ready()
        talk.say(bdat(b"old"))
        assert talk.core.phase is Phase.CHUNKS and talk.core.in_content
        talk.say(line + b"\r\n" + MAIL + b"\r\n" + RCPT + b"\r\n")
        assert talk.core.content_octets == 0
        talk.written = b""  # a door discards the body
        talk.say(bdat(b"new", last=True))
        assert talk.messages == [b"new"]


def test_the_size_so_far_is_known_between_chunks() -> None:
    talk = ready()
    talk.say(bdat(b"12345") + b"NOOP\r\n")
    assert talk.core.content_octets == 5
    assert talk.say(bdat(b"", last=True))[-1] == "ChunkEnded" and talk.core.content_octets == 0


# -- order


@pytest.mark.parametrize(
    ("before", "reply"),
    [
        ((), "503 5.5.1"),
        ((b"HELO x",), "503 5.5.1"),
        ((EHLO,), "503 5.5.1"),
        ((EHLO, MAIL), "503 5.5.1"),
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_S10_a_chunk_out_of_order_is_swallowed(
    before: tuple[bytes, ...], reply: str, step: int
) -> None:
    talk = Talk(*before)
    for last in (False, True):
        names = talk.say(bdat(b"QUIT\r\nSTARTTLS\r\n", last=last) + b"NOOP\r\n", step)
        assert names == [reply, "NOOP"]
    assert talk.messages == []


def test_S10_all_recipients_refused() -> None:
    for lmtp, reply in ((False, "554 5.5.1"), (True, "503 5.5.1")):
        hello = b"LHLO x" if lmtp else EHLO
        talk = Talk(hello, MAIL, offer=Offer(door_offer(lmtp=lmtp)))
        talk.core.recipient_refused()
        assert talk.say(bdat(b"QUIT\r\n", last=True)) == [reply]
        assert talk.say(RCPT + b"\r\n" + bdat(b"x", last=True))[-1] == "ChunkEnded"


def test_S14_a_chunk_that_was_not_offered_is_swallowed() -> None:
    talk = Talk(EHLO, MAIL, RCPT, offer=Offer(door_offer(*ALL - {"CHUNKING", "BINARYMIME"})))
    assert talk.say(bdat(b"QUIT\r\n") + b"NOOP\r\n") == ["502 5.5.1", "NOOP"]


def test_S13_bdat_and_data_do_not_mix() -> None:
    talk = ready()
    assert talk.say(bdat(b"x") + b"DATA\r\n")[-1] == "503 5.5.1"
    assert talk.say(RCPT + b"\r\n" + MAIL + b"\r\nAUTH PLAIN\r\n") == ["503 5.5.1"] * 3
    assert talk.say(bdat(b"y", last=True))[-1] == "ChunkEnded" and talk.messages == [b"xy"]
    early = ready()
    assert early.say(bdat(b"x") + b"DATA\r\nSubject: y\r\n")[-1] == "503 5.5.1 closed"


def test_S13_binary_content_comes_by_bdat() -> None:
    talk = Talk(EHLO, BINARY, RCPT)
    assert talk.say(b"DATA\r\n") == ["503 5.5.1"]
    content = b"\x00\r\n\n\r\xff\n\n\r"
    assert talk.say(bdat(content[:5]) + bdat(content[5:], last=True))[-1] == "ChunkEnded"
    assert talk.messages == [content]
    assert talk.say(MAIL + b"\r\n" + RCPT + b"\r\nDATA\r\n") == ["MAIL", "RCPT", "DATA"]


def test_S13_bdat_after_the_last() -> None:
    talk = ready()
    names = talk.say(bdat(b"x", last=True) + bdat(b"QUIT\r\n") + b"NOOP\r\n")
    assert names == ["BDAT", "ChunkEnded", "503 5.5.1", "NOOP"]


# -- sizes


@pytest.mark.parametrize(
    "line",
    [
        b"BDAT",
        b"BDAT -1",
        b"BDAT +5",
        b"BDAT 0x10",
        b"BDAT 5 FIRST",
        b"BDAT 5 LAST x",
        b"BDAT 18446744073709551616",
        b"BDAT " + b"9" * 40,
        b"BDAT\t5",
        b"BDAT$5",
        b"BDAT LAST",
        b"BDAT 5\n",
    ],
)
@pytest.mark.parametrize("before", [(), (EHLO,), (EHLO, MAIL, RCPT)])
def test_S11_a_size_that_is_none_closes(line: bytes, before: tuple[bytes, ...]) -> None:
    (name,) = Talk(*before).say(line + b"\r\nhello\r\nQUIT\r\n")
    assert name.endswith(" closed")
    if before == (EHLO, MAIL, RCPT) and line[4:5] in (b" ", b""):
        assert name.startswith("501 5.5.4") or b"\n" in line


def test_S11_over_size_is_552_and_then_bounded() -> None:
    talk = ready(limits=SMALL)
    names = talk.say(bdat(b"x" * 90) + bdat(b"y" * 11) + bdat(b"z" * 10, last=True) + b"NOOP\r\n")
    assert names == ["BDAT", "ChunkEnded", "BDAT", "552 5.3.4", "503 5.5.1", "NOOP"]
    assert talk.messages == []
    assert talk.say(bdat(b"y" * 279) + bdat(b"z")) == ["503 5.5.1", "421 4.7.0 closed"]


def test_S11_a_huge_size_closes_at_the_bound() -> None:
    talk = ready(limits=SMALL)
    talk.say(b"BDAT 9999999999999999999 LAST\r\n")
    for _ in range(30):
        assert talk.say(b"x" * 10) == []
        assert talk.core.buffered == 0
    assert talk.say(b"x") == ["421 4.7.0 closed"] and talk.written == b""


def test_S11_the_bound_begins_anew_with_the_next_mail() -> None:
    talk = Talk(EHLO, limits=SMALL)
    for _ in range(5):
        assert talk.say(bdat(b"x" * 250)) == ["503 5.5.1"]
        assert talk.say(MAIL + b"\r\nRSET\r\n") == ["MAIL", "RSET"]


def test_size_is_counted_exactly() -> None:
    for length, name in ((100, "ChunkEnded"), (101, "552 5.3.4")):
        assert ready(limits=SMALL).say(bdat(b"x" * length, last=True))[-1] == name


def test_S12_many_tiny_chunks_take_no_memory() -> None:
    core = ready().core
    octets = b"BDAT 1\r\nx" * 1000

    def one_round() -> None:
        core.feed(octets)
        while (event := core.next_event()) is not None:
            if isinstance(event, Bdat):
                core.start_chunk(lambda _: None)
            else:
                assert event == ChunkEnded(1, False, None)

    one_round()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(99):
        one_round()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert core.content_octets == 100_000 and grown < 20_000


def test_S12_a_large_chunk_streams() -> None:
    limits = SmtpLimits()
    core = ready(limits=limits).core
    longest = 0
    written = 0

    def write(octets: bytes) -> None:
        nonlocal longest, written
        longest, written = max(longest, len(octets)), written + len(octets)

    core.feed(b"BDAT 16000000 LAST\r\n")
    assert core.next_event() == Bdat(16_000_000, last=True)
    core.start_chunk(write)
    for _ in range(1000):
        assert core.next_event() is None
        core.feed(b"x" * 16_000)
    assert core.next_event() == ChunkEnded(16_000_000, True, None)
    assert (written, longest) == (16_000_000, 16_000)


def test_empty_chunks_are_bounded() -> None:
    talk = ready()
    names = talk.say(b"BDAT 0\r\n" * (MAX_EMPTY_CHUNKS + 1))
    assert names[:2] == ["BDAT", "ChunkEnded"] and names[-1] == "421 4.7.0 closed"


# -- refusals


def test_S4_S14_a_bare_newline_refuses_and_ends_the_transaction() -> None:
    for first, second in ((b"a\nb", b"c"), (b"a\r", b"b"), (b"ok\r\n", b"\r")):
        talk = ready()
        names = talk.say(bdat(first) + bdat(second, last=True) + b"NOOP\r\n" + RCPT + b"\r\n")
        assert "550 5.5.2" in names and names[-2:] == ["NOOP", "503 5.5.1"]
        assert talk.messages == []


def test_S14_a_crlf_over_the_border_of_chunks_is_whole() -> None:
    for newlines in ("reject", "normalise"):
        talk = ready(newlines=newlines)
        talk.say(bdat(b"a\r") + bdat(b"") + bdat(b"\nb", last=True))
        assert talk.messages == [b"a\r\nb"]


def test_S14_bare_newlines_are_normalised_where_that_is_the_policy() -> None:
    talk = ready(newlines="normalise")
    talk.say(bdat(b"a\nb\r") + bdat(b"c\r\n\r", last=True))
    assert talk.messages == [b"a\r\nb\r\nc\r\n\r\n"]


def test_the_door_refuses_a_chunk() -> None:
    no_room = Reply(452, "4.3.1", "no room")
    core = ready().core
    core.feed(bdat(b"QUIT\r\n") + bdat(b"QUIT\r\n", last=True) + b"NOOP\r\n")
    assert core.next_event() == Bdat(6, last=False)
    core.refuse_chunk(no_room)
    assert core.in_content
    assert core.next_event() == ChunkEnded(6, False, no_room)
    assert core.phase is Phase.READY
    assert isinstance(core.next_event(), Refused)
    assert getattr(core.next_event(), "verb", None) is not None


def test_S4_S10_an_abandoned_chunk_is_swallowed_in_silence() -> None:
    core = ready().core
    core.feed(b"BDAT 6\r\nQU")
    assert core.next_event() == Bdat(6, last=False)
    core.abandon()
    assert core.next_event() is None
    core.feed(b"IT\r\nNOOP\r\n")
    assert getattr(core.next_event(), "verb", None) is not None
    assert core.phase is Phase.READY and core.next_event() is None


@pytest.mark.parametrize(
    ("content", "reply"),
    [
        (b"Received: x\r\n" * 101, TOO_MANY_HOPS),
        (b"X-A: y\r\n" * 200_000, HEADER_TOO_BIG),
        (b"a\nb\r\n\r\n", BARE_NEWLINES),
    ],
)
def test_S27_S33_content_is_judged_as_with_data(content: bytes, reply: Reply) -> None:
    written: list[bytes] = []
    data = DataReader(written.append, SmtpLimits(), "reject")
    data.feed(content + b"\r\n.\r\n")
    chunks = ChunkReader(written.append, SmtpLimits(), "reject")
    for start in range(0, len(content), 1000):
        chunks.feed(content[start : start + 1000])
    chunks.finish()
    assert data.refusal is chunks.refusal is reply


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\0", b"a", b"\xff"])),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.sampled_from(["reject", "normalise", "keep"]),
)
def test_S14_what_is_written_depends_on_no_border(
    pieces: list[bytes], cuts: list[int], newlines: Newlines
) -> None:
    octets = b"".join(pieces)
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    results = []
    for chunks in ([octets], [octets[a:b] for a, b in pairwise(edges)]):
        written: list[bytes] = []
        reader = ChunkReader(written.append, LIMITS, newlines)
        for chunk in chunks:
            reader.feed(chunk)
        reader.finish()
        assert reader.octets == len(octets)
        results.append((reader.refusal, b"" if reader.refusal else b"".join(written)))
    assert results[0] == results[1]
    has_bare = set(octets.replace(b"\r\n", b"")) & set(b"\r\n")
    assert (results[0][0] is BARE_NEWLINES) == bool(has_bare and newlines == "reject")
    if newlines == "keep":
        assert results[0][1] == octets
