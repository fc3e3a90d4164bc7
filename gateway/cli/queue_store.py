"""The queue's desk on a command's own store: nobody serves it, or the command works beside.

Owns what the desk is made of there: no runner, no routes, no directory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.cli.control_client import ControlClient, GatewayNotRunning
from gateway.cli.desk import Desk, at_desk
from gateway.cli.queue_access import TIMEOUT_S, Call, ask_gateway, is_nobody
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
from gateway.queue.tls_reports_desk import TlsReportsDesk


def at_store(settings: Settings, work: Callable[[Call], None]) -> None:
    """Run ``work`` on a store that nobody serves. Raises: GatewayError."""
    at_desk(
        settings,
        lambda desk: work(calls_at(desk)),
        needs_directory=False,
        may_create=False,
        may_migrate=False,
    )


def calls_beside(desk: Desk) -> Call:
    """For a command that works on the store itself: the running gateway, else this very store."""
    client = ControlClient(control_socket(Path(desk.settings.state_dir)), TIMEOUT_S)
    here = calls_at(desk)

    def ask(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return ask_gateway(client, name, arguments)
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
        tls_reports=TlsReportsDesk(
            store.tls_counts,
            _nothing_in_memory,
            time.time,
            counting=desk.settings.outbound.tls_reports,
        ),
    )
    actor = user_text(os.getuid())
    return lambda name, arguments: desk.call(queue.call(name, arguments, actor))


async def _nothing_in_memory() -> None:
    """Nobody counts."""
