"""The control API through a real reactor, a real Unix socket and the command's own client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.control_client import CommandRefused, ControlClient, GatewayNotRunning

SERVER = """
import sys
from pathlib import Path
from twisted.internet import reactor
from gateway.edge.http.control import ControlResource, Route
from gateway.edge.http.control_socket import listen_control

async def status():
    return {"version": "9", "sessions": {"imap": 2}}

async def stop(call):
    reactor.callLater(0.2, reactor.stop)  # behind the answer
    return {"stopping": call.body}

resource = ControlResource(status, [Route("POST", "/v1/stop", stop)])
listen_control(reactor, Path(sys.argv[1]), resource)
reactor.callWhenRunning(lambda: print("listening", flush=True))
reactor.run()
"""


def test_the_command_asks_the_running_gateway(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stat().st_uid == os.geteuid()
        client = ControlClient(path, timeout_s=30)
        assert client.get("/v1/status") == {"version": "9", "sessions": {"imap": 2}}
        with pytest.raises(CommandRefused, match="no such command"):
            client.get("/v1/unknown")
        assert client.request("POST", "/v1/stop", body="now") == {"stopping": "now"}
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
    assert not path.exists()
    with pytest.raises(GatewayNotRunning):
        ControlClient(path).get("/v1/status")
