"""The desk for people on a command's own store, while no gateway runs.

Owns what the desk is made of there. Directory servers are asked themselves; people are listed as
the gateway's picture of the directory had them last, which is said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from gateway.auth.people_desk_from_settings import people_desk_from
from gateway.cli.desk import Desk, at_desk
from gateway.cli.plain import plain
from gateway.cli.queue_access import Call
from gateway.cli.trace import moment
from gateway.core.settings.model import Settings, each_directory
from gateway.directory.threads import WorkerThreads
from gateway.edge.http.control_queue import user_text
from gateway.routing.from_settings import router_from


def at_store(settings: Settings, work: Callable[[Call], None]) -> None:
    """Run ``work`` on a store that nobody serves. Raises: GatewayError."""
    at_desk(
        settings, lambda desk: _run(desk, work), may_create=False, may_migrate=False, pictured=True
    )


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
        if name == "list" and not arguments.get("after"):
            for age in desk.call(_ages(desk)):
                click.echo(plain(age), err=True)
        return desk.call(people.call(name, arguments, actor))

    try:
        work(call)
    finally:
        desk.call(_closed(threads))


async def _ages(desk: Desk) -> list[str]:
    """In the thread that reads the picture."""
    told = []
    for name, section in each_directory(desk.settings):
        if desk.picture is None or section.kind != "ldap" or not section.picture:
            continue
        if at := desk.picture.state(name).refreshed_at:
            of = f" of {name}" if name else ""
            told.append(f"no gateway runs: people{of} as they were at {moment(at)[:19]}")
    return told


async def _closed(threads: WorkerThreads) -> None:
    await threads.close()


async def _nobody_is_here() -> None:
    """Sessions are a running gateway's."""
