"""``TLS-Required: No`` in a header that streams past (RFC 8689 section 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.smtp_header import HeaderScan


@pytest.mark.parametrize(
    "message, wished",
    [
        (b"TLS-Required: No\r\nSubject: x\r\n\r\nbody", True),
        (b"Subject: x\r\ntls-required:no \r\n\r\nbody", True),
        (b"Subject: x\r\nTLS-Required: Yes\r\n\r\n", False),
        (b"Subject: x\r\nTLS-Required: No, really\r\n\r\n", False),
        (b"Subject: x\r\nX-TLS-Required: No\r\n\r\n", False),
        (b"Subject: TLS-Required: No\r\n\r\n", False),
        (b"Subject: x\r\n\r\nTLS-Required: No\r\n", False),
        (b"", False),
    ],
)
def test_only_a_field_of_the_header_with_this_value_is_a_wish(message: bytes, wished: bool) -> None:
    scan = HeaderScan()
    scan.feed(message)
    assert scan.tls_optional is wished


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_pieces_of_any_size_change_nothing(sizes: list[int]) -> None:
    message = b"Received: a\r\nX: y\r\nTLS-Required: No\r\nReceived: b\r\n\r\nReceived: c\r\n"
    scan = HeaderScan()
    at = 0
    for size in (*sizes, len(message)):
        scan.feed(message[at : at + size])
        at += size
    assert (scan.tls_optional, scan.received_fields) == (True, 2)
