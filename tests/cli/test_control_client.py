"""The command's client against sockets that misbehave; the good case is in tests/system."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.control_client import CommandRefused, ControlClient, GatewayNotRunning


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """One connection that gets ``answer`` whatever it asks."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            with connection.makefile("rb") as incoming:
                head = b"".join(iter(incoming.readline, b"\r\n"))
                fields = dict(line.split(b": ", 1) for line in head.splitlines()[1:])
                asked.append(head + incoming.read(int(fields.get(b"Content-Length", 0))))
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join()


def http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_an_answer_and_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(path, http("200 OK", b'{"a": 1}')) as asked:
        assert ControlClient(path).get("/v1/status", {"id": "ä b"}) == {"a": 1}
    assert asked[0].startswith(b"GET /v1/status?id=%C3%A4+b HTTP/1.1\r\n")
    path.unlink()
    with (
        answering(path, http("400 Bad Request", b'{"error": "no such message"}')),
        pytest.raises(CommandRefused, match="no such message"),
    ):
        ControlClient(path).request("POST", "/v1/x", body={"a": 1})


@pytest.mark.parametrize("answer", [http("200 OK", b"[]"), http("500 Oh", b"<html>")])
def test_an_answer_that_is_none(tmp_path: Path, answer: bytes) -> None:
    with (
        answering(tmp_path / "s", answer),
        pytest.raises(CommandRefused, match="not understood"),
    ):
        ControlClient(tmp_path / "s").get("/v1/status")


def test_no_gateway_running(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with pytest.raises(GatewayNotRunning) as missing:
        ControlClient(path).get("/v1/status")
    text = str(missing.value)
    assert str(path) in text and "no gateway is running" in text and "twistd -n gateway" in text
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(GatewayNotRunning, match="no gateway is running"):
        ControlClient(path).get("/v1/status")


def test_a_gateway_that_hangs_or_hangs_up(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b""), pytest.raises(GatewayNotRunning, match="look into"):
        ControlClient(tmp_path / "s").get("/v1/status")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "t"))
        silent.listen(1)
        with pytest.raises(GatewayNotRunning, match=r"did not answer within 0\.05 s"):
            ControlClient(tmp_path / "t", timeout_s=0.05).get("/v1/status")
