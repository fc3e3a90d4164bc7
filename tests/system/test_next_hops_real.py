"""Postfix, Exim, OpenSMTPD and Dovecot (by LMTP) take our mail, with what each asks and offers.

One gateway and one instance of each, for all tests. OpenSMTPD's STARTTLS is broken, as
``tests/support/opensmtpd`` says, and it offers no SMTPUTF8; the others need proof, TLS and a login.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from functools import partial
from pathlib import Path

import pytest

from tests.support.authority import new_authority
from tests.support.dovecot_lmtp import DovecotLmtp, running_dovecot_lmtp
from tests.support.exim_receiving import receiving_exim
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.opensmtpd import running_opensmtpd
from tests.support.outbound import running
from tests.support.postfix import Security, running_postfix
from tests.support.waiting import eventually

USER, PASSWORD = "gateway", "pass-wörd%"
BOX = {
    # Everybody's mail in one Maildir, and reports to Alice too.
    "virtual_mailbox_maps": "static:box/",
    "virtual_mailbox_domains": "postfix.example, old.example, example.test",
    "smtpd_tls_received_header": "yes",
}
MANY = 50


@dataclass(frozen=True)
class Hop:
    """One server: its Maildir and its log, and by what the log tells of connections."""

    messages: Callable[[], Sequence[bytes]]
    log: Callable[[], str]
    connection: str
    login: str
    recipients: Callable[[str], int]

    def about(self, mark: str) -> list[bytes]:
        return [each for each in self.messages() if mark.encode() in each]

    def arrived(self, mark: str) -> bytes:
        """The one message with the mark, CRLF at its line ends."""
        (found,) = eventually(partial(self.about, mark))
        return found.replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class World:
    demo: Demo
    hops: Mapping[str, Hop]
    dovecot: DovecotLmtp
    late: Path
    """A Unix socket that is a next hop and is not there."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hops")
    authority = new_authority()
    (folder / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.issue("localhost")
    security = Security(certificate, key, USER, PASSWORD)
    with ExitStack() as stack:
        postfix = stack.enter_context(
            running_postfix(people=("box@postfix.example",), security=security, settings=BOX)
        )
        exim = stack.enter_context(receiving_exim(security=security))
        opensmtpd = stack.enter_context(running_opensmtpd(certificate, key))
        dovecot = stack.enter_context(running_dovecot_lmtp())
        ports = {"postfix": postfix.port, "old": postfix.seven_bit_port, "exim": exim.port}
        settings = f"""\
[outbound]
ca_file = "{folder / "ca.pem"}"
retry_after_s = [1]
[outbound.destinations."opensmtpd.example"]
next_hop = "smtp://localhost:{opensmtpd.port}"
[outbound.destinations."dovecot.example"]
next_hop = "lmtp://localhost:{dovecot.port}"
[outbound.destinations."socket.dovecot.example"]
next_hop = "lmtp+unix://{dovecot.socket}"
[outbound.destinations."late.dovecot.example"]
next_hop = "lmtp+unix://{folder / "late"}"
"""
        for name, port in ports.items():
            settings += f"""\
[outbound.destinations."{name}.example"]
next_hop = "smtp://{USER}@localhost:{port}?tls=verified"
[outbound.logins."{USER}@localhost:{port}"]
password = "{PASSWORD}"
"""
        demo = stack.enter_context(running(Demo(folder / "d"), settings))
        nrcpt = r"nrcpt=(\d+)"
        taken = partial(_postfix_recipients, postfix.log)
        of_postfix = Hop(
            partial(postfix.messages, "box"),
            postfix.log,
            ": connect from ",
            f"sasl_username={USER}",
            taken,
        )
        hops = {
            "postfix": of_postfix,
            "old": of_postfix,
            "exim": Hop(
                exim.messages,
                exim.log,
                "TCP/IP connection count",
                f"A=login:{USER}",
                lambda mark: max(line.count("@exim.example") for line in exim.log().splitlines()),
            ),
            "opensmtpd": Hop(
                opensmtpd.messages,
                opensmtpd.log,
                " smtp connected ",
                "",
                lambda mark: max(map(int, re.findall(nrcpt, opensmtpd.log()))),
            ),
        }
        yield World(demo, hops, dovecot, folder / "late")


@pytest.fixture(autouse=True)
def told(world: World) -> Iterator[None]:
    """Where a test fails, pytest shows what all of them said last."""
    yield
    logs = {name: hop.log().splitlines() for name, hop in world.hops.items() if name != "old"}
    for name, lines in {"gateway": world.demo.output, **logs}.items():
        print(f"-- {name}:", *lines[-30:], sep="\n")


def _postfix_recipients(log: Callable[[], str], mark: str) -> int:
    return max(map(int, re.findall(r"nrcpt=(\d+)", log())))


def text(mark: str, body: bytes = b"hello\r\n") -> bytes:
    return f"From: {ALICE[0]}\r\nSubject: {mark}\r\n\r\n".encode() + body


def send(
    world: World,
    message: bytes,
    *recipients: str,
    mail: Sequence[str] = (),
    rcpt: Sequence[str] = (),
) -> None:
    with smtplib.SMTP("127.0.0.1", world.demo.port(587), timeout=60) as client:
        client.login(*ALICE)
        assert client.sendmail(ALICE[0], recipients, message, list(mail), list(rcpt)) == {}


def report_about(world: World, mark: str) -> Message:
    """The report in Alice's mailbox here about the message with this subject."""

    def look() -> list[bytes]:
        found = inbox(world.demo.port(143), ALICE)
        return [each for each in found if b"multipart/report" in each and mark.encode() in each]

    (octets,) = eventually(look)
    return message_from_bytes(octets)


ALL = pytest.mark.parametrize("name", ["postfix", "exim", "opensmtpd"])


@ALL
def test_S7_S28_octets_arrive_as_they_are(world: World, name: str) -> None:
    body = b".\r\n..\r\n.dot\r\n\xe4\xff 8-bit\r\n" + b"x" * 998 + b"\r\n" + b"line\r\n" * 50_000
    send(world, text(f"octets to {name}", body), f"a@{name}.example", mail=["BODY=8BITMIME"])
    arrived = world.hops[name].arrived(f"octets to {name}")
    assert arrived.partition(b"\r\n\r\n")[2] == body
    assert (b"ESMTPSA" in arrived) is (name != "opensmtpd") or b"with esmtpsa" in arrived
    assert world.hops[name].login in world.hops[name].log()
    assert PASSWORD not in "\n".join(world.demo.output)


def test_a_broken_starttls_does_not_keep_opportunistic_mail(world: World) -> None:
    """RFC 7435: what a broken library keeps from flowing in cipher flows all the same."""
    send(world, text("no cipher"), "b@opensmtpd.example")
    assert b"with ESMTP id" in world.hops["opensmtpd"].arrived("no cipher")
    eventually(lambda: "io-error" in world.hops["opensmtpd"].log())  # it was tried


def test_S28_a_server_without_8bitmime_gets_the_same_text_in_seven_bits(world: World) -> None:
    header = b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset="utf-8"\r\n'
    kind = b"Content-Transfer-Encoding: 8bit\r\n\r\n"
    words = "Grüße, und = und .\r\n.Punkt\r\n"
    subject = f"From: {ALICE[0]}\r\nSubject: seven bits\r\n".encode()
    send(world, subject + header + kind + words.encode(), "a@old.example", mail=["BODY=8BITMIME"])
    arrived = world.hops["old"].arrived("seven bits")
    assert arrived.isascii()
    payload = message_from_bytes(arrived).get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.replace(b"\r\n", b"\n").decode() == words.replace("\r\n", "\n")


@pytest.mark.parametrize("name", ["postfix", "exim"])
def test_S31_utf8_goes_to_who_takes_it(world: World, name: str) -> None:
    asked = ["SMTPUTF8", "BODY=8BITMIME"]
    send(world, text(f"grün für {name}"), f"grün@{name}.example", mail=asked)
    assert f"grün für {name}".encode() in world.hops[name].arrived(f"grün für {name}")


def test_S31_utf8_comes_back_from_who_does_not(world: World) -> None:
    send(world, text("grün nirgends"), "grün@opensmtpd.example", mail=["SMTPUTF8"])
    assert "5.6.7" in report_about(world, "grün nirgends").as_string()
    assert not world.hops["opensmtpd"].about("grün nirgends")


@ALL
def test_the_next_hop_reports_in_our_stead(world: World, name: str) -> None:
    mark, envid = f"told by {name}", f"id-of-{name}"
    asked = ["NOTIFY=SUCCESS", "ORCPT=rfc822;first@old.example"]
    recipient = f"dsn@{name}.example"
    send(world, text(mark), recipient, mail=[f"ENVID={envid}", "RET=HDRS"], rcpt=asked)
    reports = eventually(partial(world.hops[name].about, "Action: delivered"))
    (report,) = [each for each in reports if recipient.encode() in each]
    if name != "opensmtpd":  # which takes both and tells neither
        assert envid.encode() in report and b"first@old.example" in report
    world.demo.wait_for_line(f"to={recipient} delivered")
    found = inbox(world.demo.port(143), ALICE)
    assert not [each for each in found if mark.encode() in each], "one report is enough"


@ALL
def test_D4_many_recipients_share_one_transaction(world: World, name: str) -> None:
    mark = f"one for {MANY} at {name}"
    send(world, text(mark), *(f"r{number}@{name}.example" for number in range(MANY)))
    hop = world.hops[name]
    eventually(lambda: hop.about(mark))
    eventually(lambda: hop.recipients(mark) == MANY)


@ALL
def test_many_messages_share_connections(world: World, name: str) -> None:
    hop = world.hops[name]
    before = hop.log().count(hop.connection)
    mark = f"reuse to {name}"
    with smtplib.SMTP("127.0.0.1", world.demo.port(587), timeout=60) as client:
        client.login(*ALICE)
        for number in range(30):
            client.sendmail(ALICE[0], [f"c{number}@{name}.example"], text(mark))
    eventually(lambda: all(f"c{number}@{name}." in hop.log() for number in range(30)))
    # Exim takes them all and delivers ten of each connection at once: that is its default.
    assert hop.log().count(hop.connection) - before < 30


def test_chunking_goes_to_who_offers_it(world: World) -> None:
    """Both say so in their logs: Postfix counts BDAT, Exim marks the message."""
    assert eventually(lambda: re.search(r" bdat=\d", world.hops["postfix"].log()))
    exim = world.hops["exim"].log()
    assert [line for line in exim.splitlines() if " <= " in line and " K " in line]


def test_S7_lmtp_takes_octets_as_they_are_and_answers_for_each_recipient(world: World) -> None:
    dovecot = world.dovecot
    before = dovecot.log().count("Connect from")
    body = b".\r\n..\r\n.dot\r\nRSET\r\n\xe4\xff 8-bit\r\n" + b"x" * 998 + b"\r\n"
    people = [f"{name}@dovecot.example" for name in ("ann", "full", "nobody", "bea")]
    send(world, text("to each", body), *people, mail=["BODY=8BITMIME"])
    for name in ("ann", "bea"):
        (arrived,) = eventually(partial(dovecot.messages, name))
        # Dovecot writes Maildirs with LF.
        assert arrived.replace(b"\n", b"\r\n").partition(b"\r\n\r\n")[2] == body
    # It is kept for some seconds: at once, when all four are through, comes the next one.
    fates = ("delivered", "failed", "failed", "delivered")
    ends = [f"to={who} {fate}" for who, fate in zip(people, fates, strict=True)]
    eventually(lambda: all(any(end in each for each in world.demo.output) for end in ends))
    send(world, text("long", b"line\r\n" * 50_000), people[0])
    eventually(lambda: len(dovecot.messages("ann")) == 2)
    eventually(lambda: dovecot.log().count("Connect from") > before)
    assert dovecot.log().count("Connect from") == before + 1, "the connection was kept"
    report = report_about(world, "to each").as_string()
    assert "5.2.2" in report and "5.1.1" in report
    assert "ann@" not in report and "bea@" not in report and not dovecot.messages("full")


def test_S7_lmtp_goes_over_a_unix_socket(world: World) -> None:
    """To the very server of the test above, which answers for each recipient here too."""
    dovecot = world.dovecot
    logged = dovecot.log().count("Connect from local")
    body = b".\r\n..dot\r\n\xe4\xff 8-bit\r\n" + b"x" * 998 + b"\r\n"
    people = [f"{name}@socket.dovecot.example" for name in ("bea", "nobody")]
    send(world, text("by the socket", body), *people, mail=["BODY=8BITMIME"])
    # Names in a Maildir do not sort by time.
    (arrived,) = eventually(
        lambda: [each for each in dovecot.messages("bea") if b"by the socket" in each]
    )
    assert arrived.replace(b"\n", b"\r\n").partition(b"\r\n\r\n")[2] == body
    report = report_about(world, "by the socket").as_string()
    assert "5.1.1" in report and "bea@" not in report
    eventually(lambda: dovecot.log().count("Connect from local") > logged)
    assert dovecot.log().count("Connect from local") == logged + 1
    world.demo.wait_for_line(f"via=localhost[{dovecot.socket}]")


def test_mail_waits_for_a_socket_that_is_not_there_and_goes_when_it_is(world: World) -> None:
    send(world, text("late"), "ann@late.dovecot.example")
    world.demo.wait_for_line(f"no connection to localhost[{world.late}]: there is no such socket")
    before = len(world.dovecot.messages("ann"))
    world.late.symlink_to(world.dovecot.socket)
    eventually(lambda: len(world.dovecot.messages("ann")) > before, deadline_s=30)
