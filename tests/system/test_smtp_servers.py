"""Other mail servers send to us: Postfix by SMTP and by LMTP, Exim by DATA and by BDAT."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTPUTF8

import pytest

from gateway.app.demo import prepare
from tests.support.exim import sending_exim
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, BOB, trusting
from tests.support.ports import free_port
from tests.support.postfix import Postfix
from tests.support.sending_postfix import sending_postfix
from tests.support.waiting import eventually

MESSAGE = b"From: a@elsewhere.example\r\nSubject: %b\r\n\r\n.dots\r\n..\r\n\xe4 8-bit\r\nlast\r\n"

LMTP = """
[[listen]]
protocol = "lmtp"
address = "127.0.0.1:{port}"
tls = "none"
"""


class Served:
    """The demo's listeners and one for LMTP."""

    def __init__(self, demo: Demo, lmtp_port: int) -> None:
        self.demo = demo
        self.lmtp_port = lmtp_port


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    demo, port = Demo(tmp_path_factory.mktemp("demo") / "d"), free_port()
    prepare(demo.folder, demo.base)
    demo.config.write_text(demo.config.read_text() + LMTP.format(port=port))
    demo.arguments = ["--config", str(demo.config)]
    demo.start()
    yield Served(demo, port)
    demo.stop()


@pytest.fixture(scope="module")
def postfix(served: Served) -> Iterator[Postfix]:
    with sending_postfix(served.demo.port(25)) as running:
        yield running


def messages(served: Served, person: tuple[str, str]) -> list[bytes]:
    """INBOX, over TLS, as this is no demo."""
    client = imaplib.IMAP4_SSL("127.0.0.1", served.demo.port(993), ssl_context=trusting())
    try:
        client.login(*person)
        _, counts = client.select("INBOX", readonly=True)
        if counts == [b"0"]:
            return []
        _, parts = client.fetch("1:*", "(BODY.PEEK[])")
        return [part[1] for part in parts if isinstance(part, tuple)]
    finally:
        client.logout()


def arrived(served: Served, subject: str, person: tuple[str, str] = BOB) -> bytes:
    wanted = f"Subject: {subject}\r\n".encode()
    (message,) = eventually(lambda: [m for m in messages(served, person) if wanted in m])
    return message


# -- Postfix


def test_postfix_sends_over_tls(served: Served, postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.sendmail(
            "a@elsewhere.example", [BOB[0], ALICE[0]], MESSAGE % b"by Postfix", ["BODY=8BITMIME"]
        )
    kept = arrived(served, "by Postfix")
    assert kept.endswith(b"\r\n\r\n.dots\r\n..\r\n\xe4 8-bit\r\nlast\r\n")
    assert b"\tby mail.example.test with ESMTPS id " in kept
    arrived(served, "by Postfix", ALICE)


def test_postfix_sends_with_smtputf8(served: Served, postfix: Postfix) -> None:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"], message["To"] = "jürgen@elsewhere.example", BOB[0]
    message["Subject"] = "Postfix grüßt"
    message.set_content("Grüße\n")
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.send_message(message)
    kept = arrived(served, "Postfix grüßt")
    assert kept.startswith("Return-Path: <jürgen@elsewhere.example>".encode())
    assert b" with UTF8SMTPS id " in kept


def test_postfix_sends_with_dsn_and_the_report_is_ours(served: Served, postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.sendmail(
            ALICE[0],
            [BOB[0]],
            MESSAGE % b"Postfix with DSN",
            ["RET=HDRS", "ENVID=postfix-1", "BODY=8BITMIME"],
            ["NOTIFY=SUCCESS", "ORCPT=rfc822;bob@elsewhere.example"],
        )
    arrived(served, "Postfix with DSN")
    (report,) = eventually(lambda: [m for m in messages(served, ALICE) if b"postfix-1" in m])
    assert b"Action: delivered" in report
    assert b"Original-Recipient: rfc822; bob@elsewhere.example\r\n" in report
    # RFC 3461 section 5.2.1: who passes the wish on says nothing itself.
    assert b"Reporting-MTA: dns; mail.example.test\r\n" in report


def test_postfix_hears_at_rcpt_that_nobody_has_the_address(
    served: Served, postfix: Postfix
) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.sendmail("a@elsewhere.example", ["nobody@example.test"], MESSAGE % b"lost")
    eventually(
        lambda: any(
            "nobody@" in each and "550 5.1.1 " in each and "status=bounced" in each
            for each in postfix.log().splitlines()
        )
    )


def test_postfix_delivers_by_lmtp(served: Served) -> None:
    recipients = [BOB[0], ALICE[0], "nobody@example.test"]
    with sending_postfix(served.lmtp_port, transport="lmtp", tls="none") as running:
        with smtplib.SMTP("127.0.0.1", running.port, timeout=60) as client:
            client.sendmail("a@elsewhere.example", recipients, MESSAGE % b"by LMTP")
        for person in (BOB, ALICE):
            kept = arrived(served, "by LMTP", person)
            assert b" with LMTP id " in kept or b" with LMTPA id " in kept
        # Written when the answers are there, behind the message in the mailboxes. Postfix's report
        # about nobody's is a message of its own, which may already stand there too.
        ours = eventually(lambda: results(running.log(), recipients))
    assert all("postfix/lmtp" in line for line in ours)
    (bounced,) = (line for line in ours if "status=bounced" in line)
    assert "to=<nobody@example.test>" in bounced and "550 5.1.1 " in bounced
    assert sum("status=sent (250 2.0.0 Accepted as" in line for line in ours) == 2


def results(log: str, recipients: list[str]) -> list[str]:
    """The line of each recipient; none: some are missing."""
    named = [f"to=<{each}>" for each in recipients]
    lines = [line for line in log.splitlines() if "status=" in line]
    found = [line for line in lines if any(each in line for each in named)]
    return found if len(found) >= len(named) else []


# -- Python's LMTP client


def test_smtplib_by_lmtp(served: Served) -> None:
    with smtplib.LMTP("127.0.0.1", served.lmtp_port, "client.example", timeout=60) as client:
        refused = client.sendmail(
            "a@elsewhere.example", [BOB[0], "nobody@example.test"], MESSAGE % b"smtplib by LMTP"
        )
        assert list(refused) == ["nobody@example.test"]
    assert arrived(served, "smtplib by LMTP")


# -- Exim


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "TLS"])
def test_exim_sends(served: Served, chunking: bool, tls: bool) -> None:
    subject = f"Exim {chunking} {tls}"
    text = (MESSAGE % subject.encode()).replace(b"\r\n", b"\n")
    with sending_exim(served.demo.port(25), chunking=chunking, tls=tls) as exim:
        log = exim.send(text, BOB[0], ALICE[0])
    assert log.count("=> ") + log.count("-> ") == 2, log
    assert (" K C=" in log) is chunking, log
    assert ("X=TLS" in log) is tls
    kept = arrived(served, subject)
    assert kept.endswith(b"\r\n\r\n.dots\r\n..\r\n\xe4 8-bit\r\nlast\r\n")


def test_exim_sends_a_large_message_in_chunks(served: Served) -> None:
    line = b"0123456789" * 7 + b"\n"
    text = b"Subject: Exim sends much\n\n" + line * 100_000
    with sending_exim(served.demo.port(25), chunking=True) as exim:
        exim.send(text, BOB[0])
    kept = arrived(served, "Exim sends much")
    assert kept.endswith(text.partition(b"\n\n")[2].replace(b"\n", b"\r\n"))
