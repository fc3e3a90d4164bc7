"""Replies are read whole, whatever the segments, and bounded (SECURITY S9, S26)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.smtp_client_reply import MAX_TEXT, Reply, ReplyMalformed, ReplyReader


def read(data: bytes, step: int = 1 << 20) -> list[Reply]:
    reader = ReplyReader()
    replies = []
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while (reply := reader.next()) is not None:
            replies.append(reply)
    return replies


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_replies_do_not_depend_on_segments(step: int) -> None:
    data = b"220 hi\r\n250-mx.example\r\n250-SIZE 10\r\n250 HELP\r\n354\r\n"
    assert [(r.code, r.lines) for r in read(data, step)] == [
        (220, (b"hi",)),
        (250, (b"mx.example", b"SIZE 10", b"HELP")),
        (354, (b"",)),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"99 x\r\n",
        b"100 x\r\n",
        b"600 x\r\n",
        b"250x\r\n",
        b"250-a\r\n251 b\r\n",
        b"\r\n",
        b"220 " + b"x" * 2048,
        b"220 " + b"x" * 3000 + b"\r\n",
        b"250-x\r\n" * 200,
    ],
)
def test_S26_junk_and_endless_replies_end_the_conversation(data: bytes) -> None:
    with pytest.raises(ReplyMalformed):
        read(data)


def test_S26_a_slow_endless_line_is_not_kept() -> None:
    reader = ReplyReader()
    with pytest.raises(ReplyMalformed):
        for _ in range(100):
            reader.feed(b"2" * 100)
            reader.next()


@pytest.mark.parametrize(
    "data, status, text",
    [
        (b"550 5.1.1 no such user\r\n", "5.1.1", "550 5.1.1 no such user"),
        (b"550 no such user\r\n", "5.0.0", "550 no such user"),
        (b"450 5.1.1 class does not fit\r\n", "4.0.0", "450 5.1.1 class does not fit"),
        (b"550-5.7.1 go\r\n550 5.7.1 away\r\n", "5.7.1", "550 5.7.1 go away"),
        (b"550 5.1.1.1 odd\r\n", "5.0.0", "550 5.1.1.1 odd"),
    ],
)
def test_status_and_text(data: bytes, status: str, text: str) -> None:
    (reply,) = read(data)
    assert (reply.status, reply.text) == (status, text)


@given(st.binary(max_size=3000))
def test_S9_the_text_is_one_bounded_printable_line(junk: bytes) -> None:
    text = Reply(550, (junk, junk)).text
    assert len(text) <= MAX_TEXT and text.isascii() and text.isprintable()


@given(st.binary(max_size=400))
def test_any_octets_give_replies_or_the_one_error(junk: bytes) -> None:
    try:
        read(junk, 3)
    except ReplyMalformed:
        return
