"""``/v1/queue/…``: the queue for ``gateway queue``, over the control socket.

Owns the rows of the control API and who is said to have asked: the user at the other end of the
socket. What a call takes and answers is ``queue.desk``'s.
"""

from __future__ import annotations

import pwd
from collections.abc import Awaitable, Callable, Iterable, Mapping

from gateway.core.errors import GatewayError
from gateway.edge.http.control import ControlCall, Route

CALLS = (
    "list",
    "show",
    "shape",
    "destinations",
    "retry",
    "hold",
    "release",
    "reroute",
    "delete",
    "bounce",
    "suppressed",
    "suppress",
    "unsuppress",
    "rules",
    "rule-add",
    "rule-apply",
    "rule-remove",
    "tls-reports",
)

Ask = Callable[[str, object], Awaitable[Mapping[str, object]]]
"""Asks the process that has the desk: its name, and the call with its arguments and who asks."""


class QueueCallRefused(GatewayError):
    """The body is not what it should be."""

    temporary = False
    default_text = "expected a JSON object with the call's arguments"


def queue_routes(ask: Ask) -> list[Route]:
    """All are POST, as their arguments are the body."""
    return desk_routes("queue", CALLS, ask)


def desk_routes(desk: str, calls: Iterable[str], ask: Ask) -> list[Route]:
    """A row for each call at this desk of the process that is asked."""
    return [Route("POST", f"/v1/{desk}/{name}", _handler(desk, name, ask)) for name in calls]


def _handler(
    desk: str, name: str, ask: Ask
) -> Callable[[ControlCall], Awaitable[Mapping[str, object]]]:
    async def handle(asked: ControlCall) -> Mapping[str, object]:
        arguments = {} if asked.body is None else asked.body
        if not isinstance(arguments, dict):
            raise QueueCallRefused()
        actor = user_text(asked.peer_uid)
        return await ask(desk, {"call": name, "arguments": arguments, "actor": actor})

    return handle


def user_text(uid: int | None) -> str:
    """``uid 0 (root)``."""
    if uid is None:
        return "somebody unknown"
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"
