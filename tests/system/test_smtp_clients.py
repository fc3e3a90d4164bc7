"""Programs and libraries with which people send: each unattended, against one running server."""

from __future__ import annotations

import shlex
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path

import pytest

from tests.support.bdat_client import BdatClient
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, BOB, inbox, trusting
from tests.support.programs import need, run
from tests.support.waiting import eventually

MESSAGE = b"From: alice@example.test\r\nTo: bob@example.test\r\nSubject: %b\r\n\r\nHello\r\n"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo") / "d")
    demo.start()
    yield demo
    demo.stop()


def bobs(demo: Demo, subject: str) -> bytes:
    """Bob's message with this subject, once it is there."""
    wanted = f"Subject: {subject}\r\n".encode()
    (message,) = eventually(lambda: [m for m in inbox(demo.port(143)) if wanted in m])
    return message


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("smtp://127.0.0.1:{25}", []),
        ("smtp://127.0.0.1:{25}", ["-k", "--ssl-reqd"]),
        ("smtp://127.0.0.1:{587}", ["-k", "--ssl-reqd", "-u", ":".join(ALICE)]),
        ("smtps://127.0.0.1:{465}", ["-k", "-u", ":".join(ALICE)]),
    ],
    ids=["clear", "starttls", "submission", "smtps"],
)
def test_curl(demo: Demo, tmp_path: Path, url: str, options: list[str]) -> None:
    program = need("curl")
    for port in ("25", "587", "465"):
        url = url.replace(f"{{{port}}}", str(demo.port(int(port))))
    subject = f"curl {url} {len(options)}"
    message = tmp_path / "message"
    message.write_bytes(MESSAGE % subject.encode())
    run(
        [program, "-sS", *options, url, "--mail-from", ALICE[0], "--mail-rcpt", BOB[0]]
        + ["-T", str(message)]
    )
    assert bobs(demo, subject).endswith(b"\r\n\r\nHello\r\n")


def test_swaks_with_pipelining_and_each_protocol(demo: Demo) -> None:
    program = need("swaks")
    common = [program, "--server", "127.0.0.1", "--from", "a@elsewhere.example", "--to", BOB[0]]
    for name, ways in {
        "swaks HELO": ["--protocol", "SMTP"],
        "swaks pipelined": ["--pipeline"],
        "swaks STARTTLS": ["--tls"],
    }.items():
        port = ["--port", str(demo.port(25)), "--silent", "2"]
        run([*common, *port, *ways, "--header", f"Subject: {name}", "--body", "Hello"])
        assert b"Hello" in bobs(demo, name)


MSMTP = """\
account demo
host 127.0.0.1
port {port}
tls on
tls_starttls {starttls}
tls_certcheck off
auth plain
user {user}
password {password}
from {user}
account default : demo
"""


@pytest.mark.parametrize(("standard", "starttls"), [(587, "on"), (465, "off")])
def test_msmtp(demo: Demo, tmp_path: Path, standard: int, starttls: str) -> None:
    program = need("msmtp")
    rc = tmp_path / "msmtprc"
    values = {"port": demo.port(standard), "user": ALICE[0], "password": ALICE[1]}
    rc.write_text(MSMTP.format(**values, starttls=starttls))
    rc.chmod(0o600)
    subject = f"msmtp {standard}"
    wishes = ["--dsn-notify=failure", "--dsn-return=hdrs"]
    text = (MESSAGE % subject.encode()).replace(b"\r\n", b"\n")
    run([program, "-C", str(rc), *wishes, "--", BOB[0]], stdin=text)
    assert bobs(demo, subject)


def test_s_nail(demo: Demo, tmp_path: Path) -> None:
    program = need("s-nail")
    mta = f"smtp://alice%40example.test:{ALICE[1]}@127.0.0.1:{demo.port(587)}"
    settings = ["v15-compat", f"mta={mta}", "smtp-use-starttls", "tls-verify=ignore"]
    settings += ["smtp-auth=plain", f"from={ALICE[0]}", "DEAD=/dev/null"]
    options = [part for setting in settings for part in ("-S", setting)]
    environ = {"HOME": str(tmp_path), "MAILRC": "/dev/null"}
    run([program, "-:/", *options, "-s", "from s-nail", BOB[0]], environ=environ, stdin=b"Hello\n")
    assert b"Hello" in bobs(demo, "from s-nail")


