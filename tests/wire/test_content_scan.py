"""What a message's octets are, however they are cut into chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.content_scan import MAX_LINE_OCTETS, Content, ContentScan


def scanned(octets: bytes, step: int = 65_536) -> Content:
    scan = ContentScan()
    for start in range(0, len(octets), step):
        scan.feed(octets[start : start + step])
    return scan.end()


@pytest.mark.parametrize(
    ("octets", "content"),
    [
        (b"", Content(True, False, True)),
        (b"Subject: x\r\n\r\ntext", Content(True, False, True)),
        (b"Subject: x\r\n\r\ntext\xff\r\n", Content(True, True, True)),
        ("Subject: grün\r\n\r\ntext\r\n".encode(), Content(False, True, True)),
        (b"\r\n\xff", Content(True, True, True)),
        (b"A: 1\n\n\xff", Content(True, True, False)),
        (b"A: 1\r\n\r\na\0b", Content(True, False, False)),
        (b"A: 1\r\n\r\na\rb", Content(True, False, False)),
        (b"A: 1\r\n\r\na\r", Content(True, False, False)),
        (b"A: 1\r\n\r\na\r\r\n", Content(True, False, False)),
        (b"x" * MAX_LINE_OCTETS + b"\r\n", Content(True, False, True)),
        (b"x" * (MAX_LINE_OCTETS + 2), Content(True, False, False)),
    ],
)
def test_facts_do_not_depend_on_chunks(octets: bytes, content: Content) -> None:
    for step in (1, 2, 3, 7, 65_536):
        assert scanned(octets, step) == content


OCTETS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b"\xff", b"a: b", b"x" * 600])
).map(b"".join)


@given(OCTETS, st.integers(min_value=1, max_value=20))
def test_text_is_what_dot_stuffing_leaves_as_it_is(octets: bytes, step: int) -> None:
    content = scanned(octets, step)
    assert content == scanned(octets)
    whole = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    lines = octets.split(b"\r\n")
    assert (
        content.is_text
        == (whole == octets and b"\0" not in octets and max(map(len, lines)) <= MAX_LINE_OCTETS)
        or max(map(len, lines)) == MAX_LINE_OCTETS + 1
    )  # without its CRLF it may be one longer
    assert content.eight_bit == (b"\xff" in octets)
