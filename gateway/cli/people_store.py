"""The desk for people on a command's own store, while no gateway runs.

Owns what the desk is made of there. Directory servers are asked themselves: their picture belongs
to a running gateway, so nobody is listed of them here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.auth.people_desk_from_settings import people_desk_from
from gateway.cli.desk import Desk, at_desk
from gateway.cli.queue_access import Call
from gateway.core.settings.model import Settings
from gateway.directory.threads import WorkerThreads
from gateway.edge.http.control_queue import user_text
from gateway.routing.from_settings import router_from


def at_store(settings: Settings, work: Callable[[Call], None]) -> None:
    """Run ``work`` on a store that nobody serves. Raises: GatewayError."""
    at_desk(settings, lambda desk: _run(desk, work), may_create=False, may_migrate=False)


def _run(desk: Desk, work: Callable[[Call], None]) -> None:
    threads = WorkerThreads("user", threads=1, waiting=1, call_from_thread=desk.call_from_thread)
    people = people_desk_from(
        desk.settings,
        desk.directory,
        router_from(desk.settings, desk.directory, desk.call_from_thread),
        desk.store.people,
        desk.store.trace,
        threads,
        time.time,
        _nobody_is_here,
    )
    actor = user_text(os.getuid())

    def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return desk.call(people.call(name, arguments, actor))

    try:
        work(call)
    finally:
        desk.call(_closed(threads))


async def _closed(threads: WorkerThreads) -> None:
    await threads.close()


async def _nobody_is_here() -> None:
    """Sessions are a running gateway's."""
