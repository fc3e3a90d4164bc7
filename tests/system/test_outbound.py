"""Mail for others: queued durably, sent through the smart host, retried, reported."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import running, submit
from tests.support.ports import free_port
from tests.support.sink import Received, Sink, running_sink
from tests.support.waiting import eventually

MESSAGE = b"From: alice@example.test\r\nSubject: %b\r\n\r\n.dot\r\n..\r\n8-bit \xe4\r\n"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with running_sink() as running:
        yield running


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[Demo]:
    settings = f"""\
[outbound]
smart_host = "smtp://127.0.0.1:{sink.port}"
retry_after_s = [1]
[outbound.destinations."dead.example"]
next_hop = "smtp://127.0.0.1:{free_port()}"
"""
    with running(Demo(tmp_path_factory.mktemp("outbound") / "d"), settings) as demo:
        yield demo


def arrived(sink: Sink, recipient: str) -> list[Received]:
    return [each for each in list(sink.script.received) if recipient in each.recipients]


def test_it_arrives_octet_for_octet_without_our_return_path(demo: Demo, sink: Sink) -> None:
    submit(demo, "octets@elsewhere.example", message=MESSAGE % b"octets")
    (received,) = eventually(lambda: arrived(sink, "octets@elsewhere.example"))
    assert received.sender == ALICE[0] and received.recipients == ["octets@elsewhere.example"]
    assert received.message.endswith(MESSAGE % b"octets")
    assert received.message.startswith(b"Received: ")


def test_the_log_tells_the_way_from_the_sender_to_the_host_that_took_it(
    demo: Demo, sink: Sink
) -> None:
    submit(demo, "logged@elsewhere.example", message=MESSAGE % b"logged")
    line = demo.wait_for_line("to=logged@elsewhere.example delivered")
    assert line.endswith("250 2.0.0 kept")
    about = [each for each in demo.output if line.split(" to=")[0].split()[-1] in each]
    assert any("queued as " in each for each in about)
    assert any(f" via=127.0.0.1[127.0.0.1]:{sink.port} " in each for each in about)


def test_one_message_goes_to_people_here_and_elsewhere(demo: Demo, sink: Sink) -> None:
    submit(demo, "both@elsewhere.example", "bob@example.test", message=MESSAGE % b"both")
    eventually(lambda: arrived(sink, "both@elsewhere.example"))
    (copy,) = inbox(demo.port(143))
    assert copy.endswith(MESSAGE % b"both")


def test_a_temporary_refusal_is_retried(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_rcpt["later@elsewhere.example"] = "451 4.2.1 later"
    submit(demo, "later@elsewhere.example", message=MESSAGE % b"later")
    demo.wait_for_line("to=later@elsewhere.example deferred")
    sink.script.refuse_rcpt.clear()
    (received,) = eventually(lambda: arrived(sink, "later@elsewhere.example"))
    assert received.recipients == ["later@elsewhere.example"]


def test_S35_a_permanent_refusal_comes_back_with_its_reason(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_rcpt["nobody@elsewhere.example"] = "550 5.1.1 nobody of that name"
    to = ("nobody@elsewhere.example", "other@elsewhere.example")
    submit(demo, *to, message=MESSAGE % b"refused")
    (report,) = eventually(lambda: inbox(demo.port(143), ALICE))
    demo.wait_for_line(f"reported to {ALICE[0]} as report-")
    assert b"nobody of that name" in report
    assert b"Return-Path: <>" in report
    assert b"multipart/report" in report
    (received,) = arrived(sink, "other@elsewhere.example")
    assert received.recipients == ["other@elsewhere.example"]


def test_D10_mail_for_a_dead_destination_does_not_keep_the_rest(demo: Demo, sink: Sink) -> None:
    for number in range(40):
        submit(demo, f"n{number}@dead.example", message=MESSAGE % b"for the dead")
    submit(demo, "alive@elsewhere.example", message=MESSAGE % b"for the living")
    eventually(lambda: arrived(sink, "alive@elsewhere.example"))
    eventually(lambda: demo.queued() == 40)


def test_D5_the_queue_survives_kill_9(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_mail = "421 4.3.2 closed for now"
    submit(demo, "survivor@elsewhere.example", message=MESSAGE % b"survivor")
    demo.kill()
    sink.script.refuse_mail = ""
    demo.start()
    (received,) = eventually(lambda: arrived(sink, "survivor@elsewhere.example"))
    assert received.message.endswith(MESSAGE % b"survivor")
    eventually(lambda: demo.queued() == 40)
