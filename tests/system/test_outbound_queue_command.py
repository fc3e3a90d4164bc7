"""``gateway queue`` and ETRN, at a gateway of three workers and on its store while stopped."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import BIN, Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import running, submit
from tests.support.ports import free_port
from tests.support.programs import run
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

CLOSED = "421 4.3.2 closed for now"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        sink.script.refuse_mail = CLOSED
        yield sink


@pytest.fixture
def demo(tmp_path: Path, sink: Sink) -> Iterator[Demo]:
    settings = (
        f'[outbound]\nsmart_host = "smtp://127.0.0.1:{sink.port}"\nretry_after_s = [3600]\n'
        f'[outbound.destinations."dead.example"]\nnext_hop = "smtp://127.0.0.1:{free_port()}"\n'
    )
    with running(Demo(tmp_path / "d", workers=3), settings) as demo:
        yield demo


def gateway(demo: Demo, *arguments: str, expect: int = 0) -> str:
    command = [str(BIN / "python"), "-m", "gateway", "queue", *arguments]
    result = run([*command, "--config", str(demo.config)], expect=expect)
    return (result.stdout + result.stderr).decode()


def listed(demo: Demo, *filters: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gateway(demo, "list", "--json", *filters))
    return found


def queued(demo: Demo, name: str) -> str:
    """Submit a message that the next hop does not take yet; its id in the queue."""
    address = f"{name}@{name}.example"
    submit(demo, address, message=f"Subject: {name}\r\n\r\nhello\r\n".encode())
    demo.wait_for_line(f"to={address} deferred")
    ((message),) = listed(demo, "--recipient", address)
    return str(message["id"])


def test_administrators_see_and_steer_what_waits(demo: Demo, sink: Sink) -> None:
    ids = {name: queued(demo, name) for name in ("one", "two", "three", "four")}
    text = gateway(demo, "list")
    assert all(each in text for each in ids.values()) and CLOSED in text
    shown = gateway(demo, "show", ids["one"])
    assert "one@one.example" in shown and "attempts      1" in shown and CLOSED in shown
    assert "outbound.smart_host takes" in shown and "deferred by 127.0.0.1" in shown

    assert f"{ids['one']} held" in gateway(demo, "hold", ids["one"], "--reason", "look first")
    (held,) = listed(demo, "--held")
    assert (held["id"], held["hold"], held["due_at"]) == (ids["one"], "look first", None)
    assert "held (look first)" in gateway(demo, "retry", ids["one"], expect=1)

    sink.script.refuse_mail = ""
    assert "due now" in gateway(demo, "retry", "--destination", "two.example")
    eventually(lambda: [r for r in sink.script.received if r.recipients == ["two@two.example"]])
    assert "deleted" in gateway(demo, "delete", "--recipient", "@three.example")
    assert "given back" in gateway(demo, "bounce", ids["four"], "--reason", "by agreement")
    (report,) = eventually(lambda: inbox(demo.port(143), ALICE))
    assert b"by agreement" in report and b"four@four.example" in report
    assert "released" in gateway(demo, "release", "--held")
    eventually(lambda: [r for r in sink.script.received if r.recipients == ["one@one.example"]])
    eventually(lambda: not listed(demo))
    assert len(sink.script.received) == 2
    assert "nothing waits" in gateway(demo, "list")
    demo.wait_for_line("bounce by uid ")
    assert "say which messages" in gateway(demo, "hold", expect=2)
    assert "no message 'FFFF'" in gateway(demo, "show", "FFFF", expect=1)


def test_dead_destinations_are_shown_and_started_whichever_process_hears_it(
    demo: Demo, sink: Sink, tmp_path: Path
) -> None:
    """A server that was away says ETRN (RFC 1985) and gets its mail; others are rerouted."""
    for name in ("dead", "other"):
        queued(demo, name)
    hop = dead_hop_of(demo)
    rows = json.loads(gateway(demo, "destinations", "--json"))["destinations"]
    (dead,) = [each for each in rows if each["destination"] == hop]
    assert dead["dead_until"] > time.time() and "refused" in dead["problem"]
    (shown,) = eventually(lambda: dead_ones(demo))
    assert shown["destination"] == hop
    assert hop in gateway(demo, "list", "--shape")

    gateway(demo, "export", "--into", str(tmp_path / "x"), "--destination", "dead.example")
    (eml,) = (tmp_path / "x").glob("*.eml")
    assert eml.read_bytes().endswith(b"\r\n\r\nhello\r\n")
    envelope = json.loads(eml.with_suffix(".json").read_text("utf-8"))
    assert envelope["recipients"][0]["address"] == "dead@dead.example"

    with running_sink(port=int(hop.rpartition(":")[2])) as back:
        with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
            client.login(*ALICE)
            assert client.docmd("ETRN", "nothing.example")[0] == 251
            assert client.docmd("ETRN", "dead.example")[0] == 250
        eventually(lambda: back.script.received)
        assert sink.script.received == []
        to = ("--to", hop)
        assert "rerouted" in gateway(demo, "reroute", "--recipient", "@other.example", *to)
        eventually(lambda: len(back.script.received) == 2)
    demo.wait_for_line("reroute by uid ")
    eventually(lambda: listed(demo) == [])


def dead_ones(demo: Demo) -> list[dict[str, Any]]:
    """Destinations, as the status tells; none while no worker can tell."""
    queue = demo.status()["queue"]
    return [] if queue is None else list(queue["dead"])


def dead_hop_of(demo: Demo) -> str:
    ((message),) = listed(demo, "--destination", "dead.example")
    return str(message["destinations"][0])


def test_a_stopped_store_is_steered_as_well(demo: Demo, sink: Sink) -> None:
    one, two = queued(demo, "one"), queued(demo, "two")
    demo.stop()
    assert {each["id"] for each in listed(demo)} == {one, two}
    gateway(demo, "hold", one)
    gateway(demo, "bounce", two)
    sink.script.refuse_mail = ""
    demo.start()
    (report,) = eventually(lambda: inbox(demo.port(143), ALICE))
    assert b"two@two.example" in report
    eventually(lambda: [each["id"] for each in listed(demo)] == [one])
    assert sink.script.received == []
