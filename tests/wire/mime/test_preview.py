"""The first words of a message (RFC 8970 section 3)."""

from __future__ import annotations

import pytest

from gateway.wire.mime import summary as module
from gateway.wire.mime.preview import HTML_OCTETS, MAX_CHARACTERS
from gateway.wire.mime.summary import decode, encode, summarise

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
ALTERNATIVE = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n"


def preview(message: bytes) -> str:
    summary = summarise(message)
    assert summary.note == "" and decode(encode(summary)).preview == summary.preview
    assert len(summary.preview) <= MAX_CHARACTERS
    return summary.preview


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"Subject: x\r\n\r\nHello,\r\n\r\n  how are\tyou?\r\n", "Hello, how are you?"),
        (b"Subject: x\r\n\r\n", ""),
        (b"", ""),
        (
            b"Content-Type: text/plain; charset=iso-8859-1\r\n"
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe =\r\naus K=F6ln",
            "Grüße aus Köln",
        ),
        (b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8gdGhlcmU=\r\n", "Hello there"),
        (
            HTML + b"\r\n<html><style>p { color: red }</style><p>Dear&nbsp;<b>Ann</b>,"
            b"<script>x()</script><p>hi &amp; bye",
            "Dear Ann, hi & bye",
        ),
        (
            ALTERNATIVE + b"--b\r\n\r\nplain\r\n--b\r\n" + HTML + b"\r\n<p>rich</p>\r\n--b--",
            "plain",
        ),
        (ALTERNATIVE + b"--b\r\n\r\n \r\n--b\r\n" + HTML + b"\r\n<p>rich</p>\r\n--b--", "rich"),
        (
            MIXED + b"--b\r\nContent-Disposition: ATTACHMENT; filename=a.txt\r\n\r\nnotes\r\n"
            b"--b\r\nContent-Disposition: inline\r\n\r\nbody\r\n--b--",
            "body",
        ),
        (MIXED + b"--b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--", ""),
        (
            MIXED + b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nforwarded\r\n"
            b"--b--",
            "forwarded",
        ),
        (b"\r\n> you said\r\n> this\r\nYes!\r\n-- \r\nAnn\r\n", "Yes!"),
        (b"\r\n> only quoted\r\n", "> only quoted"),
    ],
)
def test_words(message: bytes, words: str) -> None:
    assert preview(message) == words


def test_it_ends_at_two_hundred_characters_whatever_their_octets() -> None:
    head = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    assert preview(head + "ж".encode() * 500) == "ж" * MAX_CHARACTERS
    assert preview(head + b"word " * 500) == ("word " * 40).rstrip()


def test_M6_a_part_cut_inside_a_character_ends_before_it() -> None:
    head = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    text = b" " * (16 * 1024 - 1) + "ж".encode() * 100
    assert preview(head + text) == ""
    assert preview(head + b" " * (16 * 1024 - 3) + "жж".encode()) == "ж"


def test_fill_characters_and_turned_directions_are_dropped_and_joiners_stay() -> None:
    head = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    filled = "Sale\u200c\u00a0\u034f \u200b\u00ad\u2007\ufeffnow \u202emoc.live\u202c"
    assert preview(head + filled.encode()) == "Sale now moc.live"
    assert preview(head + "می\u200cخواهم".encode()) == "می\u200cخواهم"
    assert preview(head + b"a\0b\x1b[31mc\x7f") == "a b [31mc"


def test_long_styles_before_the_text_are_passed() -> None:
    style = b"<style>" + b"p{}" * 20_000 + b"</style>"
    assert preview(HTML + b"\r\n" + style + b"<p>after") == "after"
    assert preview(HTML + b"\r\n<style>" + b"p{}" * HTML_OCTETS + b"</style>far") == ""


def test_an_opaque_message_has_none_and_a_fault_costs_only_the_preview(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert summarise(b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"x").preview == ""

    def fail(*_: object) -> str:
        raise ValueError

    monkeypatch.setattr(module, "preview_of", fail)
    summary = summarise(MIXED + b"--b\r\n\r\none\r\n--b--")
    assert summary.note == "the preview failed: ValueError" and summary.preview == ""
    assert list(summary.parts) == ["", "1"]
