"""Checks in the real gateway with two workers: DNS, lists' files, rates, the greylist."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from twisted.names import dns

from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.name_server import NameServer, running_name_server
from tests.support.outbound import running
from tests.support.programs import need
from tests.support.sending_postfix import sending_postfix
from tests.support.waiting import eventually

MESSAGE = b"From: a@far.example\r\nSubject: %b\r\n\r\nhello\r\n"
LISTED, FLOOD, STRANGER, DENIED, PLAIN = (f"127.0.0.{n}" for n in (5, 6, 9, 7, 10))
POSTFIX = "127.0.11.1"  # a network of its own

POLICY = """
[outbound]
resolvers = ["127.0.0.1:{port}"]

[[policies.smtp]]
check = "list"
of = "ip"
file = "{folder}/deny.list"

[[policies.smtp]]
check = "dns_list"
lists = [{{ zone = "bl.example" }}, {{ zone = "wl.example", weight = -1 }}]

[[policies.smtp]]
check = "reverse_dns"
no_name = "tag"

[[policies.smtp]]
check = "rate"
of = "messages"
limit = 6
per_s = 3600
exempt = "127.0.0.9"

[[policies.smtp]]
check = "sender_domain"

[[policies.smtp]]
check = "greylist"
wait_s = 1
exempt = ["127.0.0.5", "127.0.0.6", "127.0.0.10"]

[[policies.smtp]]
check = "header"
field = "Subject"
pattern = "*lottery*"
text = "No lotteries here"
"""


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    also: dict[str, list[Any]] = {
        "5.0.0.127.bl.example": [dns.Record_TXT(b"see https://bl.example/?ip=127.0.0.5")],
        "10.0.0.127.in-addr.arpa": [dns.Record_PTR("mx.far.example")],
    }
    a = {
        "5.0.0.127.bl.example": ["127.0.0.2"],
        "2.0.0.127.bl.example": ["127.0.0.2"],
        "mx.far.example": [PLAIN],
    }
    mx = {"far.example": [(10, "mx.far.example")], "null.example": [(0, "")]}
    with running_name_server(mx=mx, a=a, also=also) as server:
        server.fails.add("5.0.0.127.wl.example")
        yield server


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, names: NameServer) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "deny.list").write_text("192.0.2.0/24\n")
    settings = POLICY.format(port=names.port, folder=folder)
    with running(Demo(folder / "d", workers=2), settings) as demo:
        yield demo


def send(demo: Demo, ip: str, subject: bytes = b"x", sender: str = "a@far.example") -> None:
    with connect(demo, ip) as client:
        client.sendmail(sender, ["alice@example.test"], MESSAGE % subject)


def connect(demo: Demo, ip: str) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", demo.port(25), timeout=60, source_address=(ip, 0))


def test_who_is_in_a_DNS_list_reads_its_text_and_an_id(demo: Demo) -> None:
    with pytest.raises(smtplib.SMTPConnectError) as caught:
        connect(demo, LISTED)
    assert caught.value.smtp_code == 554
    text = str(caught.value.smtp_error)
    assert "5.7.1 127.0.0.5 is listed by bl.example: see https://bl.example/?ip=127.0.0.5" in text
    assert re.search(r" \[[0-9a-z]{15,}\]", text)


def test_an_address_with_a_name_is_not_tagged_and_one_without_is(demo: Demo) -> None:
    send(demo, PLAIN, b"named")
    send(demo, FLOOD, b"nameless")
    mails = {
        mail.partition(b"Subject: ")[2].split(b"\r\n")[0]: mail
        for mail in inbox(demo.port(143), ALICE)
    }
    assert b"X-Gateway-Policy" not in mails[b"named"]
    assert b"X-Gateway-Policy: reverse_dns: 127.0.0.6 has no name\r\n" in mails[b"nameless"]


def test_senders_whose_domain_takes_no_mail_are_refused(demo: Demo) -> None:
    for sender, code in (("a@nowhere.example", b"5.1.8"), ("a@null.example", b"5.7.27")):
        with pytest.raises(smtplib.SMTPSenderRefused) as caught:
            send(demo, PLAIN, sender=sender)
        assert caught.value.smtp_code == 550
        error = caught.value.smtp_error
        assert code in (error if isinstance(error, bytes) else error.encode())


def test_a_header_field_is_refused_after_the_dot(demo: Demo) -> None:
    with pytest.raises(smtplib.SMTPDataError) as caught:
        send(demo, PLAIN, b"=?utf-8?q?You_won_the_lott?= =?utf-8?q?ery?=")
    assert caught.value.smtp_code == 550 and "No lotteries here" in str(caught.value.smtp_error)


def test_a_lists_file_is_read_again_by_all_workers(demo: Demo) -> None:
    connect(demo, DENIED).quit()
    (demo.folder.parent / "deny.list").write_text("192.0.2.0/24\n127.0.0.7 # since today\n")

    def refused() -> bool:
        try:
            connect(demo, DENIED).quit()
        except smtplib.SMTPConnectError as error:
            return error.smtp_code == 554
        return False

    eventually(lambda: all(refused() for _ in range(8)))


def test_S25_all_workers_count_as_one(demo: Demo) -> None:
    accepted = 0
    for _ in range(20):
        try:
            send(demo, FLOOD, b"flood")
        except smtplib.SMTPSenderRefused as error:
            assert error.smtp_code == 450
        else:
            accepted += 1
    assert accepted == 5, "six in an hour, one of which an earlier test has sent"


def test_a_stranger_comes_again_and_is_let_in_by_whichever_worker(demo: Demo) -> None:
    need("swaks")

    def swaks() -> str:
        command = ["swaks", "--server", "127.0.0.1", "--port", str(demo.port(25)), "-li", STRANGER]
        command += ["--from", "a@far.example", "--to", "alice@example.test", "--timeout", "20"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    first = swaks()
    assert "450 4.7.1 Greylisted, try again in 1 s [" in first
    assert "250 2.0.0 Accepted" in eventually(
        lambda: text if "Accepted" in (text := swaks()) else ""
    )
    for _ in range(4):
        assert "Greylisted" not in swaks()


def has_arrived(demo: Demo, subject: bytes) -> bool:
    return any(b"Subject: " + subject in each for each in inbox(demo.port(143), ALICE))


def test_a_real_server_comes_again_by_itself_and_is_known_from_then_on(demo: Demo) -> None:
    """Postfix, with the times of its queue made short."""
    soon = {
        "smtp_bind_address": POSTFIX,
        "queue_run_delay": "1s",
        # It counts in whole seconds, and shall not come before the greylist lets it in.
        "minimal_backoff_time": "3s",
        "maximal_backoff_time": "4s",
    }
    with sending_postfix(demo.port(25), more=soon) as postfix:
        for subject in (b"greylisted", b"known"):
            with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
                client.sendmail("p@far.example", [ALICE[0]], MESSAGE % subject)
            eventually(partial(has_arrived, demo, subject))
        eventually(lambda: postfix.log().count("status=sent") >= 2)
        log = postfix.log()
    assert log.count("450 4.7.1 Greylisted, try again in ") == 1
    assert log.count("status=deferred") == 1 and log.count("status=sent") == 2
