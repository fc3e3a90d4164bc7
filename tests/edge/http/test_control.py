"""The control API over a string, and its socket file."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from gateway.core.errors import ControlSocketRefused, NoSuchMailbox, StoreUnavailable
from gateway.edge.http.control import ControlCall, ControlResource, Route
from gateway.edge.http.control_socket import MAX_BODY_OCTETS, listen_control
from gateway.edge.http.site import BoundedSite


class Bench:
    """The API with a few handlers."""

    def __init__(self) -> None:
        self.calls: list[ControlCall] = []
        self.fails: Exception | None = None
        self.held: Deferred[None] | None = None
        routes = [Route("POST", "/v1/echo", self.echo), Route("DELETE", "/v1/echo", self.echo)]
        timers: Any = Clock()
        self.site = BoundedSite(ControlResource(self.status, routes), timers, MAX_BODY_OCTETS)

    async def status(self) -> Mapping[str, object]:
        if self.held is not None:
            await self.held
        if self.fails is not None:
            raise self.fails
        return {"version": "1", "umlaut": "ä"}

    async def echo(self, call: ControlCall) -> Mapping[str, object]:
        self.calls.append(call)
        return {"query": dict(call.query), "body": call.body}

    def connect(self) -> tuple[Any, StringTransport]:
        transport = StringTransport()
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        channel, transport = self.connect()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        channel.dataReceived(head.encode() + body)
        headers, _, text = transport.value().partition(b"\r\n\r\n")
        assert b"application/json" in headers
        return int(headers.split()[1]), json.loads(text)


def test_status_and_routes() -> None:
    bench = Bench()
    assert bench.ask("GET", "/v1/status") == (200, {"version": "1", "umlaut": "ä"})
    assert bench.ask("POST", "/v1/echo?a=1&b=%C3%A4&a=2", b'{"x": [1]}') == (
        200,
        {"query": {"a": "2", "b": "ä"}, "body": {"x": [1]}},
    )
    assert bench.ask("DELETE", "/v1/echo") == (200, {"query": {}, "body": None})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/nothing", b"", 404),
        ("GET", "/", b"", 404),
        ("GET", "/v1/status/", b"", 404),
        ("PUT", "/v1/status", b"", 405),
        ("GET", "/v1/echo", b"", 405),
        ("POST", "/v1/echo", b"{", 400),
        ("POST", "/v1/echo", b"\xff", 400),
        ("POST", "/v1/echo?%FF=1", b"", 400),
        ("POST", "/v1/echo", b"[" * 100_000, 400),
        ("POST", "/v1/echo", b"9" * 10_000, 400),
    ],
)
def test_what_is_not_there_is_told_as_json(
    method: str, path: str, body: bytes, status: int
) -> None:
    bench = Bench()
    code, answer = bench.ask(method, path, body)
    assert code == status
    assert answer["error"]
    assert not bench.calls


def test_errors_are_told_with_their_fields(recorded_failures: list[object]) -> None:
    bench = Bench()
    bench.fails = StoreUnavailable("the disk hums", path="/var")
    assert bench.ask("GET", "/v1/status") == (503, {"error": "the disk hums (path='/var')"})
    bench.fails = NoSuchMailbox()
    assert bench.ask("GET", "/v1/status") == (400, {"error": "no such mailbox"})
    assert not recorded_failures
    bench.fails = KeyError("secret")
    code, answer = bench.ask("GET", "/v1/status")
    assert code == 500
    assert "secret" not in answer["error"] and "control call 1" in answer["error"]
    assert len(recorded_failures) == 1


def test_a_client_that_hangs_up_stops_the_call(recorded_failures: list[object]) -> None:
    bench = Bench()
    stopped: list[object] = []
    bench.held = Deferred(stopped.append)
    channel, transport = bench.connect()
    channel.dataReceived(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
    assert transport.value() == b""
    channel.connectionLost(Failure(ConnectionDone()))
    assert stopped
    assert not recorded_failures


def test_large_bodies_are_cut_off() -> None:
    channel, transport = Bench().connect()
    channel.dataReceived(b"POST /v1/echo HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n")
    assert b" 413 " in transport.value() and transport.disconnecting


# -- the socket


class Listening(MemoryReactorClock):
    """Binds for real, as a reactor does, without serving."""

    def listenUNIX(self, address: Any, factory: Any, *args: Any, **kw: Any) -> Any:
        self.bound = socket.socket(socket.AF_UNIX)
        try:
            self.bound.bind(address)
        except OSError:
            self.bound.close()
            raise
        self.mode_at_bind = os.stat(address).st_mode & 0o777
        self.bound.listen(1)
        return super().listenUNIX(address, factory, *args, **kw)


def test_the_socket_is_the_owners_from_the_first_moment(tmp_path: Path) -> None:
    reactor = Listening()
    umask = os.umask(0)
    try:
        listen_control(reactor, tmp_path / "control.sock", ControlResource(Bench().status))
        assert os.umask(0o022) == 0
    finally:
        os.umask(umask)
    assert reactor.mode_at_bind == 0o600
    reactor.bound.close()


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    resource = ControlResource(Bench().status)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    reactor = Listening()
    listen_control(reactor, path, resource)
    with pytest.raises(ControlSocketRefused, match="another gateway answers"):
        listen_control(Listening(), path, resource)
    assert path.is_socket()
    reactor.bound.close()


def test_anything_else_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("precious")
    resource = ControlResource(Bench().status)
    with pytest.raises(ControlSocketRefused, match="no socket"):
        listen_control(Listening(), path, resource)
    assert path.read_text() == "precious"
    with pytest.raises(ControlSocketRefused):
        listen_control(Listening(), tmp_path / "missing" / "control.sock", resource)
    with pytest.raises(ControlSocketRefused):
        listen_control(Listening(), tmp_path / ("x" * 120), resource)
