"""What `make run` starts: the demo, its text, its commands, its rules."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import urllib.request
from pathlib import Path

import pytest

from tests.support.gateway_process import BIN, Demo, running_demo
from tests.support.mail import ALICE, BOB, inbox, trusting
from tests.support.programs import need, run


def printed_commands(demo: Demo) -> list[str]:
    lines = [line.strip() for line in demo.output]
    return [line for line in lines if line.startswith(("printf ", "curl "))]


def test_the_three_printed_commands_work_as_pasted(demo: Demo) -> None:
    need("curl")
    send, read_imap, read_pop3 = printed_commands(demo)
    run(send)
    assert b"Hi Bob!" in run(read_imap).stdout
    assert b"Hi Bob!" in run(read_pop3).stdout


def test_it_says_who_can_log_in(demo: Demo) -> None:
    text = "\n".join(demo.output)
    for part in ("alice@example.test", "wonderland", "bob@example.test", "builder"):
        assert part in text


@pytest.mark.parametrize("port", [587, 2525])
def test_submission_with_starttls_and_without(demo: Demo, port: int) -> None:
    for encrypted in (True, False):
        with smtplib.SMTP("127.0.0.1", demo.port(port), timeout=60) as client:
            if encrypted:
                client.starttls(context=trusting())
            client.login(*ALICE)
            assert client.sendmail(ALICE[0], [BOB[0]], b"Subject: x\r\n\r\nx\r\n") == {}


def test_submission_over_tls(demo: Demo) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", demo.port(465), timeout=60, context=trusting()) as client:
        client.login(*ALICE)
        assert client.sendmail(ALICE[0], [BOB[0]], b"Subject: tls\r\n\r\nx\r\n") == {}


def test_pop3_and_imap_over_tls_and_starttls(demo: Demo) -> None:
    pop3s = poplib.POP3_SSL("127.0.0.1", demo.port(995), timeout=60, context=trusting())
    pop3s.user(BOB[0])
    assert pop3s.pass_(BOB[1]).startswith(b"+OK")
    pop3s.quit()
    pop3 = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
    pop3.stls(trusting())
    pop3.user(BOB[0])
    assert pop3.pass_(BOB[1]).startswith(b"+OK")
    pop3.quit()
    with imaplib.IMAP4_SSL(
        "127.0.0.1", demo.port(993), ssl_context=trusting(), timeout=60
    ) as imaps:
        assert imaps.login(*BOB)[0] == "OK"
    with imaplib.IMAP4("127.0.0.1", demo.port(143), timeout=60) as imap4:
        imap4.starttls(trusting())
        assert imap4.login(*BOB)[0] == "OK"


def test_strangers_reach_people_and_nobody_else(demo: Demo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(25), timeout=60) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        client.mail("stranger@elsewhere.example")
        code, text = client.rcpt("nobody@example.test")
        assert (code, text[:6]) == (550, b"5.1.1 ")
        code, text = client.rcpt("someone@elsewhere.example")
        assert (code, text[:6]) == (554, b"5.7.1 ")
        assert client.rcpt("BOB@Example.TEST")[0] == 250


def test_a_wrong_password_is_refused_everywhere(demo: Demo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(ALICE[0], "wrong")
        assert refused.value.smtp_code == 535
    with imaplib.IMAP4("127.0.0.1", demo.port(143), timeout=60) as imap4:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap4.login(ALICE[0], "wrong")
    pop3 = poplib.POP3("127.0.0.1", demo.port(110), timeout=60)
    pop3.user(ALICE[0])
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop3.pass_("wrong")
    pop3.close()


def test_alice_may_not_write_as_bob(demo: Demo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        client.login(*ALICE)
        code, text = client.mail(BOB[0])
        assert (code, text[:6]) == (553, b"5.7.1 ")


def test_the_web_door_says_that_it_lives(demo: Demo) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{demo.port(80)}/healthz", timeout=60) as answer:
        assert answer.status == 200


def test_status_and_health_and_verify(demo: Demo) -> None:
    gateway = str(BIN / "gateway")
    status = run([gateway, "status", "--config", str(demo.config)]).stdout.decode()
    assert f"127.0.0.1:{demo.port(993)}" in status
    health = run([gateway, "health", "--config", str(demo.config)]).stdout.decode()
    assert health.count("ok ") == 2
    run([gateway, "verify", "--config", str(demo.config)])


def test_a_second_start_keeps_everything(folder: Path) -> None:
    with running_demo(folder) as first:
        with smtplib.SMTP("127.0.0.1", first.port(25), timeout=60) as client:
            client.sendmail("a@b.example", [BOB[0]], b"Subject: kept\r\n\r\nkept\r\n")
    with running_demo(folder) as second:
        (message,) = inbox(second.port(143))
        assert b"Subject: kept" in message
