"""The desk for people who leave and move on a command's own store, while no gateway runs.

Owns what the desk is made of there. Nobody refreshes a picture then: people are asked for where the
directory has them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.cli.desk import Desk, at_desk
from gateway.cli.queue_access import Call
from gateway.core.settings.model import Settings
from gateway.edge.http.control_queue import user_text
from gateway.people.from_settings import follower_from, leavers_desk_from


def at_store(settings: Settings, work: Callable[[Call], None]) -> None:
    """Run ``work`` on a store that nobody serves. Raises: GatewayError."""
    at_desk(settings, lambda desk: _run(desk, work), may_create=False, may_migrate=False)


def _run(desk: Desk, work: Callable[[Call], None]) -> None:
    follower = follower_from(
        desk.settings,
        desk.directory,
        desk.store.people.notes,
        wall_clock=time.time,
        pause=_at_once,
        on_listed=_nothing,
    )
    leavers = leavers_desk_from(desk.store, desk.directory, follower, time.time)
    actor = user_text(os.getuid())

    def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return desk.call(leavers.call(name, arguments, actor))

    work(call)


async def _at_once() -> None:
    """Nobody else is served."""


def _nothing() -> None:
    """This command compares when it is asked to."""
