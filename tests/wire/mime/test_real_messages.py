"""Every real message at hand: sound summaries, and the standard library as a second opinion."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from gateway.wire.mime.budget import Budget
from gateway.wire.mime.structure import Part, scan
from gateway.wire.mime.summary import decode, encode, summarise
from gateway.wire.mime.text import body_text, header_text
from tests.support import corpus
from tests.wire.mime.checks import check_summary

_TYPE = re.compile(r"[a-z0-9.+_-]+/[a-z0-9.+_-]+")

Tree = tuple[str, tuple["Tree", ...]]

MESSAGES = [
    *corpus.parameters(corpus.written_files(), "tests/data/messages"),
    *corpus.parameters(corpus.cpython_files(), "the interpreter's test_email data"),
    *corpus.parameters(corpus.corpus_files(), "../shared/corpus"),
]


def own_tree(part: Part) -> Tree:
    name = f"{part.media.main.decode()}/{part.media.sub.decode()}"
    return name, tuple(own_tree(child) for child in part.children)


def library_tree(message: Message) -> Tree:
    """The library's tree, with message types other than message/rfc822 as the leaves they are."""
    name = message.get_content_type()
    if message.get_content_maintype() == "multipart" or name == "message/rfc822":
        payload = message.get_payload()
        assert isinstance(payload, list)
        return name, tuple(library_tree(child) for child in payload if isinstance(child, Message))
    return name, ()


def own_bodies(part: Part, message: bytes) -> Iterator[bytes]:
    if not part.children:
        yield message[part.body_start : part.body_end]
    for child in part.children:
        yield from own_bodies(child, message)


def library_bodies(message: Message) -> Iterator[bytes | None]:
    """Octets of the leaves; None for a report, which the library takes apart."""
    if library_tree(message)[1]:
        for child in message.get_payload():
            assert isinstance(child, Message)
            yield from library_bodies(child)
    elif message.is_multipart():
        yield None
    else:
        yield str(message.get_payload()).encode("latin-1")


def well_formed(message: Message, octets: bytes) -> bool:
    """Without defects, bare CR (a line end there, not here) or types that are no tokens."""
    if b"\r" in octets.replace(b"\r\n", b""):
        return False
    return not any(
        part.defects
        or not _TYPE.fullmatch(part.get_content_type())
        or (part.get_content_maintype() == "multipart" and not part.is_multipart())
        for part in message.walk()
    )


@pytest.mark.parametrize("path", MESSAGES)
def test_summary_is_sound(path: Path) -> None:
    message = corpus.read(path)
    summary = summarise(message)
    assert summary.note == ""
    check_summary(message, summary)
    assert decode(encode(summary)) == summary
    assert body_text(message, summary) is not None and header_text(message) is not None


@pytest.mark.parametrize("path", MESSAGES)
def test_the_standard_library_sees_the_same_parts(path: Path) -> None:
    message = corpus.read(path)
    parsed = email.message_from_string(message.decode("latin-1"))
    if not well_formed(parsed, message):
        return
    root = scan(message, Budget())
    assert own_tree(root) == library_tree(parsed)
    for own, theirs in zip(own_bodies(root, message), library_bodies(parsed), strict=True):
        assert theirs is None or own == theirs


def test_the_generated_big_message() -> None:
    message = corpus.big_message()
    summary = summarise(message)
    assert len(message) > corpus.BIG_ATTACHMENT_OCTETS
    check_summary(message, summary)
    span = summary.parts["2"]
    assert (
        span.encoding == "base64" and message[span.body_end : span.body_end + 9] == b"\r\n--big--"
    )
