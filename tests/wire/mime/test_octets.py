"""Large messages in windows: the same answers as from all octets at once, with bounded memory, and
work that grows no faster than the message."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import StoreDamaged
from gateway.wire.mime import headers
from gateway.wire.mime.octets import Windows
from gateway.wire.mime.summary import summarise
from tests.support import corpus
from tests.wire.mime.test_summary import LIKE_MESSAGES


class Counted(Windows):
    """Counts the octets that were handed out or searched."""

    def __init__(self, message: bytes, window_octets: int = 65_536) -> None:
        super().__init__(self._cut, len(message), window_octets)
        self._message = message
        self.octets = 0

    def _cut(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self._message)
        self.octets += end - start
        return self._message[start:end]

    def __getitem__(self, key: slice, /) -> bytes:
        found = super().__getitem__(key)
        self.octets += len(found)
        return found


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"b", b"\n", b"--", b"\r"]), max_size=60).map(b"".join),
    st.lists(st.sampled_from([b"a", b"\n", b"-"]), min_size=1, max_size=4).map(b"".join),
    st.integers(5, 9),
    st.integers(0, 70),
    st.integers(0, 70),
)
def test_windows_answer_as_bytes_do(
    message: bytes, sub: bytes, step: int, start: int, end: int
) -> None:
    windows = Windows(lambda a, b: message[a:b], len(message), step)
    assert windows.find(sub, start) == message.find(sub, start)
    assert windows[start:end] == message[start:end]
    last = min(end, len(message))
    for _ in range(2):
        assert windows.count(b"\n", start, last) == message.count(b"\n", start, last)
    assert windows.find(sub, 0) == message.find(sub)
    assert len(windows) == len(message)


@settings(deadline=None)
@given(LIKE_MESSAGES | st.binary(max_size=200), st.integers(5, 40), st.integers(1, 64))
def test_any_octets_have_the_same_summary_in_windows(message: bytes, step: int, read: int) -> None:
    usual, headers.HEADER_STEP_OCTETS = headers.HEADER_STEP_OCTETS, read
    try:
        assert summarise(Counted(message, step)) == summarise(message)
    finally:
        headers.HEADER_STEP_OCTETS = usual


def test_real_messages_have_the_same_summary_in_windows() -> None:
    for path in corpus.all_files():
        message = corpus.read(path)
        assert summarise(Counted(message, 2048)) == summarise(message), path


def test_M6_what_cannot_be_read_is_told_and_is_not_taken_for_an_opaque_message() -> None:
    def damaged(start: int, end: int) -> bytes:
        raise StoreDamaged()

    with pytest.raises(StoreDamaged):
        summarise(Windows(damaged, 5_000_000))


def test_M6_fifty_mebibytes_take_a_few_of_memory() -> None:
    head = (
        b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/zip\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )
    line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFC\r\n"
    tail = b"--b--\r\n"
    size = 50 * 1024 * 1024
    lines = line * 32_768

    def read(start: int, end: int) -> bytes:
        """Of head, lines without end, tail."""
        first = min(max(start - len(head), 0) % len(line), len(line))
        middle = lines[first : first + end - start]
        octets = head[start:end] + middle[: end - max(start, len(head))]
        return octets[: max(0, min(end, size - len(tail)) - start)] + (
            tail[max(0, start - size + len(tail)) :] if end > size - len(tail) else b""
        )

    tracemalloc.start()
    try:
        summary = summarise(Windows(read, size))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert summary.note == "" and summary.preview == "hello"
    assert summary.parts["2"].body_end > size - 200
    assert peak < 12 * 1024 * 1024


def steps(work: Callable[[], object]) -> int:
    """Calls of functions, ours and the interpreter's own."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
HTML = b"Content-Type: text/html\r\n\r\n"
NASTY: dict[str, Callable[[int], bytes]] = {
    "semicolons": lambda n: b"Content-Type: text/plain" + b";" * n + b"\r\n\r\n",
    "addresses": lambda n: b"To: " + b"a@b," * n + b"\r\n\r\n",
    "broken addresses": lambda n: b"From: " + b'<"(' * n + b"\r\n\r\n",
    "many address fields": lambda n: b"To: a@b\r\n" * n + b"\r\n",
    "comments": lambda n: b"Content-Type: " + b"(" * n + b")" * n + b"text/html\r\n\r\n",
    "parameter sections": lambda n: b"Content-Type: text/plain"
    + b"".join(b"; n*%d*=x" % index for index in range(n)) + b"\r\n\r\n",
    "encoded words": lambda n: b"Subject: " + b"=?utf-8?q??=" * n + b"\r\n\r\n",
    "folded": lambda n: b"Subject: " + b"x\r\n " * n + b"\r\n\r\n",
    "small fields": lambda n: b"a:\r\n" * n + b"\r\n",
    "parts": lambda n: MIXED + b"--b\r\n\r\n" * n,
    "closed and opened": lambda n: MIXED
    + b"--b\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\n--i--\r\n" * n,
    "nearly delimiters": lambda n: MIXED + b"--bb\r\n" * n,
    "hyphens": lambda n: MIXED + b"\n" + b"-" * n * 50,
    "empty parts tried for a preview": lambda n: MIXED + b"--b\r\n\r\n>\r\n" * n,
    "tags": lambda n: HTML + b"<" * n * 20,
    "comments in html": lambda n: HTML + b"<!--" * n * 5,
    "styles": lambda n: HTML + b"<style>" * n * 5,
    "references": lambda n: HTML + b"&nbsp;&zwnj;" * n * 5,
    "fill characters": lambda n: b"\r\n" + "\u200b\u200c\u034f".encode() * n * 5,
    "soft line ends": lambda n: b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"=\r\n" * n * 20,
    "one long line": lambda n: b"\r\n" + b"x" * n * 50,
    "nul octets": lambda n: b"\0" * n * 50,
}  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_F5_M1_M2_M3_work_grows_no_faster_than_the_message(name: str) -> None:
    make = NASTY[name]
    sizes, calls, octets = [], [], []
    for factor in (1, 2, 4):
        message = make(500 * factor)
        sizes.append(len(message))
        calls.append(steps(lambda message=message: summarise(message)))  # type: ignore[misc]
        counted = Counted(message)
        parts = len(summarise(counted).parts)
        octets.append(counted.octets)
    for counts in (calls, octets):
        for index, times in ((1, 2), (2, 4)):
            assert counts[index] <= 1.2 * times * counts[0] + 50_000, (name, sizes, calls, octets)
    # A bounded number of looks at each octet, and a bounded piece for the header of each part.
    most = 8 * sizes[-1] + 2 * headers.HEADER_STEP_OCTETS * parts + 100_000
    assert octets[-1] <= most, (name, sizes, octets)
