"""Exit statuses of the server: 0 stopped, 1 failure, 2 wrong command line or configuration."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.gateway_process import BIN, Demo, GatewayProcess
from tests.support.programs import run
from tests.support.waiting import eventually

TWISTD = [str(BIN / "twistd"), "--nodaemon", "--pidfile=", "gateway"]

FIVE_MISTAKES = """
hostnme = "mail.example.com"
workers = 0
[domains."example.com"]
relay = 5
[directory]
kind = "ldif"
path = "people.ldif"
[[listen]]
protocol = "smpt"
address = "0.0.0.0:25"
tls = "none"
"""


def test_five_mistakes_print_five_lines_and_no_traceback(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(FIVE_MISTAKES)
    for command in (
        [*TWISTD, "--config", str(config)],
        [str(BIN / "gateway"), "config", "check", "--config", str(config)],
    ):
        result = run(command, expect=2)
        lines = result.stderr.decode().strip().splitlines()
        assert len(lines) == 5, lines
        assert all(str(config) in line and "expected" in line for line in lines)
        assert b"Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "/nonexistent/gateway.toml"],
        ["--no-such-option"],
        ["--config"],
        ["--demo", "x", "--config", "y"],
        ["--port-base", "5"],
        ["--demo", "x", "--port-base", "many"],
    ],
)
def test_a_wrong_command_line(arguments: list[str], tmp_path: Path) -> None:
    result = run([*TWISTD, *arguments], expect=2)
    assert result.stderr.startswith(b"gateway: ")
    assert b"Traceback" not in result.stdout + result.stderr


def test_missing_certificate_files_are_a_wrong_configuration(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d")
    demo.start()
    assert demo.stop() == 0
    (tmp_path / "d" / "self-signed.pem").rename(tmp_path / "elsewhere.pem")
    result = run([*TWISTD, "--config", str(demo.config)], expect=2)
    assert b"tls.certificate" in result.stderr
    assert b"Traceback" not in result.stdout + result.stderr


def test_a_taken_port_says_which(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", demo.port(143)))
        taken.listen()
        result = run([*TWISTD, *demo.arguments], expect=1)
    assert f"127.0.0.1:{demo.port(143)}" in result.stderr.decode()
    assert b"Traceback" not in result.stdout + result.stderr


def test_D8_a_second_instance_on_the_same_store_is_refused(tmp_path: Path) -> None:
    first = Demo(tmp_path / "d")
    first.start()
    second = Demo(tmp_path / "d")
    second.launch()
    assert second.process is not None
    assert second.process.wait(30) == 1
    assert first.stop() == 0


def test_a_daemon_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    pid_file, log = tmp_path / "pid", tmp_path / "log"
    first = Demo(tmp_path / "d")
    first.start()
    daemon = [str(BIN / "twistd"), f"--pidfile={pid_file}", f"--logfile={log}", "gateway"]
    port_taken = run([*daemon, "--config", str(first.config)], expect=1)
    assert b"cannot listen on 127.0.0.1" in port_taken.stderr
    store_taken = run([*daemon, *Demo(tmp_path / "d").arguments], expect=1)
    assert b"CannotStart" in store_taken.stderr
    assert first.stop() == 0
    text = log.read_text()
    assert "cannot start: cannot listen on 127.0.0.1" in text
    assert "is in use by another gateway" in text
    assert "Traceback" not in text
    assert not pid_file.exists(), "a process that is gone holds no pid file"


def test_a_daemon_says_in_its_log_that_it_is_ready(tmp_path: Path) -> None:
    pid_file, log = tmp_path / "pid", tmp_path / "log"
    demo = Demo(tmp_path / "d")
    run(
        [str(BIN / "twistd"), f"--pidfile={pid_file}", f"--logfile={log}", "gateway"]
        + demo.arguments
    )
    try:
        eventually(lambda: "gateway ready" in log.read_text())
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
    eventually(lambda: not pid_file.exists())
    # twistd removes the one before it writes the other.
    eventually(lambda: "Server Shut Down" in log.read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(tmp_path: Path, number: int) -> None:
    demo: GatewayProcess = Demo(tmp_path / "d")
    demo.start()
    demo.signal(number)
    assert demo.process is not None
    assert demo.process.wait(30) == 0


def test_help_lists_the_plugin_with_one_line() -> None:
    listed = run([str(BIN / "twistd"), "--help"]).stdout.decode()
    (line,) = [line for line in listed.splitlines() if line.strip().startswith("gateway ")]
    assert "mail server" in line
