"""The command's side of the control API: one blocking request to the running gateway.

Owns the connection and what to tell the administrator when nobody answers. Never reads settings:
the caller says where the socket is.

Limits: TIMEOUT_S for each step; an answer of MAX_ANSWER_OCTETS.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gateway.core.errors import GatewayError

TIMEOUT_S = 30.0
MAX_ANSWER_OCTETS = 64 * 1024 * 1024


class GatewayNotRunning(GatewayError):
    """Nobody answers on the control socket; the text says what was tried and what to do."""


class CommandRefused(GatewayError):
    """The gateway answered that it cannot; the text is its own."""

    temporary = False


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


class ControlClient:
    """Asks the gateway that serves this control socket."""

    def __init__(self, socket_path: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._path = socket_path
        self._timeout_s = timeout_s

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """``GET``; the answer's JSON object.

        Raises:
            GatewayNotRunning: nobody answers.
            CommandRefused: the gateway answered with an error.
        """
        return self.request("GET", path, query)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> dict[str, Any]:
        """Any method, with ``body`` as JSON unless None. Raises: as ``get``."""
        target = f"{path}?{urlencode(query)}" if query else path
        content = None if body is None else json.dumps(body).encode("utf-8")
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, target, content)
            response = connection.getresponse()
            text = response.read(MAX_ANSWER_OCTETS)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayNotRunning(self._advice(error)) from error
        finally:
            connection.close()
        return _object_in(text, response.status)

    def _advice(self, error: Exception) -> str:
        match error:
            case FileNotFoundError() | ConnectionRefusedError():
                found = "no gateway is running"
                advice = "start it with `twistd -n gateway`, or name its configuration by --config"
            case PermissionError():
                found = "this user may not open it"
                advice = "run the command as root or as the user that runs the gateway"
            case TimeoutError():
                found = f"the gateway did not answer within {self._timeout_s:g} s"
                advice = "look into its log"
            case _:
                found = str(error) or type(error).__name__
                advice = "look into the gateway's log, and whether it is running"
        return f"asked the gateway at {self._path}: {found}; {advice}"


def _object_in(text: bytes, status: int) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CommandRefused(f"the gateway's answer is not understood (HTTP status {status})")
    if status != http.client.OK:
        raise CommandRefused(str(answer.get("error", f"HTTP status {status}")))
    return answer
