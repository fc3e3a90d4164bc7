"""What senders ask of queued mail, through real next hops and back: reports, UTF-8, priorities."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import Message

import pytest

from tests.support.exim_receiving import ReceivingExim, receiving_exim
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import FRIEND, running
from tests.support.postfix import Postfix, running_postfix
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

BOB = "bob@example.test"
GREEN = "grün@elsewhere.example"


def text(mark: str) -> bytes:
    return f"From: alice@example.test\r\nSubject: {mark}\r\n\r\nhello\r\n".encode()


def settings(port: int) -> str:
    return f'[outbound]\nsmart_host = "smtp://127.0.0.1:{port}"\nretry_after_s = [1]\n'


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    """A next hop without DSN and SMTPUTF8."""
    with running_sink() as running:
        yield running


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("reports") / "d"
    with running(Demo(folder), settings(sink.port)) as demo:
        yield demo


@pytest.fixture(scope="module")
def exim() -> Iterator[ReceivingExim]:
    with receiving_exim() as exim:
        yield exim


@pytest.fixture(scope="module")
def demo_to_exim(tmp_path_factory: pytest.TempPathFactory, exim: ReceivingExim) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("exim") / "d"
    with running(Demo(folder), settings(exim.port)) as demo:
        yield demo


def send(
    demo: Demo,
    message: bytes,
    *recipients: str,
    mail: Sequence[str] = (),
    rcpt: Sequence[str] = (),
) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        client.login(*ALICE)
        refused = client.sendmail(ALICE[0], list(recipients), message, list(mail), list(rcpt))
        assert refused == {}


def report_about(demo: Demo, mark: str) -> tuple[Message, list[Message]]:
    """The report in Alice's inbox that returns this subject, and the blocks of its status."""

    def look() -> list[bytes]:
        found = [each for each in inbox(demo.port(143), ALICE) if mark.encode() in each]
        return [each for each in found if b"multipart/report" in each]

    (octets,) = eventually(look)
    report = message_from_bytes(octets)
    status = report.get_payload(1)
    assert isinstance(status, Message)
    if status.get_content_type() == "message/delivery-status":
        return report, [each for each in status.get_payload() if isinstance(each, Message)]
    lines = status.as_bytes().partition(b"\n\n")[2]
    return report, [message_from_bytes(each) for each in lines.strip().split(b"\n\n")]


# -- reports of successes


def test_a_next_hop_without_dsn_is_reported_as_a_relay(demo: Demo, sink: Sink) -> None:
    send(
        demo,
        text("relayed one"),
        FRIEND,
        mail=["ENVID=QQ+2B1", "RET=HDRS"],
        rcpt=["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;old+2B{FRIEND}"],
    )
    report, (fields, block) = report_about(demo, "relayed one")
    assert report["Subject"] == "Your message was passed on: relayed one"
    assert fields["Original-Envelope-Id"] == "QQ+1"
    assert block["Original-Recipient"] == f"rfc822; old+{FRIEND}"
    assert (block["Action"], block["Status"]) == ("relayed", "2.0.0")
    assert block["Remote-MTA"] == "dns; 127.0.0.1"
    assert any(b"relayed one" in each.message for each in sink.script.received)


def test_a_delivery_here_is_reported_as_one(demo: Demo) -> None:
    send(demo, text("delivered one"), BOB, rcpt=["NOTIFY=SUCCESS"])
    report, (_, block) = report_about(demo, "delivered one")
    assert report["Subject"] == "Your message was delivered: delivered one"
    assert (block["Action"], block["Final-Recipient"]) == ("delivered", f"rfc822; {BOB}")
    copies = [each for each in inbox(demo.port(143)) if b"delivered one" in each]
    assert len(copies) == 1 and copies[0].startswith(b"Return-Path: <alice@example.test>\r\n")