def test_mutt(demo: Demo, tmp_path: Path) -> None:
    program = need("mutt")
    rc = tmp_path / "muttrc"
    url = f"smtp://alice%40example.test@127.0.0.1:{demo.port(587)}/"
    rc.write_text(
        f'set smtp_url="{url}"\nset smtp_pass="{ALICE[1]}"\nset from="{ALICE[0]}"\n'
        'set ssl_starttls=no\nset ssl_force_tls=no\nset smtp_authenticators="plain"\n'
        "set tunnel_is_secure=yes\nset copy=no\nset use_envelope_from=yes\n"
        'set dsn_notify="failure,delay"\nset dsn_return=hdrs\n'
    )
    command = shlex.join([program, "-n", "-F", str(rc), "-s", "from mutt", BOB[0]])
    run(f"echo Hello | {command}", environ={"HOME": str(tmp_path), "TERM": "dumb"})
    assert b"Hello" in bobs(demo, "from mutt")


# -- Python's smtplib


def test_smtplib_with_smtputf8(demo: Demo) -> None:
    message = EmailMessage(policy=SMTPUTF8)
    message["From"] = "Jürgen <jürgen@grün.example>"
    message["To"] = BOB[0]
    message["Subject"] = "smtplib grüßt"
    message.set_content("Grüße\n")
    with smtplib.SMTP("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        client.starttls(context=trusting())
        assert client.send_message(message) == {}
    kept = bobs(demo, "smtplib grüßt")
    assert kept.startswith("Return-Path: <jürgen@xn--grn-ioa.example>\r\n".encode())
    assert b" with UTF8SMTPS id " in kept


def test_smtplib_with_dsn(demo: Demo) -> None:
    """Alice asks for a report of success, and gets it."""
    with smtplib.SMTP("127.0.0.1", demo.port(587), "client.example", timeout=60) as client:
        client.starttls(context=trusting())
        client.login(*ALICE)
        refused = client.sendmail(
            ALICE[0],
            [BOB[0]],
            MESSAGE % b"smtplib with DSN",
            mail_options=["RET=HDRS", "ENVID=mark-4711"],
            rcpt_options=["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{BOB[0]}"],
        )
    assert refused == {}
    bobs(demo, "smtplib with DSN")
    (report,) = eventually(lambda: [m for m in inbox(demo.port(143), ALICE) if b"mark-4711" in m])
    assert b"Original-Envelope-Id: mark-4711" in report
    assert b"Action: delivered" in report and b"smtplib with DSN" in report


def test_smtplib_is_told_who_nobody_is_and_why_it_may_not_relay(demo: Demo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        recipients = ["nobody@example.test", "x@elsewhere.example", BOB[0]]
        refused = client.sendmail("a@elsewhere.example", recipients, MESSAGE % b"partly refused")
    assert refused["nobody@example.test"][0] == 550
    assert refused["x@elsewhere.example"][0] == 554
    assert all(text.endswith(b"]") for _, text in refused.values())
    assert bobs(demo, "partly refused")


# -- BDAT


@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_a_bdat_client(demo: Demo, size: int) -> None:
    subject = b"chunks of %d" % size
    whole = MESSAGE % subject + b".\r\nQUIT\r\n..\r\n" + b"y" * 3000 + b"\r\n"
    chunks = [whole[i : i + size] for i in range(0, len(whole), size)]
    if size == 1:
        chunks = [bytes([each]) for each in whole[:200]] + [whole[200:]]
    with BdatClient("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        replies = client.send_chunks("a@elsewhere.example", [BOB[0]], chunks)
    assert {code for code, _ in replies} == {250}
    assert bobs(demo, subject.decode()).endswith(whole)


def test_a_large_message_by_bdat(demo: Demo) -> None:
    megabyte = b"0123456789abcdef" * 65_536
    chunks = [MESSAGE % b"20 megabytes", *[megabyte] * 20]
    with BdatClient("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        replies = client.send_chunks("a@elsewhere.example", [BOB[0]], chunks)
    assert {code for code, _ in replies} == {250}
    assert len(bobs(demo, "20 megabytes")) > 20 * 2**20


# -- many at once


def test_100_parallel_sessions_of_smtp_source(demo: Demo) -> None:
    program = need("smtp-source")
    before = len(inbox(demo.port(143), ALICE))
    source = [program, "-s", "100", "-m", "400", "-l", "4096", "-f", "load@elsewhere.example"]
    run([*source, "-t", ALICE[0], f"inet:127.0.0.1:{demo.port(25)}"], timeout_s=120)
    eventually(lambda: len(inbox(demo.port(143), ALICE)) - before >= 400)
    assert demo.queued() == 0
