"""Binary content made ordinary MIME, for any message: made up, damaged, and real ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.wire.mime.budget import Budget
from gateway.wire.mime.structure import Part, scan
from tests.support import corpus
from tests.support.binary_mail import (
    HEADER_OCTETS,
    contents_of,
    leaves,
    octet_by_octet,
    run,
    with_binary_parts,
)


def pieces_of(data: st.DataObject, message: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=12)))
    return [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]


def is_text(octets: bytes) -> bool:
    newlines = octets.count(b"\r\n")
    return octets.count(b"\n") == newlines == octets.count(b"\r") and b"\0" not in octets


# -- made up


@dataclass(frozen=True)
class Tree:
    """A message's text, and the contents of its leaves in order."""

    text: bytes
    contents: tuple[bytes, ...]


_PIECES = st.sampled_from(
    [
        b"\r\n--b1", b"\r\n--b", b"\r\n--b1-", b"\r\n--b11", b"\r\n--", b"\r\n-", b"--b2--", b"\r",
        b"\n--b1\r\n", b"\n", b"\0", b"\xff", b"x", b" ", b"\r\n", b"From ", b"x" * 60, b"a: b",
    ]
)  # fmt: skip
_CONTENT = st.lists(st.one_of(_PIECES, st.binary(max_size=5)), max_size=12).map(b"".join)
_DEHEADER_OCTETSER = re.compile(rb"(?:\A|\r\n)--b[1-9][0-9]?(?:--)?[ \t]*(?:\r\n|\Z)")
_CONTENTS = _CONTENT.filter(lambda content: _DEHEADER_OCTETSER.search(content + b"\r\n") is None)
_FIELDS = st.sampled_from([b"", b"X: y\r\n", b"x-folded:\r\n a\r\n\tb\r\n", b"X-8: \xc3\xa4\r\n"])
_NAMES = st.sampled_from(
    [
        b"Content-Transfer-Encoding: binary", b"content-transfer-encoding:BINARY",
        b"Content-Transfer-Encoding:\r\n (x) binary",
    ]
)  # fmt: skip


@st.composite
def _leaves(draw: st.DrawFn) -> Tree:
    content, fields = draw(_CONTENTS), draw(_FIELDS)
    kind = draw(st.sampled_from([b"image/png", b"text/plain", b"application/octet-stream"]))
    head = b"Content-Type: %b\r\n%b" % (kind, fields)
    if is_text(content) and draw(st.booleans()):
        return Tree(head + b"\r\n" + content, (content,))
    return Tree(head + draw(_NAMES) + b"\r\n\r\n" + content, (content,))


