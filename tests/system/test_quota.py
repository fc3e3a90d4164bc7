"""A mailbox that fills up, as people and servers see it: warned, full, emptied, used again."""

from __future__ import annotations

import imaplib
import poplib
import re
import smtplib
from pathlib import Path

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import BOB, imap, inbox
from tests.support.outbound import running
from tests.support.waiting import eventually

MESSAGE = b"From: a@far.test\r\nSubject: x\r\n\r\nhello\r\n"
LIMIT = 10


def send(demo: Demo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        client.sendmail("a@far.test", [BOB[0]], MESSAGE)


def accepts(demo: Demo) -> bool:
    try:
        send(demo)
    except smtplib.SMTPRecipientsRefused:
        return False
    return True


def append(client: imaplib.IMAP4) -> tuple[str, bytes]:
    status, data = client.append("Drafts", "", "", MESSAGE)
    return status, bytes(data[0])


def test_D6_warned_then_full_then_emptied_then_used_again(tmp_path: Path) -> None:
    settings = f'[quota]\nmessages = {LIMIT}\nanswer = "reject"\n'
    with running(Demo(tmp_path / "d"), settings) as demo:
        for _ in range(LIMIT - 1):
            send(demo)
        demo.wait_for_line("bob@example.test) are 90 percent full")
        (warning,) = eventually(
            lambda: [each for each in inbox(demo.port(143)) if b"nearly full" in each]
        )
        assert b"kept: 9 of the 10 messages that you may" in warning
        assert warning.startswith(b"Return-Path: <>\r\n")

        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(demo)
        code, text = refused.value.recipients[BOB[0]]
        assert (code, text[:6]) == (552, b"5.2.2 ")
        with imap(demo.port(143), BOB) as client:
            status, answer = append(client)
            assert status == "NO" and answer.startswith(b"[OVERQUOTA] ")
            client.select("INBOX")
            status, data = client.copy("1", "Drafts")
            assert status == "NO" and bytes(data[0] or b"").startswith(b"[OVERQUOTA] ")
            assert client.uid("MOVE", "1", "Trash")[0] == "OK"

        drop = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
        drop.user(BOB[0])
        drop.pass_(BOB[1])
        for number in range(1, 4):
            drop.dele(number)
        drop.quit()
        send(demo)
        assert len(inbox(demo.port(143))) == LIMIT - 1 - 3 + 1
        with imap(demo.port(143), BOB) as client:
            assert append(client)[0] == "OK"


def test_the_directory_has_the_last_word(tmp_path: Path) -> None:
    """mailQuota of a person, read again from the file, over the settings' default."""
    with running(Demo(tmp_path / "d"), "[quota]\nmessages = 1\n") as demo:
        send(demo)
        eventually(lambda: len(inbox(demo.port(143))) == 2)  # it and the warning
        assert not accepts(demo)
        people = tmp_path / "d" / "people.ldif"
        text = people.read_text()
        people.write_text(re.sub(r"(?m)^uid: bob$", "uid: bob\nmailQuota: 1G,4C", text))
        eventually(lambda: accepts(demo))
        send(demo)
        assert not accepts(demo)
