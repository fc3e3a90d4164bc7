"""The queue's desk for a command: at the running gateway, or on a store that nobody serves.

Owns the choice. What a call takes and answers is the desk's (``gateway.queue.desk``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.cli.control_client import ControlClient, GatewayNotRunning
from gateway.cli.desk import Desk, at_desk
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket
from gateway.edge.http.control_queue import user_text
from gateway.queue.desk import QueueDesk
from gateway.queue.journal import Journal
from gateway.queue.reports import ReportWriter

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Makes a call at the desk: its name and arguments."""


def at_queue(settings: Settings, work: Callable[[Call], None]) -> None:
    """Run ``work``. Raises: GatewayError."""
    client = ControlClient(control_socket(Path(settings.state_dir)))
    answered = False

    def ask(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal answered
        answer = client.request("POST", f"/v1/queue/{name}", body=dict(arguments))
        answered = True
        return answer

    try:
        work(ask)
    except GatewayNotRunning as error:
        nobody = isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)
        if answered or not nobody:
            raise
        at_desk(
            settings, lambda desk: work(_calls_at(desk)), needs_directory=False, may_create=False
        )


def _calls_at(desk: Desk) -> Call:
    store = desk.store
    # Whoever serves the store next finds out where the senders of what is given back are.
    journal = Journal(store.trace, time.time)
    reports = ReportWriter(store, None, desk.settings.hostname, journal)
    queue = QueueDesk(store, store.queue, reports, journal, time.time)
    actor = user_text(os.getuid())
    return lambda name, arguments: desk.call(queue.call(name, arguments, actor))
