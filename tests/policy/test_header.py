"""The check of a header field: patterns, where a header ends, and that no value takes long."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from gateway.core.errors import StoreUnavailable
from gateway.policy.ground import Ground
from gateway.policy.header import MAX_HEADER, HeaderCheck, matcher
from gateway.policy.verdicts import Action, Stage
from tests.policy.facts import facts, now


class Message:
    """Content that gives at most ``piece`` octets at a time."""

    def __init__(self, octets: bytes, piece: int = 100_000) -> None:
        self.octets = octets
        self.piece = piece
        self.reads = 0
        self.fails = False

    @property
    def size_octets(self) -> int:
        return len(self.octets)

    async def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        if self.fails:
            raise StoreUnavailable
        return self.octets[offset : offset + min(length, self.piece)]


def action(octets: bytes, pattern: str = "*lottery*", piece: int = 100_000, **more: bool) -> str:
    ground = Ground("header", defers_on_trouble=more.get("defers", False))
    check = HeaderCheck(ground, "Subject", pattern, Action.QUARANTINE)
    about = facts()
    content = Message(octets, piece)
    content.fails = more.get("fails", False)
    about.content = content
    verdict = now(check, about, Stage.CONTENT)
    return verdict.action.value if verdict is not None else ""


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("lottery", "Lottery", True),
        ("lottery", "the lottery", False),
        ("*lottery*", "The LOTTERY!", True),
        ("l?ttery", "lattery", True),
        ("win*big*", "win something big", True),
        ("win*big", "win bigger", False),
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("*", "", True),
        ("a*b*c", "axbxbxc", True),
        ("[x].*", "[x].y", True),
        ("[x].*", "x.y", False),
        ("straße", "STRASSE", True),
    ],
)
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    assert matcher(pattern)(text) is matches


def test_no_value_takes_long() -> None:
    # With backtracking this would take longer than the universe has.
    assert not matcher("a*" * 90 + "b")("a" * 4096)


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: You won the lottery\r\n",
        b"X: y\r\nSUBJECT : lottery\r\n",
        b"Subject: won the\r\n lottery\r\n",
        b"Subject: =?utf-8?b?bG90dGVyeQ==?=\r\n",
        b"Subject: fine\r\nSubject: lottery\r\n",
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_a_field_is_found_however_it_is_written(header: bytes, piece: int) -> None:
    assert action(header + b"\r\nbody", piece=piece) == "quarantine"


@pytest.mark.parametrize(
    "message",
    [
        b"From: x\r\n\r\nSubject: lottery\r\n",
        b"\r\nSubject: lottery\r\n",
        b"X-Subject: lottery\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_such_field_is_none(message: bytes) -> None:
    assert action(message) == ""


def test_of_an_endless_header_the_beginning_is_looked_at() -> None:
    content = Message(b"X: y\r\n" * 1_000_000)
    about = facts()
    about.content = content
    assert now(HeaderCheck(Ground("h"), "Subject", "*", Action.REJECT), about) is None
    assert content.reads <= MAX_HEADER // 65_536 + 1


@pytest.mark.parametrize("defers", [False, True])
def test_a_message_that_cannot_be_read_goes_on_unless_it_is_said_otherwise(defers: bool) -> None:
    assert action(b"Subject: x\r\n", fails=True, defers=defers) == ("defer" if defers else "pass")


def test_A9_the_value_is_recorded_escaped_and_bounded() -> None:
    about = facts()
    about.content = Message(b"Subject: a\x1b[31m\x00" + b"b" * 3000 + b"\r\n\r\n")
    verdict = now(HeaderCheck(Ground("h"), "Subject", "a*", Action.TAG), about, Stage.CONTENT)
    assert verdict is not None
    value = verdict.inputs["value"]
    assert value.isprintable() and value.isascii() and len(value) < 1300


def test_it_waits_for_the_message() -> None:
    slow: Deferred[bytes] = Deferred()

    class Slow(Message):
        async def read(self, offset: int, length: int) -> bytes:
            return await slow

    about = facts()
    about.content = Slow(b"Subject: x\r\n\r\n")
    answer = HeaderCheck(Ground("h"), "Subject", "x", Action.REJECT).judge(Stage.CONTENT, about)
    assert isinstance(answer, Deferred) and not answer.called
    slow.callback(b"Subject: x\r\n\r\n")
    assert answer.result is not None
