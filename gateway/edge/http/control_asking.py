"""``POST /v1/trace`` and ``POST /v1/explain``: questions that a process which serves mail answers.

Owns the paths; the form of questions and answers is checked where they are answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from gateway.edge.http.control import ControlCall, Route

KINDS = ("trace", "explain")

Ask = Callable[[str, object], Awaitable[Mapping[str, object]]]


def asking_routes(ask: Ask) -> list[Route]:
    """The rows of the control API."""

    async def asked(kind: str, call: ControlCall) -> Mapping[str, object]:
        return await ask(kind, call.body)

    return [Route("POST", f"/v1/{kind}", partial(asked, kind)) for kind in KINDS]
