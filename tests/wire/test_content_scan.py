"""What a message's octets are, however they are cut into chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.content_scan import Content, ContentScan


def scanned(octets: bytes, step: int = 65_536) -> Content:
    scan = ContentScan()
    for start in range(0, len(octets), step):
        scan.feed(octets[start : start + step])
    return scan.end()


@pytest.mark.parametrize(
    ("octets", "content"),
    [
        (b"", Content(True, False)),
        (b"Subject: x\r\n\r\ntext", Content(True, False)),
        (b"Subject: x\r\n\r\ntext\xff\r\n", Content(True, True)),
        ("Subject: grün\r\n\r\ntext\r\n".encode(), Content(False, True)),
        (b"\r\n\xff", Content(True, True)),
        (b"A: 1\n\n\xff", Content(True, True)),
    ],
)
def test_facts_do_not_depend_on_chunks(octets: bytes, content: Content) -> None:
    for step in (1, 2, 3, 7, 65_536):
        found = scanned(octets, step)
        assert (found.ascii_header, found.eight_bit) == (content.ascii_header, content.eight_bit)


OCTETS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b"\xff", b"a: b", b"x" * 600])
).map(b"".join)


@given(OCTETS, st.integers(min_value=1, max_value=20))
def test_any_octets_have_the_same_facts_in_any_chunks(octets: bytes, step: int) -> None:
    content = scanned(octets, step)
    assert content == scanned(octets)
    assert content.eight_bit == (b"\xff" in octets)
