"""What people's own programs send, as it arrives: Bcc gone, what was missing there, limits kept."""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import ROOT, Demo
from tests.support.mail import ALICE, BOB, inbox
from tests.support.outbound import running
from tests.support.waiting import eventually

SETTINGS = """[submission]
messages_per_day = 4
show_login = true
send_as_file = "{rules}"
"""


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Two workers, so that what is counted is counted for both."""
    folder = tmp_path_factory.mktemp("submission")
    rules = folder / "send-as"
    rules.write_text("bob info@example.test\n")
    with running(Demo(folder / "d", workers=2), SETTINGS.format(rules=rules)) as demo:
        yield demo


def client(demo: Demo, person: tuple[str, str] = BOB) -> smtplib.SMTP:
    smtp = smtplib.SMTP("127.0.0.1", demo.port(587), "client.example", timeout=60)
    smtp.login(*person)
    return smtp


def texts(demo: Demo, subject: str, person: tuple[str, str] = ALICE) -> list[bytes]:
    return [
        each for each in inbox(demo.port(143), person) if b"Subject: " + subject.encode() in each
    ]


def test_bcc_goes_and_what_is_missing_comes(busy: Demo) -> None:
    with client(busy) as smtp:
        smtp.sendmail(
            BOB[0],
            [ALICE[0], "bob@example.test"],
            "Subject: party\r\nBCC: bob@example.test,\r\n x@far.test\r\nTo: alice\r\n\r\n"
            "Bcc: me\r\n",
        )
    for person in (ALICE, BOB):
        (message,) = texts(busy, "party", person)
        header, _, body = message.partition(b"\r\n\r\n")
        assert b"bcc" not in header.lower() and body == b"Bcc: me\r\n"
        assert re.search(rb"\r\nDate: [A-Z][a-z]{2}, \d\d ", header)
        assert re.search(rb"\r\nMessage-ID: <[0-9a-z]+-1@mail\.example\.test>\r\n", header)
        assert b"\r\nFrom: bob@example.test\r\n" in header
        assert b"\r\n\t(logged in: bob)\r\n" in header
        assert header.endswith(b"Subject: party\r\nTo: alice")


@pytest.mark.skipif(shutil.which("msmtp") is None, reason="msmtp is missing")
def test_msmtp_reads_its_recipients_from_the_header(busy: Demo, tmp_path: Path) -> None:
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost 127.0.0.1\nport {busy.port(465)}\ntls on\ntls_starttls off\n"
        f"tls_certcheck off\nauth plain\nuser {BOB[0]}\npassword {BOB[1]}\nfrom {BOB[0]}\n"
        "undisclosed_recipients off\nset_from_header off\nset_date_header off\n"
        "remove_bcc_headers off\n"
    )
    config.chmod(0o600)
    subprocess.run(
        ["msmtp", "--file", str(config), "-t"],
        input=b"From: bob@example.test\nBcc: alice@example.test\nSubject: by msmtp\n\nhello\n",
        check=True,
        timeout=60,
    )
    (message,) = texts(busy, "by msmtp")
    header = message.partition(b"\r\n\r\n")[0]
    assert b"Bcc" not in header and b"\r\nDate: " in header and b"\r\nMessage-ID: <" in header


def test_S32_names_by_rule_and_by_the_person(busy: Demo) -> None:
    with client(busy) as smtp:
        message = "From: info@example.test\r\nSubject: by rule\r\n\r\n"
        assert smtp.sendmail("info@example.test", [ALICE[0]], message) == {}
        with pytest.raises(smtplib.SMTPDataError) as refused:
            smtp.sendmail(BOB[0], [ALICE[0]], "From: alice@example.test\r\n\r\n")
        assert refused.value.smtp_code == 550
        assert "bob may not send as <alice@example.test>" in str(refused.value.smtp_error)
        with pytest.raises(smtplib.SMTPSenderRefused) as unknown:
            smtp.sendmail(ALICE[0], [ALICE[0]], "Subject: x\r\n\r\n")
        assert unknown.value.smtp_code == 553


def test_over_the_limit_mail_waits_until_it_is_released(busy: Demo) -> None:
    """Three messages came before, unless this test runs alone."""
    for number in range(6):
        with client(busy) as smtp:  # each to whichever worker takes it
            smtp.sendmail(BOB[0], [ALICE[0]], f"Subject: burst {number}\r\n\r\n")
    arrived = len(texts(busy, "burst"))
    assert arrived < 6
    (notice,) = eventually(lambda: texts(busy, "Some of the mail you sent has to wait", BOB))
    assert b"You have sent more than 4 messages in a day." in notice
    listed = gateway(busy, "queue", "list")
    assert listed.count("held: limit: more than 4 messages in a day") == 6 - arrived
    gateway(busy, "queue", "release", "--held")
    eventually(lambda: len(texts(busy, "burst")) == 6)


def gateway(demo: Demo, *arguments: str) -> str:
    command = [sys.executable, "-m", "gateway", *arguments, "--config", str(demo.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=True)
    return done.stdout