def test_S36_never_means_never(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_rcpt["never@elsewhere.example"] = "550 5.1.1 nobody"
    send(demo, text("never told"), "never@elsewhere.example", rcpt=["NOTIFY=NEVER"])
    demo.wait_for_line("to=never@elsewhere.example failed")
    send(demo, text("told after it"), "x@elsewhere.example", rcpt=["NOTIFY=SUCCESS"])
    report_about(demo, "told after it")
    assert not [each for each in inbox(demo.port(143), ALICE) if b"never told" in each]


def test_the_whole_message_comes_back_when_that_was_asked_for(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_rcpt["full@elsewhere.example"] = "550 5.1.1 nobody"
    send(demo, text("whole again"), "full@elsewhere.example", mail=["RET=FULL"])
    report, (_, block) = report_about(demo, "whole again")
    assert block["Status"] == "5.1.1"
    original = report.get_payload(2)
    assert isinstance(original, Message) and original.get_content_type() == "message/rfc822"
    inner = original.get_payload(0)
    assert isinstance(inner, Message) and str(inner.get_payload()).strip() == "hello"


# -- SMTPUTF8


def test_S31_what_needs_utf8_comes_back_from_a_hop_without_it(demo: Demo, sink: Sink) -> None:
    send(demo, text("needs utf8"), GREEN, mail=["SMTPUTF8"])
    report, (_, block) = report_about(demo, "needs utf8")
    status = report.get_payload(1)
    assert isinstance(status, Message)
    assert status.get_content_type() == "message/global-delivery-status"
    assert block["Status"] == "5.6.7"
    send(demo, text("grüner Kopf"), FRIEND, mail=["SMTPUTF8", "BODY=8BITMIME"])
    report, (_, block) = report_about(demo, "grüner Kopf")
    assert block["Status"] == "5.6.9"
    assert not any("grün".encode() in each.message for each in sink.script.received)


def test_S31_utf8_that_is_ascii_in_fact_goes_anywhere(demo: Demo, sink: Sink) -> None:
    send(demo, text("ascii in fact"), "b@bücher.example", mail=["SMTPUTF8"])
    (received,) = eventually(
        lambda: [each for each in sink.script.received if b"ascii in fact" in each.message]
    )
    assert received.recipients == ["b@xn--bcher-kva.example"]


def test_S31_exim_takes_utf8_and_eight_bits(demo_to_exim: Demo, exim: ReceivingExim) -> None:
    message = text("grün über Exim") + b"8-bit \xe4\r\n"
    send(demo_to_exim, message, GREEN, mail=["SMTPUTF8", "BODY=8BITMIME"])
    arrived = exim.with_mark("grün über Exim".encode())
    assert b"8-bit \xe4\n" in arrived


# -- passed on to next hops that report by themselves


def test_exim_reports_in_our_stead(demo_to_exim: Demo, exim: ReceivingExim) -> None:
    asked = ["NOTIFY=SUCCESS", "ORCPT=rfc822;first@old.example"]
    send(demo_to_exim, text("exim tells"), FRIEND, mail=["ENVID=E42"], rcpt=asked)
    told = exim.with_mark(b"Original-Envelope-ID: E42")
    assert b"first@old.example" in told and b"Action: delivered" in told
    assert not [each for each in inbox(demo_to_exim.port(143), ALICE) if b"exim tells" in each]


def test_postfix_reports_in_our_stead(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("postfix") / "d"
    with running_postfix(people=(FRIEND,)) as postfix:
        with running(Demo(folder), settings(postfix.port)) as demo:
            send(demo, text("postfix tells"), FRIEND, rcpt=["NOTIFY=SUCCESS"])
            eventually(lambda: postfix.messages("friend"))
            eventually(lambda: _told_by(postfix))
            demo.wait_for_line(f"to={FRIEND} delivered")
            assert not [each for each in inbox(demo.port(143), ALICE) if b"postfix" in each]


def _told_by(postfix: Postfix) -> bool:
    return "sender delivery status notification" in postfix.log()
