"""The control API: JSON over HTTP for the administrator's command.

Owns the table of (method, path, handler), and how answers and errors look. Who may ask is decided
by the socket's mode (``control_socket``), not here. Handlers get a ControlCall and return what
becomes the JSON object of the answer; errors become ``{"error": text}``.
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from gateway.core.errors import GatewayError
from gateway.edge.http.site import answer

_UCRED = struct.Struct("3i")  # pid, uid, gid (unix(7))
Status = Callable[[], Awaitable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class ControlCall:
    """What was asked.

    Args:
        query: parameters behind ``?``; of repeated ones the last.
        body: the JSON of the body, None without one.
        peer_uid: the user at the other end of the socket, None if it cannot tell.
    """

    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    peer_uid: int | None = None


Handler = Callable[[ControlCall], Awaitable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table; ``path`` is whole and exact, such as ``/v1/status``."""

    method: str
    path: str
    handler: Handler


class ControlResource(Resource):
    """The whole API as one resource over its table.

    Args:
        status: answers ``GET /v1/status``.
        routes: all that is on offer besides.
    """

    isLeaf = True
    log = Logger()

    def __init__(self, status: Status, routes: Iterable[Route] = ()) -> None:
        super().__init__()
        self._routes: dict[str, dict[str, Handler]] = {}
        for route in (Route("GET", "/v1/status", lambda _: status()), *routes):
            handlers = self._routes.setdefault(route.path, {})
            assert route.method not in handlers, f"two handlers for {route.method} {route.path}"
            handlers[route.method] = route.handler
        self._serial = itertools.count(1)

    def render(self, request: Request) -> int:
        handlers = self._routes.get(request.path.decode("utf-8", "replace"))
        if handlers is None:
            _fail(request, http.NOT_FOUND, "this gateway has no such command")
            return NOT_DONE_YET
        handler = handlers.get(request.method.decode("ascii", "replace"))
        if handler is None:
            request.setHeader(b"Allow", ", ".join(sorted(handlers)).encode("ascii"))
            _fail(request, http.NOT_ALLOWED, "method not allowed")
            return NOT_DONE_YET
        try:
            call = _call_of(request)
        except (ValueError, RecursionError):  # brackets in brackets, without end
            _fail(request, http.BAD_REQUEST, "the request is not UTF-8 and JSON")
            return NOT_DONE_YET
        running = Deferred.fromCoroutine(self._answer(request, handler, call))
        # Whoever hangs up does not want the answer any more.
        request.notifyFinish().addErrback(lambda _: running.cancel())
        running.addErrback(self._not_answered)
        return NOT_DONE_YET

    async def _answer(self, request: Request, handler: Handler, call: ControlCall) -> None:
        try:
            _send(request, http.OK, await handler(call))
        except GatewayError as error:
            # The administrator reads this, so the fields for the log may be told as well.
            status = http.SERVICE_UNAVAILABLE if error.temporary else http.BAD_REQUEST
            _fail(request, status, str(error))
        except CancelledError:
            raise  # nobody is there to be told
        except Exception:
            number = next(self._serial)
            self.log.failure("control call {number} failed", number=number)
            text = f"internal error; the log has it as control call {number}"
            _fail(request, http.INTERNAL_SERVER_ERROR, text)

    def _not_answered(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("control answer not sent", failure)


def _call_of(request: Request) -> ControlCall:
    """Raises: ValueError, RecursionError."""
    query = {
        name.decode("utf-8"): values[-1].decode("utf-8") for name, values in request.args.items()
    }
    assert request.content is not None
    content = request.content.read()
    return ControlCall(query, json.loads(content) if content else None, _peer_uid(request))


def _peer_uid(request: Request) -> int | None:
    """Told by the kernel: who had connected, whatever they say."""
    transport: Any = request.transport
    connection = getattr(transport, "socket", None)
    if connection is None or not hasattr(socket, "SO_PEERCRED"):
        return None
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:
        return None
    uid: int = _UCRED.unpack(credentials)[1]
    return uid


def _send(request: Request, status: int, body: Mapping[str, object]) -> None:
    text = json.dumps(body, ensure_ascii=False).encode("utf-8") + b"\n"
    answer(request, status, text, b"application/json")


def _fail(request: Request, status: int, text: str) -> None:
    _send(request, status, {"error": text})
