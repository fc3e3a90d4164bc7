"""SECURITY D7: the clock of a running gateway jumps while mail waits: nothing expires or bursts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import running, submit
from tests.support.programs import need_library
from tests.support.sink import Sink, running_sink
from tests.support.waiting import eventually

MESSAGES = 10
MESSAGE = b"From: alice@example.test\r\nSubject: in no time\r\n\r\nhello\r\n"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as running:
        yield running


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """What is written there, the gateway's clock is off by."""
    path = tmp_path / "clock"
    path.write_text(off_by(0))
    return path


_TO_NOON_S = round(43_200 - time.time() % 86_400)


def off_by(days: int) -> str:
    """It is about noon then, so that no day ends while the test runs."""
    return f"{days * 86_400 + _TO_NOON_S:+d}\n"


@pytest.fixture
def demo(tmp_path: Path, sink: Sink, clock: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path / "d")
    demo.environ |= {
        "LD_PRELOAD": need_library("faketime/libfaketimeMT.so.1"),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        # As with a real clock that somebody sets.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    settings = f'[outbound]\nsmart_host = "smtp://127.0.0.1:{sink.port}"\nretry_after_s = [2]\n'
    with running(demo, settings) as demo:
        yield demo


def days(demo: Demo) -> set[str]:
    """On which something was put off."""
    return {line[:10] for line in list(demo.output) if " deferred " in line}


def attempts(demo: Demo, number: int, date: str = "") -> int:
    """How often this one was put off, on days that begin so."""
    lines = [line for line in list(demo.output) if f"to=n{number}@b.example deferred" in line]
    return sum(line.startswith(date) for line in lines)


def test_D7_jumps_of_the_clock_make_no_mail_old_and_none_late(
    demo: Demo, sink: Sink, clock: Path
) -> None:
    sink.script.refuse_mail = "451 4.3.0 later"
    for number in range(MESSAGES):
        submit(demo, f"n{number}@b.example", message=MESSAGE)
    eventually(lambda: all(attempts(demo, number) for number in range(MESSAGES)))
    today = days(demo)

    clock.write_text(off_by(10))
    (ahead,) = eventually(lambda: days(demo) - today)
    eventually(lambda: all(attempts(demo, number, ahead) > 1 for number in range(MESSAGES)))
    most = max(attempts(demo, number, ahead) for number in range(MESSAGES))
    assert most <= 20, "once a round, not as often as ten days have rounds"

    clock.write_text(off_by(-400))
    (back,) = eventually(lambda: days(demo) - today - {ahead})
    eventually(lambda: all(attempts(demo, number, back) for number in range(MESSAGES)))
    sink.script.refuse_mail = ""
    eventually(lambda: len(sink.script.received) == MESSAGES)
    eventually(lambda: demo.queued() == 0)
    assert len(sink.script.received) == MESSAGES, "each once"
    assert inbox(demo.port(143), ALICE) == [], "nobody was told of a failure or a delay"
