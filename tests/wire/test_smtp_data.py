"""The DATA reader: one true ending, dots, newlines, bounds (SECURITY S1-S3, S5, S27, S33)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.smtp_content import ContentOverrun
from gateway.wire.smtp_data import DataReader
from gateway.wire.smtp_limits import BareNewlines, SmtpLimits
from gateway.wire.smtp_replies import (
    BARE_NEWLINES,
    HEADER_TOO_BIG,
    TOO_BIG,
    TOO_MANY_HOPS,
    Reply,
    too_big,
)

ENDING = b"\r\n.\r\n"

FALSE_ENDINGS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n. \r\n",
    b"\r\n.\t\r\n",
    b"\r\n .\r\n",
]
AT_THE_START = [b"\n.\n", b".\n", b".\r", b"\n.\r\n", b"\r.\r\n"]
SMUGGLED = b"MAIL FROM:<x@y.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nsmuggled\r\n"


class Read:
    """A reader with what it wrote."""

    def __init__(
        self, bare_newlines: BareNewlines = "reject", limits: SmtpLimits | None = None
    ) -> None:
        self.written = b""
        self.reader = DataReader(self._write, limits or SmtpLimits(), bare_newlines)

    def _write(self, data: bytes) -> None:
        self.written += data

    def all_of(self, *chunks: bytes) -> bytes | None:
        """Feed chunks; what came behind the ending, None without an ending."""
        for index, chunk in enumerate(chunks):
            rest = self.reader.feed(chunk)
            if rest is not None:
                return rest + b"".join(chunks[index + 1 :])
        return None

    @property
    def refusal(self) -> Reply | None:
        return self.reader.refusal


def stuffed(message: bytes) -> bytes:
    """As a correct client sends it: the message is CRLF-ended."""
    return (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def in_chunks(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [octets[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("start", [b"Subject: x\r\n\r\nline", b""])
@pytest.mark.parametrize("false_ending", FALSE_ENDINGS + AT_THE_START)
def test_S1_only_the_true_ending_ends(false_ending: bytes, start: bytes) -> None:
    content = start + false_ending + SMUGGLED
    whole, dripped = Read(), Read()
    assert whole.all_of(content, ENDING + b"rest") == b"rest"
    octets = content + ENDING
    assert dripped.all_of(*(octets[i : i + 1] for i in range(len(octets)))) == b""
    assert whole.refusal == dripped.refusal
    has_bare = b"\r" in content.replace(b"\r\n", b"") or b"\n" in content.replace(b"\r\n", b"")
    assert (whole.refusal is BARE_NEWLINES) == has_bare
    if not has_bare:
        assert whole.written == dripped.written
        assert b"smuggled" in whole.written


@pytest.mark.parametrize("false_ending", FALSE_ENDINGS + AT_THE_START)
def test_S1_split_at_every_octet(false_ending: bytes) -> None:
    octets = b"line" + false_ending + SMUGGLED + ENDING
    whole = Read("normalise")
    whole.all_of(octets)
    for cut in range(1, len(octets)):
        read = Read("normalise")
        assert read.all_of(octets[:cut], octets[cut:]) == b""
        assert read.written == whole.written


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\0", b"a", b"\xff"])),
    st.lists(st.integers(0, 10_000), max_size=8),
)
@example([b"."], [])
@example([b".", b"."], [1])
@example([], [])
def test_S1_stored_octets_are_the_sent_ones(pieces: list[bytes], cuts: list[int]) -> None:
    """Whatever the message and however it is cut: what is written is what the client had."""
    message = b"".join(pieces)
    message = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    read = Read()
    assert read.all_of(*in_chunks(stuffed(message) + b"NOOP\r\n", cuts)) == b"NOOP\r\n"
    assert read.refusal is None
    assert read.written == message
    assert read.reader.size_octets == len(message)


@given(st.binary(), st.lists(st.integers(0, 10_000), max_size=6))
def test_S2_normalised_content_depends_on_no_chunking(octets: bytes, cuts: list[int]) -> None:
    octets = octets.replace(ENDING, b"") + ENDING
    if octets.find(ENDING) != len(octets) - 5 or octets.startswith(b".\r\n"):
        return
    whole, cut = Read("normalise"), Read("normalise")
    assert whole.all_of(octets) == b""
    assert cut.all_of(*in_chunks(octets, cuts)) == b""
    assert whole.written == cut.written
    rest = whole.written.replace(b"\r\n", b"")
    assert b"\r" not in rest and b"\n" not in rest


def test_S2_normalise_makes_every_newline_crlf() -> None:
    read = Read("normalise")
    read.all_of(b"a\nb\rc\r\nd\n.\ne\r\n..f\n..g\r\n.\r\n")
    assert read.refusal is None
    assert read.written == b"a\r\nb\r\nc\r\nd\r\n.\r\ne\r\n.f\r\n..g\r\n"


def test_S2_reject_reads_on_and_writes_no_more() -> None:
    read = Read("reject")
    assert read.all_of(b"good\r\n" * 3, b"bad\n", b"more\r\n", b".\r\n") == b""
    assert read.refusal is BARE_NEWLINES
    assert b"more" not in read.written


def test_S3_the_ending_rule_holds_while_discarding() -> None:
    limits = SmtpLimits(size_octets=100)
    read = Read(limits=limits)
    assert (
        read.all_of(b"x" * 200, b"\r\n.\nMAIL FROM:<a@b>\r\n", b"\n.\r\n", b"\r\n.\r\nQUIT")
        == b"QUIT"
    )
    assert read.refusal is not None and read.refusal.status == TOO_BIG.status
    assert read.written == b""


def test_S3_discarding_is_bounded() -> None:
    read = Read(limits=SmtpLimits(size_octets=1000, discard_octets=5000))
    for _ in range(6):
        read.all_of(b"x" * 990 + b"\r\n")
    with pytest.raises(ContentOverrun):
        read.all_of(b"x" * 990 + b"\r\n")


def test_size_is_counted_exactly() -> None:
    for length, refusal in ((100, None), (101, too_big(101, 100))):
        read = Read(limits=SmtpLimits(size_octets=100))
        read.all_of(b"x" * (length - 2) + ENDING)
        assert read.refusal == refusal


@pytest.mark.parametrize("length", [1001, 16385, 1_000_000])
def test_S5_long_lines_are_content(length: int) -> None:
    message = b"x" * length + b"\r\n" + b"\0\xff" * 10 + b"\r\n"
    octets = stuffed(message)
    read = Read()
    assert read.all_of(*(octets[i : i + 16384] for i in range(0, len(octets), 16384))) == b""
    assert read.refusal is None and read.written == message


def test_F1d_a_dot_at_a_chunk_border_is_unstuffed() -> None:
    for border in range(16380, 16390):
        message = b"x" * 16380 + b"\r\n.hidden\r\n..\r\n.\r\n"
        octets = stuffed(message)
        read = Read()
        assert read.all_of(octets[:border], octets[border:]) == b""
        assert read.written == message


@pytest.mark.parametrize("count", [29, 50, 100, 101])
@pytest.mark.parametrize("name", [b"Received:", b"RECEIVED:", b"received:\r\n\t"])
def test_S33_received_fields_are_counted(count: int, name: bytes) -> None:
    header = (name + b" from a by b;\r\n\tdate\r\n") * count
    octets = header + b"Subject: x\r\n\r\nReceived: in the body\r\n" * 5 + b".\r\n"
    for chunks in ([octets], [octets[i : i + 7] for i in range(0, len(octets), 7)]):
        read = Read()
        read.all_of(*chunks)
        assert read.refusal is (TOO_MANY_HOPS if count > 100 else None)


def test_S27_a_header_is_bounded_but_text_without_header_is_not() -> None:
    limits = SmtpLimits(header_octets=1000)
    big_header = Read(limits=limits)
    big_header.all_of(b"X-A: y\r\n" * 200 + b"\r\nbody\r\n.\r\n")
    assert big_header.refusal is HEADER_TOO_BIG
    text = Read(limits=limits)
    text.all_of(b"no header here\r\n" * 200 + b".\r\n")
    assert text.refusal is None
    body = Read(limits=limits)
    body.all_of(b"Subject: x\r\n\r\n" + b"A: b\r\n" * 2000 + b".\r\n")
    assert body.refusal is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n",
        b"no blank line\r\n",
        b"Subject: only a header\r\n",
        b"\0: nul in a name\r\n\r\nx\r\n",
        b"no colon\r\n\r\nx\r\n",
        b"Subject: x\r\n" * 5000 + b"\r\n",
        b"8-bit \xe4\xf6\xfc\r\n",
    ],
)
def test_S27_S28_odd_messages_pass_unchanged(message: bytes) -> None:
    read = Read()
    assert read.all_of(stuffed(message)) == b""
    assert read.refusal is None and read.written == message


def test_S3_the_refusal_says_the_whole_size_however_it_came() -> None:
    for step in (1, 7, 1000):
        read = Read("normalise", SmtpLimits(size_octets=100))
        octets = stuffed(b".\r\n" * 100) + b"\n" * 50
        read.all_of(*(octets[at : at + step] for at in range(0, len(octets), step)))
        assert read.refusal is not None and "300 octets" in read.refusal.text
