"""Mail for others: queued durably, sent through the smart host, retried, reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import FRIEND, running, submit
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

MESSAGE = b"From: alice@example.test\r\nSubject: out\r\n\r\n.dot\r\n..\r\n8-bit \xe4\r\n"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as running:
        yield running


@pytest.fixture
def demo(tmp_path: Path, sink: Sink) -> Iterator[Demo]:
    settings = f'[outbound]\nsmart_host = "smtp://127.0.0.1:{sink.port}"\nretry_after_s = [1]\n'
    with running(Demo(tmp_path / "d"), settings) as demo:
        yield demo


def test_it_arrives_octet_for_octet_without_our_return_path(demo: Demo, sink: Sink) -> None:
    submit(demo, FRIEND, message=MESSAGE)
    (received,) = eventually(lambda: sink.script.received)
    assert (received.sender, received.recipients) == (ALICE[0], [FRIEND])
    assert received.message.endswith(MESSAGE)
    assert received.message.startswith(b"Received: ")


def test_the_log_tells_the_way_from_the_sender_to_the_host_that_took_it(
    demo: Demo, sink: Sink
) -> None:
    submit(demo, FRIEND, message=MESSAGE)
    queue_id = demo.wait_for_line("queued as ").rpartition(" ")[2]
    demo.wait_for_line(f"{queue_id} 127.0.0.1[127.0.0.1]:{sink.port}: ")
    line = demo.wait_for_line(f"{queue_id} to={FRIEND} delivered")
    assert line.endswith("250 2.0.0 kept")


def test_one_message_goes_to_people_here_and_elsewhere(demo: Demo, sink: Sink) -> None:
    submit(demo, FRIEND, "bob@example.test", message=MESSAGE)
    eventually(lambda: sink.script.received)
    (copy,) = inbox(demo.port(143))
    assert copy.endswith(MESSAGE)


def test_a_temporary_refusal_is_retried(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_rcpt[FRIEND] = "451 4.2.1 later"
    submit(demo, FRIEND, message=MESSAGE)
    eventually(lambda: sink.script.connections)
    sink.script.refuse_rcpt.clear()
    (received,) = eventually(lambda: sink.script.received)
    assert received.recipients == [FRIEND]


def test_S35_a_permanent_refusal_comes_back_with_its_reason(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_rcpt[FRIEND] = "550 5.1.1 nobody of that name"
    submit(demo, FRIEND, "other@elsewhere.example", message=MESSAGE)
    (report,) = eventually(lambda: inbox(demo.port(143), ALICE))
    demo.wait_for_line(f"reported to {ALICE[0]} as report-")
    assert b"nobody of that name" in report
    assert b"Return-Path: <>" in report
    assert b"multipart/report" in report
    (received,) = sink.script.received
    assert received.recipients == ["other@elsewhere.example"]


def test_D5_the_queue_survives_kill_9(demo: Demo, sink: Sink) -> None:
    sink.script.refuse_mail = "421 4.3.2 closed for now"
    submit(demo, FRIEND, message=MESSAGE)
    demo.kill()
    sink.script.refuse_mail = ""
    demo.start()
    (received,) = eventually(lambda: sink.script.received)
    assert received.message.endswith(MESSAGE)
