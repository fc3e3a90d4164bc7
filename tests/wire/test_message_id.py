"""The Message-ID as it is looked for: whatever its spelling, folded or not, in the header alone."""

from __future__ import annotations

import pytest

from gateway.wire.message_id import MAX_OCTETS, message_id_in


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b"Subject: x\r\nMessage-ID: <a@b>\r\n\r\ntext", "<a@b>"),
        (b"Message-ID: <a@b>\r\n\r\ntext", "<a@b>"),
        (b"message-id:<a@b>\r\nX: y\r\n\r\n", "<a@b>"),
        (b"Subject: x\r\nMESSAGE-ID:\t<a@b> \r\n\r\n", "<a@b>"),
        (b"Subject: x\r\nMessage-Id:\r\n <a@\r\n\tb>\r\nFrom: c\r\n\r\n", "<a@b>"),
        (b"Subject: x\r\nMessage-ID: <a@b>", "<a@b>"),
        (b"Subject: x\r\n\r\nMessage-ID: <a@b>\r\n", ""),
        (b"X-Message-ID: <a@b>\r\nSubject: Message-ID: <c@d>\r\n\r\n", ""),
        (b"Subject: x\r\nMessage-ID:\r\n\r\n", ""),
        (b"\r\nMessage-ID: <a@b>\r\n\r\n", ""),
        (b"", ""),
        (b"Message-ID: \xff\xfe<a@b>\r\n\r\n", "\ufffd\ufffd<a@b>"),
    ],
)
def test_it_is_found_in_the_header(start: bytes, found: str) -> None:
    assert message_id_in(start) == found


def test_it_is_bounded() -> None:
    assert len(message_id_in(b"Message-ID: <" + b"a" * 5000 + b">\r\n\r\n")) <= MAX_OCTETS
