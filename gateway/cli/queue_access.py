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
from gateway.delivery.destinations import Destinations
from gateway.edge.http.control_queue import user_text
from gateway.queue.desk import QueueDesk
from gateway.queue.desk_reroute import known_logins
from gateway.queue.desk_views import rule_from
from gateway.queue.guards_from_settings import guards_from
from gateway.queue.journal import Journal
from gateway.queue.reports import ReportWriter

TIMEOUT_S = 90.0
"""Longer than the gateway takes to give up: a million messages are counted, name servers asked."""

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Makes a call at the desk: its name and arguments."""


def at_queue(settings: Settings, work: Callable[[Call], None]) -> None:
    """Run ``work``. Raises: GatewayError."""
    client = ControlClient(control_socket(Path(settings.state_dir)), TIMEOUT_S)
    answered = False

    def ask(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal answered
        answer = _ask(client, name, arguments)
        answered = True
        return answer

    try:
        work(ask)
    except GatewayNotRunning as error:
        if answered or not is_nobody(error):
            raise
        at_desk(
            settings, lambda desk: work(calls_at(desk)), needs_directory=False, may_create=False
        )


def calls_beside(desk: Desk) -> Call:
    """For a command that works on the store itself: the running gateway, else this very store."""
    client = ControlClient(control_socket(Path(desk.settings.state_dir)), TIMEOUT_S)
    here = calls_at(desk)

    def ask(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return _ask(client, name, arguments)
        except GatewayNotRunning as error:
            if not is_nobody(error):
                raise
            return here(name, arguments)

    return ask


def calls_at(desk: Desk) -> Call:
    """The calls on the store of a command, where nobody sends."""
    store = desk.store
    # Whoever serves the store next finds out where the senders of what is given back are.
    journal = Journal(store.trace, time.time)
    reports = ReportWriter(store, None, desk.settings.hostname, journal)
    queue = QueueDesk(
        store,
        store.queue,
        reports,
        journal,
        time.time,
        trace=store.trace,
        rule_of=rule_from(Destinations(desk.settings.outbound)),
        logins=known_logins(desk.settings.outbound),
        guards=guards_from(desk.settings.outbound, store, journal, time.time),
    )
    actor = user_text(os.getuid())
    return lambda name, arguments: desk.call(queue.call(name, arguments, actor))


def is_nobody(error: GatewayNotRunning) -> bool:
    """No gateway runs, rather than that this user may not ask it, or that it does not answer."""
    return isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)


def _ask(client: ControlClient, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return client.request("POST", f"/v1/queue/{name}", body=dict(arguments))
