"""``gateway status``: what the running gateway says of itself, over the control socket."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.control_client import ControlClient
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain
from gateway.core.settings.paths import control_socket


@click.command()
@config_option
@json_option
def status(config_path: str | None, as_json: bool) -> None:
    """Show the running gateway.

    Version, uptime, listeners, workers, open sessions, waiting messages, and what needs attention.
    """
    settings = load_settings(config_path).settings
    answer = ControlClient(control_socket(Path(settings.state_dir))).get("/v1/status")
    click.echo(json.dumps(answer, indent=2) if as_json else as_text(answer))


def as_text(answer: Mapping[str, Any]) -> str:
    """The status for people."""
    lines = [
        f"gateway {answer['version']}, up {_duration(answer['uptime_s'])}, pid {answer['pid']}",
        "",
        "listeners",
    ]
    lines += [
        f"  {listener['protocol']:<11} {listener['address']:<24} tls {listener['tls']}"
        for listener in answer["listeners"]
    ]
    workers = answer.get("workers", ())
    if len(workers) > 1:
        lines += ["", "workers", *map(_worker, workers)]
    lines += ["", f"sessions    {_sessions(answer['sessions'])}"]
    queue = answer["queue"]
    lines.append(f"queue       {_queue(queue)}")
    if queue is not None:
        lines += map(_dead, queue.get("dead", ()))
        more = queue.get("dead_destinations", 0) - len(queue.get("dead", ()))
        if more > 0:
            lines.append(f"            and {more:,} more; see `gateway queue destinations`")
    for directory in answer.get("directories", ()):
        lines += _directory(directory)
    lines += [f"warning     {warning}" for warning in answer.get("warnings", ())]
    return "\n".join(lines)


def _sessions(sessions: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(sessions.items())) or "none"


def _queue(queue: Mapping[str, Any] | None) -> str:
    if queue is None:
        return "not known, as no worker could tell"
    waiting = f"{queue['messages']} messages to {queue['recipients']} recipients"
    if queue.get("held"):
        waiting += f", {queue['held']} of them held"
    if queue["oldest_s"] is not None:
        waiting += f", the oldest for {_duration(queue['oldest_s'])}"
    return waiting


def _dead(row: Mapping[str, Any]) -> str:
    left = _duration(max(0, row["dead_until"] - time.time()))
    text = f"nobody at {row['destination']} can be talked to, tried again in {left}"
    problem = row["problem"]
    return f"            {plain(f'{text}: {problem}')}"


def _directory(directory: Mapping[str, Any]) -> Iterator[str]:
    """What it comes to, then a line a server."""
    name = f"{directory['name']}: " if directory["name"] else ""
    if not directory["answers"]:
        what = "nobody can be asked"
    else:
        what = "degraded" if directory["degraded"] else "fine"
    if directory["trouble"]:
        what += f": {directory['trouble']}"
    yield f"directory   {plain(name + what)}"
    for server in directory["servers"]:
        yield f"            {plain(_server(server))}"
    picture = directory.get("picture")
    if picture is not None:
        yield f"            {plain(_picture(picture))}"


def _server(server: Mapping[str, Any]) -> str:
    text = f"{server['name']} {server['state']}"
    if server["state"] != "not asked yet":
        text += f" for {_duration(max(0, time.time() - server['since']))}"
    if server["in_use"]:
        text += ", in use"
    if server["latency_ms"] is not None:
        text += f", answers in {server['latency_ms']:g} ms"
    if server["state"] in ("down", "suspect") and server["last_error"]:
        text += f": {server['last_error']}"
    return text


def _picture(picture: Mapping[str, Any]) -> str:
    text = f"picture: {picture['people']:,} people, {picture['groups']:,} groups"
    if picture["listed_at"]:
        text += f", {_duration(max(0, time.time() - picture['refreshed_at']))} old"
    else:
        text += ", not complete"
    if picture["way"]:
        text += f", by {picture['way']}"
    if picture["listing"]:
        text += f", listing: {picture['seen']:,} seen, {picture['per_second']:,.0f}/s"
    elif picture["listing_took_s"]:
        text += f", listed in {_duration(picture['listing_took_s'])}"
    if picture["error"]:
        text += f"; not refreshed: {picture['error']}"
    return text


def _worker(worker: Mapping[str, Any]) -> str:
    number, sessions = worker["number"], worker["sessions"]
    if worker["pid"] is None:
        told = "not running, will be started again"
    elif not worker["ready"]:
        told = f"pid {worker['pid']}, starting"
    elif sessions is None:
        told = f"pid {worker['pid']}, does not answer"
    else:
        told = f"pid {worker['pid']}, up {_duration(worker['uptime_s'])}, {_sessions(sessions)}"
    if worker["restarts"]:
        told += f", restarts {worker['restarts']}"
    return f"  {number:<3} {told}{', runs the queue' if worker['runs_queue'] else ''}"


def _duration(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (whole, "s"))
    shown = [f"{value} {unit}" for value, unit in parts if value]
    return " ".join(shown[:2]) or "0 s"
