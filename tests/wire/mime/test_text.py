"""The readable text of messages, for searching."""

from __future__ import annotations

import pytest

from gateway.wire.mime.html import strip_tags
from gateway.wire.mime.summary import summarise
from gateway.wire.mime.text import body_text, header_text, header_values
from tests.support.corpus import read, written_files

WRITTEN = {path.stem: path for path in written_files()}


def body(name: str) -> str:
    message = read(WRITTEN[name])
    return body_text(message, summarise(message))


def test_header_values_are_unfolded_and_decoded() -> None:
    message = read(WRITTEN["encoded-words"])
    assert header_values(message, "SUBJECT") == ["Ä grüßt 🙂 zażółć plain"]
    assert header_values(message, "from") == ["Jürgen Größe <bob@example.test>"]
    assert header_values(message, "to") == ["日本 <alice@example.test>"]
    assert header_values(message, "x-none") == header_values(message, "größe") == []


def test_header_values_of_raw_utf8_and_repeated_fields() -> None:
    assert header_values(read(WRITTEN["utf8-headers"]), "Subject") == ["Größe 5 – 你好 🙂"]
    assert header_values(read(WRITTEN["duplicate-fields"]), "Subject") == ["one", "two"]


def test_header_text_is_the_whole_header_and_no_body() -> None:
    text = header_text(read(WRITTEN["encoded-words"]))
    assert "subject: Ä grüßt 🙂" in text and "from: Jürgen Größe" in text
    assert "See the header" not in text


def test_bodies_in_every_encoding_and_charset() -> None:
    assert "Grüße aus Köln" in body("latin1-8bit")
    assert "Привет, 世界!" in body("utf8-headers")
    text = body("quoted-printable")
    assert "weichen Stelle brechen muss" in text and "= is an equals sign" in text
    assert "Broken: =ZZ =4" in text
    assert "You have been invited: Review – Monday" in body("calendar-invite")


def test_html_is_searched_without_its_markup() -> None:
    text = body("html-only")
    assert "Grüße\u00a0für alle: 1 < 2" in text
    assert not any(word in text for word in ("hidden", "color", "not shown", "href", "<p>"))


def test_wrapped_messages_are_searched_with_their_headers() -> None:
    text = body("forwarded-twice")
    assert "subject: Fwd: Contract" in text and "from: dave@example.com" in text
    assert "The original text." in text and "Deeper." in text
    assert text.count("The original text.") == 1


def test_reports_are_searched_and_attachments_are_not() -> None:
    assert "Diagnostic-Code: smtp; 550 5.1.1 User unknown" in body("dsn-report")
    assert "twelve bytes" not in body("rfc2231-names")


def test_M1_headers_of_ten_thousand_wrapped_messages_are_read_once() -> None:
    part = b"--b\r\n\r\nSubject: s\r\n\r\n" + b"x" * 2_000 + b"\r\n"
    message = b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + part * 4_900
    assert body_text(message, summarise(message)).count("subject: s") == 4_900


def test_M6_an_opaque_message_is_searched_as_it_is() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"needle"
    summary = summarise(message)
    assert summary.note and "needle" in body_text(message, summary)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<b>b</b>c<br>d<p>e", "abc d e"),
        ("1 < 2 &amp; 3 > 2", "1 < 2 & 3 > 2"),
        ("<SCRIPT>x</SCRIPT>y<style a=b>z</style >w", "  y  w"),
        ("a<!-- <b> -->c", "ac"),
        ("a<!-- never closed", "a"),
        ("a<b never closed", "a"),
        ("a<script>never closed", "a "),
        ("<!DOCTYPE html><?xml?>a</ >b", "  a b"),
        ("&#xe9;&eacute;&bogus;&", "éé&bogus;&"),
        ("&#0000000000233;&#233", "éé"),
        ("a&#" + "9" * 5_000 + ";b&#x" + "9" * 5_000 + ";c", "a\ufffdb\ufffdc"),
        ("a&#" + "0" * 5_000 + ";b", "a\ufffdb"),
        ("<", "<"),
        ("", ""),
    ],
)
def test_tags_are_stripped(html: str, text: str) -> None:
    assert strip_tags(html) == text


def test_F5_hostile_html_is_read_once() -> None:
    assert strip_tags("<!--" * 300_000) == ""
    assert strip_tags("<script>" * 300_000).strip() == ""
    assert strip_tags("<a" * 300_000) == ""
    assert strip_tags("</" * 300_000).strip() == ""
    assert strip_tags("<" * 300_000) == "<" * 300_000
