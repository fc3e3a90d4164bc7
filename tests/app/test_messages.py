"""Frames between parent and workers: what goes in comes out, in whatever pieces it arrives."""

from __future__ import annotations

import pytest

from gateway.app.messages import (
    MAX_FRAME_OCTETS,
    Doubt,
    Failed,
    FrameReader,
    Hints,
    Lead,
    Message,
    Ready,
    Reload,
    StatusAnswer,
    StatusAsked,
    encode,
)
from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent

EVENT = MailboxEvent(AccountId("a-ä\udcff"), MailboxId(2**40), ModSeq(2**62))
ALL: list[Message] = [
    Hints((EVENT, EVENT), True),
    Hints(()),
    Doubt(),
    Ready(),
    Failed(2, "x.toml: found nothing; expected\nmore"),
    Lead(),
    Reload({"default": {"key": "\x00\xff"}}),
    StatusAsked(7, True),
    StatusAnswer(7, {"sessions": {"imap": 3}}),
]


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_messages_arrive_as_they_were_sent(piece: int) -> None:
    octets = b"".join(map(encode, ALL))
    reader = FrameReader()
    heard = [
        message
        for start in range(0, len(octets), piece)
        for message in reader.feed(octets[start : start + piece])
    ]
    assert heard == ALL


def test_what_stands_behind_a_message_waits_for_whoever_asks_next() -> None:
    reader = FrameReader()
    assert next(reader.feed(encode(Ready()) + encode(Doubt())[:3])) == Ready()
    assert list(reader.feed(encode(Doubt())[3:])) == [Doubt()]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"5",
        b"[]",
        b'["Nonsense"]',
        b'["Ready",1]',
        b'["Hints",[[1]],false]',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_nonsense_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        list(FrameReader().feed(len(payload).to_bytes(4, "big") + payload))


def test_a_frame_is_bounded_on_both_ends() -> None:
    with pytest.raises(ValueError, match="too large"):
        encode(Failed(1, "x" * MAX_FRAME_OCTETS))
    with pytest.raises(ValueError, match="too large"):
        list(FrameReader().feed((MAX_FRAME_OCTETS + 1).to_bytes(4, "big")))


def test_a_private_key_is_not_shown() -> None:
    assert "secret" not in repr(Reload({"default": {"key": "secret"}}))
