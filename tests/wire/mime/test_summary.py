"""Summaries: paths of parts, the opaque form, storage, and any octets at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.messages import MessageSummary, PartSpan
from gateway.wire.mime import summary as module
from gateway.wire.mime.summary import decode, encode, summarise
from gateway.wire.mime.text import body_text, header_text, header_values
from tests.wire.mime.checks import check_summary

PIECES = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=c\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/html; charset=utf-8\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Disposition: attachment; filename*0*=utf-8''a;filename*1=b\r\n",
        b'From: a:<@b:c@d>(e),"f;"\r\n',
        b"To: g:;\r\n",
        b"Subject: =?utf-8?q?x?=\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"--c\n",
        b"--c--\n",
        b"--b",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b"\xff",
        b"text",
    ]
)
LIKE_MESSAGES = st.lists(PIECES, max_size=40).map(b"".join)


@settings(deadline=None)
@given(LIKE_MESSAGES | st.binary(max_size=200))
def test_any_octets_have_a_sound_summary(message: bytes) -> None:
    summary = summarise(message)
    assert summary.note == ""
    check_summary(message, summary)
    assert decode(encode(summary)) == summary
    body_text(message, summary)
    header_text(message)
    header_values(message, "Subject")


def test_paths_of_parts() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n"
        b"Content-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
        b"two\r\n--b--\r\n"
    )
    parts = summarise(message).parts
    assert list(parts) == ["", "1", "2", "2.MSG", "2.1"]
    one = message.index(b"one")
    assert parts["1"] == PartSpan(one - 2, one, one + 3, "text/plain", "us-ascii", "7bit")
    inner, two = message.index(b"Subject"), message.index(b"two")
    assert parts["2.1"] == PartSpan(inner, two, two + 3, "text/html", "utf-8", "base64")
    assert parts["2.MSG"] == parts["2.1"]
    assert (parts["2"].body_start, parts["2"].body_end) == (inner, two + 3)


def test_M6_past_a_limit_the_message_is_one_opaque_text() -> None:
    header = b"Subject: deep\r\nFrom: a@b\r\nContent-Type: message/rfc822\r\n\r\n"
    message = header + b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"end\r\n"
    summary = summarise(message)
    assert summary.note == "nested deeper than 100 parts"
    assert summary.envelope.startswith(b'(NIL "deep" ((NIL NIL "a" "b"))')
    octets, lines = len(message) - len(header), message.count(b"\n", len(header))
    assert summary.body == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "8bit" %d %d)' % (octets, lines)
    )
    span = PartSpan(0, len(header), len(message), "text/plain", "us-ascii", "8bit")
    assert summary.parts == {"": span, "1": span}
    assert decode(encode(summary)) == summary


def test_M6_a_fault_of_the_scanner_costs_only_the_structure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(module, "scan", fail)
    message = b"Subject: x\r\n\r\nbody\r\n"
    summary = summarise(message)
    assert summary.note == "the scanner failed: RecursionError"
    assert b'"x"' in summary.envelope
    monkeypatch.setattr(module, "render_envelope", fail)
    summary = summarise(message)
    assert summary.envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert summary.parts["1"].body_start == len(b"Subject: x\r\n\r\n")


def test_stored_summaries_read_back() -> None:
    summary = MessageSummary(b"(e)", b"(b)", b"(s)", {}, "why – not")
    assert decode(encode(summary)) == summary
    summary = MessageSummary(b"", b"", b"", {"": PartSpan(0, 1, 2), "1.MSG": PartSpan(3, 4, 5)})
    stored = decode(encode(summary))
    assert stored == summary and stored.parts["1.MSG"] == PartSpan(3, 4, 5)
    assert "2" not in stored.parts and list(stored.parts) == ["", "1.MSG"]


def test_damaged_or_foreign_octets_are_refused() -> None:
    data = encode(summarise(b"Subject: x\r\n\r\nbody\r\n"))
    for damaged in (b"", data[:10], data[:-1], data + b"x", b"S0" + data[2:]):
        with pytest.raises(ValueError, match="summary"):
            decode(damaged)
    for index in range(2, len(data), 7):
        broken = bytearray(data)
        broken[index] ^= 0x20
        with pytest.raises(ValueError, match="summary"):
            decode(bytes(broken))
