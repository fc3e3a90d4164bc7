"""Sending and reading with the standard library's clients, for system tests."""

from __future__ import annotations

import imaplib
import poplib
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

ALICE = ("alice@example.test", "wonderland")
BOB = ("bob@example.test", "builder")

# RFC 5321 section 4.4: what final delivery puts on top.
ADDED = re.compile(
    rb"\AReturn-Path: <[^\r\n]*>\r\n(?:Delivered-To: [^\r\n]*\r\n)?"
    rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*\Z"
)

# Long lines come back as they went in; poplib's own bound is far below RFC 5321's "should not".
poplib._MAXLINE = 20_000_000  # type: ignore[attr-defined]


def trusting() -> ssl.SSLContext:
    """TLS without checking the demo's self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def imap(port: int, person: tuple[str, str]) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=60)
    try:
        client.login(*person)
        yield client
    finally:
        client.logout()


def each_message(port: int, person: tuple[str, str] = BOB) -> Iterator[bytes]:
    """Every message of INBOX in turn, octet for octet, through BODY.PEEK[]."""
    with imap(port, person) as client:
        _, counts = client.select("INBOX", readonly=True)
        # The last of them: a message that arrives meanwhile is told with another EXISTS.
        for number in range(1, int(counts[-1] or b"0") + 1):
            _, parts = client.fetch(str(number), "(BODY.PEEK[])")
            yield next(part[1] for part in parts if isinstance(part, tuple))


def inbox(port: int, person: tuple[str, str] = BOB) -> list[bytes]:
    """Every message of INBOX."""
    return list(each_message(port, person))


def maildrop(port: int, person: tuple[str, str] = BOB) -> list[bytes]:
    """Every message, octet for octet, through RETR."""
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    try:
        client.user(person[0])
        client.pass_(person[1])
        count, _ = client.stat()
        messages = []
        for number in range(1, count + 1):
            _, lines, _ = client.retr(number)
            messages.append(b"".join(line + b"\r\n" for line in lines))
        return messages
    finally:
        client.quit()


def empty_inbox(port: int, person: tuple[str, str] = BOB) -> None:
    with imap(port, person) as client:
        if client.select("INBOX")[1] == [b"0"]:
            return
        client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
        client.expunge()


def check_delivered(delivered: bytes, sent: bytes) -> None:
    """What was sent, octet for octet, under the lines that delivery puts on top and no others."""
    assert delivered.endswith(sent), (delivered[:600], sent[:300])
    assert ADDED.match(delivered[: len(delivered) - len(sent)]), delivered[:600]


def send_all(port: int, messages: list[bytes], recipient: str = BOB[0]) -> None:
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=60) as client:
        for message in messages:
            client.sendmail("sender@sender.example", [recipient], message)
