"""The log: one line an event, nothing unprintable, no traceback for expected things."""

from __future__ import annotations

import io
import os
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from gateway.app.log import GATHER_S, LineLog, Pipe, goes_to_stdout, relay_to_twistd


def logged(namespace: str = "gateway.edge.smtp") -> tuple[Logger, io.StringIO]:
    output = io.StringIO()
    observer = LineLog(output, lambda: 1_700_000_000.25)

    def at_a_known_time(event: LogEvent) -> None:
        observer({**event, "log_time": 1_700_000_000.25})

    # Any: mypy does not see that a function provides ILogObserver.
    function: Any = at_a_known_time
    return Logger(namespace, observer=function), output


def test_a_line_says_when_how_bad_where_and_what() -> None:
    log, output = logged()
    log.warn("{peer} sent {count} commands", peer="192.0.2.1", count=3)
    assert output.getvalue() == (
        "2023-11-14T22:13:20.250Z warn edge.smtp: 192.0.2.1 sent 3 commands\n"
    )


def test_A9_what_clients_send_cannot_begin_a_new_line() -> None:
    log, output = logged()
    log.info("hello {name}", name="x\r\n2023 forged\x1b[2J\u2028end")
    (line,) = output.getvalue().splitlines()
    assert "x\\r\\n2023 forged\\x1b[2J\\u2028end" in line


def test_other_peoples_events_are_formatted_their_way() -> None:
    log, output = logged("twisted.internet")
    log.info("{call()} done", call=lambda: "it is")
    assert output.getvalue().endswith("info twisted.internet: it is done\n")


def test_a_failure_comes_with_its_traceback_indented() -> None:
    log, output = logged()
    try:
        raise ValueError("bad\nnews")
    except ValueError:
        log.failure("{id} command failed", Failure(), id="0815")
    first, *rest = output.getvalue().splitlines()
    assert first.endswith("critical edge.smtp: 0815 command failed")
    assert rest and all(line.startswith("  ") for line in rest)
    assert any("ValueError" in line for line in rest)


def test_a_broken_template_is_still_logged() -> None:
    log, output = logged()
    log.info("{missing} field")
    assert output.getvalue().count("\n") == 1


def test_D6_a_full_disk_under_the_log_does_not_stop_anything() -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(28, "No space left on device")

    LineLog(Full())({"log_format": "x", "log_namespace": "gateway", "log_time": 0.0})


def test_calm_lines_are_written_together_and_alarms_at_once() -> None:
    output, clock = io.StringIO(), Clock()
    log = LineLog(output, lambda: 0.0)
    running = [False]
    log.gather(cast(Any, clock), lambda: running[0])

    def say(text: str, level: LogLevel = LogLevel.info) -> list[str]:
        event = {"log_format": text, "log_namespace": "gateway.x", "log_level": level}
        log({**event, "log_time": 1.0})
        return [line.split()[-1] for line in output.getvalue().splitlines()]

    assert say("early") == ["early"]
    running[0] = True
    assert say("one") == say("two") == ["early"]
    clock.advance(GATHER_S)
    assert output.getvalue().splitlines()[1:] == [
        f"1970-01-01T00:00:01.000Z info x: {word}" for word in ("one", "two")
    ]
    assert say("three")[-1] == "two"
    assert say("alarm", LogLevel.warn)[-2:] == ["three", "alarm"]
    clock.advance(GATHER_S)
    assert say("x" * 4000)[-1] == "x" * 4000, "so much is not kept back"
    assert say("last")[-1] != "last"
    log.flush()
    running[0] = False
    assert say("after")[-2:] == ["last", "after"]
    clock.advance(GATHER_S)
    assert output.getvalue().count("last") == 1


def test_twistds_own_choices_win() -> None:
    default = {"nodaemon": 1, "syslog": 0, "logfile": None, "logger": None}
    assert goes_to_stdout(default)
    for change in ({"nodaemon": 0}, {"syslog": 1}, {"logfile": "x.log"}, {"logger": "x.y"}):
        assert not goes_to_stdout({**default, **change})


def test_other_processes_lines_are_told_apart_and_guarded_the_same() -> None:
    output = io.StringIO()
    child = io.StringIO()
    LineLog(child, process="worker 2")(
        {"log_format": "{x}", "log_namespace": "gateway.edge.smtp", "log_time": 1.0, "x": "hi"}
    )
    (line,) = child.getvalue().splitlines()
    assert line == "1970-01-01T00:00:01.000Z info edge.smtp[worker 2]: hi"
    LineLog(output).relay([line, "Fatal Python error\x1b[2J\r", ""])
    assert output.getvalue().splitlines() == [line, "Fatal Python error\\x1b[2J\\r", ""]


def test_twistds_own_log_gets_them_with_level_and_place() -> None:
    events: list[LogEvent] = []
    observer: Any = events.append
    globalLogPublisher.addObserver(observer)
    try:
        relay_to_twistd(
            ["1970-01-01T00:00:00.000Z warn edge.smtp[worker 2]: {braces} x: y", "Traceback (most"]
        )
    finally:
        globalLogPublisher.removeObserver(observer)
    assert [(e["log_level"].name, e["log_namespace"], formatEvent(e)) for e in events] == [
        ("warn", "gateway.edge.smtp[worker 2]", "{braces} x: y"),
        ("info", "gateway.child", "Traceback (most"),
    ]


def test_a_child_never_waits_for_whoever_reads_its_log() -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        os.set_blocking(reading, False)
        pipe = Pipe(writing)
        for _ in range(100_000):
            pipe.write("x" * 99 + "\n")
        read = 0
        while True:
            try:
                read += os.read(reading, 1 << 20).count(b"\n")
            except BlockingIOError:
                break
        pipe.write("good again\n")
        told, line = os.read(reading, 1000).decode().splitlines()[-2:]
        assert line == "good again" and told == f"({100_000 - read} lines of the log lost)"
    finally:
        os.close(reading)
        os.close(writing)
