"""How often a message came through a host (SECURITY S34)."""

from __future__ import annotations

import pytest

from gateway.wire.hops import delivered_to, times_through

OURS = b"Received: from a ([192.0.2.1])\r\n\tby mail.x.test with ESMTP id 1;\r\n\tThu\r\n"


@pytest.mark.parametrize(
    ("start", "times"),
    [
        (b"", 0),
        (b"Subject: x\r\n\r\n" + OURS, 0),
        (OURS + b"Subject: x\r\n" + OURS + b"\r\n" + OURS, 2),
        (b"RECEIVED : from a by MAIL.X.test; Thu\r\n\r\n", 1),
        (b"Received: by mail.x.test\r\n\r\n", 1),
        (b"Received: by mail.x.test\r\n (Postfix)\r\n\r\n", 1),
        (b"Received: from a\r\n by\r\n\tmail.x.test (Postfix)\r\n\r\n", 1),
        (b"Received: from mail.x.test by other.x.test; Thu\r\n\r\n", 0),
        (b"Received: from a by mail.x.test.other.test; Thu\r\n\r\n", 0),
        (b"Received: from a by not-mail.x.test; Thu\r\n\r\n", 0),
        (b"X-Received: from a by mail.x.test; Thu\r\n\r\n", 0),
        (b"Received: from a\r\nSubject: by mail.x.test\r\n\r\n", 0),
    ],
)
def test_S34_fields_of_this_host_are_counted(start: bytes, times: int) -> None:
    assert times_through(start, "mail.x.test") == times


def test_S34_counting_is_linear() -> None:
    for start in (b"Received:" + b" by\t" * 20_000, b"Received:\r\n " * 8_000, b"received" * 9_000):
        assert times_through(start, "mail.x.test") == 0


@pytest.mark.parametrize(
    ("start", "addresses"),
    [
        (b"", set()),
        (b"Delivered-To: Bob@x.test\r\nReceived: x\r\nDELIVERED-TO:<ann@x.test>\r\n",
         {"bob@x.test", "ann@x.test"}),
        (b"Delivered-To: \xff\r\n\r\nDelivered-To: bob@x.test\r\n", {"\ufffd"}),
        (b"X-Delivered-To: bob@x.test\r\n", set()),
        (b"Delivered-To: b@x.test\r\nResent-To: x\r\nDelivered-To: c@x.test\r\n", {"b@x.test"}),
    ],
)  # fmt: skip
def test_S34_it_is_read_for_whom_a_message_was_delivered(start: bytes, addresses: set[str]) -> None:
    assert delivered_to(start) == addresses
