"""Real messages come back octet for octet over IMAP and POP3, under the added header lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.corpus import (
    big_message,
    corpus_files,
    cpython_files,
    crlf,
    written_files,
)
from tests.support.gateway_process import Demo
from tests.support.mail import check_delivered, empty_inbox, inbox, maildrop, send_all


def as_sent(path: Path) -> bytes:
    """The file as a client would send it: CRLF line ends, CRLF at the end (RFC 5321 4.1.1.4)."""
    message = crlf(path.read_bytes())
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def check(demo: Demo, messages: list[bytes]) -> None:
    empty_inbox(demo.port(143))
    send_all(demo.port(25), messages)
    over_imap = inbox(demo.port(143))
    over_pop3 = maildrop(demo.port(110))
    assert len(over_imap) == len(over_pop3) == len(messages)
    for sent, imap_copy, pop3_copy in zip(messages, over_imap, over_pop3, strict=True):
        check_delivered(imap_copy, sent)
        assert pop3_copy == imap_copy


def test_cpythons_own_messages(demo: Demo) -> None:
    files = cpython_files()
    if not files:
        pytest.skip("this interpreter ships no test.test_email data")
    check(demo, [as_sent(path) for path in files])


def test_messages_written_for_the_purpose(demo: Demo) -> None:
    files = written_files()
    assert len(files) >= 20
    check(demo, [as_sent(path) for path in files])


def test_a_ten_megabyte_attachment(demo: Demo) -> None:
    check(demo, [big_message(10 * 1024 * 1024)])


def test_the_corpus_beside_the_checkout(demo: Demo) -> None:
    files = corpus_files()
    if not files:
        pytest.skip("no ../shared/corpus beside the checkout")
    check(demo, [as_sent(path) for path in files])