def _inside(children: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of(_multiparts(children), _messages(children))


@st.composite
def _multiparts(draw: st.DrawFn, children: st.SearchStrategy[Tree]) -> Tree:
    parts = draw(st.lists(children, min_size=1, max_size=3))
    used = {int(number) for part in parts for number in re.findall(rb"boundary=b(\d+)", part.text)}
    boundary = b"b%d" % next(number for number in range(1, 99) if number not in used)
    assume(not any(_is_in(boundary, part) for part in parts))
    encoding = draw(st.sampled_from([b"", b"Content-Transfer-Encoding: binary\r\n"]))
    head = b"Content-Type: multipart/mixed; boundary=%b\r\n%b\r\n" % (boundary, encoding)
    text = b"".join(b"\r\n--%b\r\n%b" % (boundary, part.text) for part in parts)
    prologue = draw(st.sampled_from([b"", b"\r\n", b"prologue\r\n--"]))
    text = head + prologue + text + b"\r\n--%b--" % boundary
    return Tree(text, tuple(content for part in parts for content in part.contents))


def _is_in(boundary: bytes, part: Tree) -> bool:
    return any(b"--" + boundary in content for content in part.contents)


@st.composite
def _messages(draw: st.DrawFn, children: st.SearchStrategy[Tree]) -> Tree:
    inside = draw(children)
    encoding = draw(st.sampled_from([b"", b"Content-Transfer-Encoding: binary\r\n"]))
    head = b"Content-Type: message/rfc822\r\n" + encoding + b"\r\nSubject: inside\r\n"
    return Tree(head + inside.text, inside.contents)


TREES = st.recursive(_leaves(), _inside, max_leaves=6)


@given(TREES, st.data())
@settings(max_examples=300, deadline=None)
def test_every_leaf_keeps_its_content(tree: Tree, data: st.DataObject) -> None:
    out, problem = run(tree.text)
    assert problem == "" and is_text(out)
    assert tuple(leaves(out)) == tree.contents
    assert run(*pieces_of(data, tree.text)) == run(*octet_by_octet(tree.text)) == (out, "")
    assert run(out) == (out, ""), "there is nothing left to convert"
    if is_text(tree.text):
        assert shape(scan(out, Budget())) == shape(scan(tree.text, Budget()))


def shape(part: Part) -> object:
    """Types and nesting, as mailboxes will show them."""
    return part.media, tuple(map(shape, part.children))


# -- damaged

_LINES = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b1", b"Content-Type: message/rfc822",
        b"Content-Type: multipart/signed; boundary=b2", b"Content-Transfer-Encoding: 7bit",
        b"Content-Type: multipart/digest; boundary=\"b1 \"", b"Content-Transfer-Encoding: binary",
        b"--b1", b"--b1--", b"--b2", b"--b2--  ", b"", b"", b" folded", b"no field",
        b"From x", b"--", b"a: b", b"\0",
        b"y" * 70, b"Content-Type:", b"Content-Transfer-Encoding : (", b"--b1" + b" " * 1200,
    ]
)  # fmt: skip
_ENDS = st.sampled_from([b"\r\n"] * 15 + [b"\n", b"\r", b""])
DAMAGED = st.lists(st.tuples(_LINES, _ENDS), max_size=40).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(DAMAGED, st.data(), st.sampled_from([HEADER_OCTETS, 60]))
@settings(max_examples=500, deadline=None)
def test_any_octets_are_made_text_or_refused(
    message: bytes, data: st.DataObject, limit: int
) -> None:
    out, problem = run(message, limit=limit)
    slow, same = run(*octet_by_octet(message), limit=limit)
    cut, also = run(*pieces_of(data, message), limit=limit)
    assert problem == same == also
    if problem:
        assert is_text(out) and is_text(slow.removesuffix(b"\r"))
        return
    assert out == slow == cut and is_text(out)
    if b"binary" not in message.lower():
        assert out == message
    assert run(out, limit=max(limit, 80)) == (out, ""), "there is nothing left to convert"


@given(st.binary(max_size=200))
def test_a_part_may_hold_anything(content: bytes) -> None:
    out, problem = run(b"Content-Transfer-Encoding: binary\r\n\r\n" + content)
    assert problem == "" and leaves(out) == [content]


# -- real ones

FILES = [
    *corpus.parameters(corpus.written_files(), "tests/data/messages"),
    *corpus.parameters(corpus.cpython_files(), "the interpreter's test_email data"),
    *corpus.parameters(corpus.corpus_files(), "../shared/corpus"),
]


@pytest.mark.parametrize("path", FILES)
def test_real_messages_with_their_parts_made_binary(path: Path) -> None:
    message = corpus.crlf(corpus.read(path))
    made, contents = with_binary_parts(message)
    out, problem = run(made)
    if "signed" in problem:
        assert b"multipart/signed" in message.lower()
        return
    if b"\0" in message and problem.startswith("A NUL"):
        return  # in a part of which nobody says that it is binary
    assert problem == "" and is_text(out)
    assert run(*[made[at : at + 1000] for at in range(0, len(made), 1000)]) == (out, "")
    assert contents_of(out) == contents
    if leaves(message) == contents:  # an independent reader sees the original as we do
        assert leaves(out) == contents
