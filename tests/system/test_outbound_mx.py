"""Mail by MX records, for real: name server, other hosts and their port 25 in a private network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.name_server import NameServer, running_name_server
from tests.support.outbound import FRIEND, running, submit
from tests.support.private_network import private_network
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

OURS, DEAD, HOST, PLAIN = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
MESSAGE = b"From: alice@example.test\r\nSubject: by MX\r\n\r\nhello\r\n"
MX = {
    "elsewhere.example": [(20, "mx2.elsewhere.example"), (10, "mx1.elsewhere.example")],
    "loop.example": [(10, "another-name-of-ours.example")],
    "null.example": [(0, "")],
}
A = {
    "mx1.elsewhere.example": [DEAD],
    "mx2.elsewhere.example": [HOST],
    "plain.example": [PLAIN],
    "another-name-of-ours.example": [OURS],
}


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    with private_network(OURS, DEAD, HOST, PLAIN):
        yield


@pytest.fixture
def names(network: None) -> Iterator[NameServer]:
    with running_name_server(mx=MX, a=A) as server:
        yield server


@pytest.fixture
def sink(network: None) -> Iterator[Sink]:
    with running_sink(HOST, 25) as running:
        yield running


@pytest.fixture
def demo(tmp_path: Path, names: NameServer) -> Iterator[Demo]:
    settings = f"""\
[outbound]
resolvers = ["127.0.0.1:{names.port}"]
retry_after_s = [1]
"""
    with running(Demo(tmp_path / "d"), settings) as demo:
        yield demo


def test_the_next_host_takes_what_the_first_one_does_not_answer(demo: Demo, sink: Sink) -> None:
    with running_sink(PLAIN, 25) as plain:
        submit(demo, FRIEND, "somebody@plain.example", message=MESSAGE)
        (received,) = eventually(lambda: sink.script.received)
        assert received.recipients == [FRIEND]
        assert received.message.endswith(MESSAGE)
        # RFC 5321 section 5.1: a domain without MX records is its own mail host.
        (received,) = eventually(lambda: plain.script.received)
        assert received.recipients == ["somebody@plain.example"]


def test_hosts_that_take_no_mail_are_reported_at_once(demo: Demo) -> None:
    submit(demo, "somebody@null.example", "somebody@nowhere.example", message=MESSAGE)
    found = eventually(lambda: len(found := inbox(demo.port(143), ALICE)) == 2 and found)
    reports = b"".join(found or ())
    assert b"Status: 5.1.10" in reports
    assert b"Status: 5.1.2" in reports


def test_a_silent_name_server_only_delays(demo: Demo, names: NameServer, sink: Sink) -> None:
    names.silent = True
    submit(demo, FRIEND, message=MESSAGE)
    eventually(lambda: names.swallowed)
    names.silent = False
    (received,) = eventually(lambda: sink.script.received)
    assert received.recipients == [FRIEND]


def test_S34_an_address_that_we_listen_on_is_no_destination(
    tmp_path: Path, names: NameServer
) -> None:
    settings = f"""\
[outbound]
resolvers = ["127.0.0.1:{names.port}"]
[[listen]]
protocol = "smtp"
address = "{OURS}:25"
tls = "none"
"""
    demo = Demo(tmp_path / "d")
    with running(demo, settings, ["--config", str(demo.config)]):
        submit(demo, "somebody@loop.example", message=MESSAGE, starttls=True)
        line = demo.wait_for_line("somebody@loop.example failed status=5.4.6")
        assert "lead back to this server" in line, "known without connecting to ourselves"
